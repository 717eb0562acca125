using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class ClusterLifeTests
{
    private const string Settings = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"},"data":{"a":"b"}}""";

    [Fact]
    public async Task Restart_OfTheHost_FleetComesBackByItself()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        ClusterEntry before;
        await using (FleetHost first = await FleetHost.StartAsync(durable))
        {
            before = (await first.RegisterAsync("eu-1", member)).Cluster!;
            await first.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Online);
        }

        await using FleetHost second = await FleetHost.StartAsync(durable);

        // Nobody calls the cluster: the fleet does, as soon as somebody asks for the fleet.
        await second.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        ClusterEntry after = Assert.Single((await second.Fleet.GetAsync()).Clusters);
        Assert.Equal((before.Uid, before.JoinedAt, before.Generation), (after.Uid, after.JoinedAt, after.Generation));
        Assert.Contains("settings", FleetHost.NamesOf(await second.ListAsync("eu-1", "configmaps")));
    }

    [Fact]
    public async Task Restart_ClusterStateLost_FleetDropsTheLeftover()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using (FleetHost first = await FleetHost.StartAsync(durable))
        {
            await first.RegisterAsync("eu-1", member);
        }

        Assert.True(durable.Lose("cluster", "eu-1"));
        await using FleetHost second = await FleetHost.StartAsync(durable);

        FleetChange fleet = await UntilAsync(second, change => change.Departures.Length == 1);
        Assert.Equal("eu-1", fleet.Departures[0].Name);
        Assert.Empty((await second.Fleet.GetAsync()).Clusters);
    }

    [Fact]
    public async Task Restart_FleetLost_ClusterAdmitsItselfAgain()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using (FleetHost first = await FleetHost.StartAsync(durable))
        {
            await first.RegisterAsync("eu-1", member);
        }

        Assert.True(durable.Lose("fleet", "fleet"));
        await using FleetHost second = await FleetHost.StartAsync(durable);
        Assert.True(await second.Cluster("eu-1").EnsureRunningAsync());   // as its reminder does

        await second.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Online);
    }

    [Fact]
    public async Task Remove_RunningWatch_SeesEverythingDeletedAndEnds()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        ClusterEntry entry = (await host.RegisterAsync("eu-1", member)).Cluster!;
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);
        long since = host.Clock.Now();
        await using var watch = new WatchReader(host, "eu-1", "configmaps", null);
        await watch.UntilAsync(seen => seen.InitialEnd);

        ClusterReply reply = await host.Cluster("eu-1").RemoveAsync().WaitAsync(FleetHost.Patience);

        Assert.Null(reply.Fault);
        await watch.UntilAsync(seen => seen.End == WatchEnd.Left);
        Assert.Contains("Deleted settings", watch.Changes);
        FleetChange fleet = await host.Fleet.GetAsync();
        Assert.Empty(fleet.Clusters);
        Assert.Equal((entry.Uid, "eu-1"), (fleet.Departures.Single().Uid, fleet.Departures.Single().Name));

        await using var resumed = new WatchReader(host, "eu-1", "configmaps", since);
        await resumed.UntilAsync(seen => seen.End == WatchEnd.Left);
        Assert.Contains("Deleted settings", resumed.Changes);
        Assert.Equal(ClusterFault.NotRegistered, (await host.ListAsync("eu-1", "configmaps")).Coverage.Fault!.Kind);
    }

    [Fact]
    public async Task Remove_AndRegisterAnew_ResumingWatchSeesTheOldGoAndTheNewCome()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        ClusterEntry first = (await host.RegisterAsync("eu-1", member)).Cluster!;
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);
        long since = host.Clock.Now();
        await host.Cluster("eu-1").RemoveAsync().WaitAsync(FleetHost.Patience);
        member.Objects.Delete("v1", "ConfigMap", "shop", "settings");
        member.Objects.Create(Settings.Replace("settings", "fresh", StringComparison.Ordinal));

        ClusterEntry second = (await host.RegisterAsync("eu-1", member)).Cluster!;

        Assert.NotEqual(first.Uid, second.Uid);
        await using var watch = new WatchReader(host, "eu-1", "configmaps", since);
        await watch.UntilAsync(seen => seen.Changes.Contains("Added fresh"));
        Assert.True(watch.Changes.IndexOf("Deleted settings") >= 0 && watch.Changes.IndexOf("Deleted settings") < watch.Changes.IndexOf("Added fresh"));
    }

    [Fact]
    public async Task Update_Disable_HidesEverythingAndStopsCalls_EnableBringsItBack()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);

        ClusterReply off = await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Enabled = false }).WaitAsync(FleetHost.Patience);

        Assert.Equal((2, false), (off.Cluster!.Generation, off.Cluster.Enabled));
        Assert.True(off.Cluster.SelectionChangedAt > off.Cluster.JoinedAt);
        ClusterPage hidden = await host.ListAsync("eu-1", "configmaps");
        Assert.Equal((CoverageState.Disabled, 0), (hidden.Coverage.State, hidden.Rows.Length));
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Disabled, Objects: 0 } && member.Faults.OpenWatches == 0);
        long calls = member.Calls.Count;
        await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Disabled);
        Assert.Equal(calls, member.Calls.Count);

        await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Enabled = true }).WaitAsync(FleetHost.Patience);
        ClusterPage shown = await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);
        Assert.Contains("settings", FleetHost.NamesOf(shown));
    }

    [Fact]
    public async Task Update_StaleGeneration_IsAConflictAndChangesNothing()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        var labels = ImmutableSortedDictionary<string, string>.Empty.Add("region", "eu");
        ClusterReply changed = await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Labels = labels, IfGeneration = 1 });

        ClusterReply conflict = await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Enabled = false, IfGeneration = 1 });

        Assert.Equal("eu", changed.Cluster!.Labels["region"]);
        Assert.Equal(ClusterFault.GenerationConflict, conflict.Fault!.Kind);
        ClusterEntry entry = Assert.Single((await host.Fleet.GetAsync()).Clusters);
        Assert.Equal((2, true, "eu"), (entry.Generation, entry.Enabled, entry.Labels["region"]));
    }

    [Fact]
    public async Task Update_NarrowedScope_TakesKindsOutWithTheirObjects()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);
        await using var watch = new WatchReader(host, "eu-1", "configmaps", null);
        await watch.UntilAsync(seen => seen.InitialEnd);

        await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Mirror = new MirrorScope { Exclude = ["configmaps"] } });

        await watch.UntilAsync(seen => seen.Changes.Contains("Deleted settings"));
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.NotMirrored);
        await host.UntilListedAsync("eu-1", "namespaces", page => page.Coverage.State == CoverageState.Ok);
    }

    [Fact]
    public async Task ReplaceCredentials_UnderARunningWatch_LosesNoEventAndListsNothing()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.AddUser(new SimulatedUser("mirror", "first-token", "system:masters"));
        member.AddUser(new SimulatedUser("mirror", "second-token", "system:masters"));
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member, "first-token");
        await host.UntilAsync("eu-1", summary => summary is { KindsSyncing: 0, Kinds: > 0 });
        await using var watch = new WatchReader(host, "eu-1", "configmaps", null);
        await watch.UntilAsync(seen => seen.InitialEnd);
        long lists = (await ConfigMapsAsync(host)).Lists;

        member.Objects.Create(Settings.Replace("settings", "before", StringComparison.Ordinal));
        RegistrationReply reply = await host.Cluster("eu-1").ReplaceCredentialsAsync(
            new ReplaceCredentials { Connection = host.Protect(FleetHost.ConnectionTo(member, "second-token")) }, CancellationToken.None).WaitAsync(FleetHost.Patience);
        member.RevokeToken("first-token");
        member.Objects.Create(Settings.Replace("settings", "between", StringComparison.Ordinal));
        member.Faults.EndWatches();
        member.Objects.Create(Settings.Replace("settings", "after", StringComparison.Ordinal));

        Assert.Empty(reply.Faults);
        await watch.UntilAsync(seen => seen.Changes.Contains("Added after"));
        Assert.Equal(["Added before", "Added between", "Added after"], watch.Changes.Where(change => change.StartsWith("Added ", StringComparison.Ordinal)
            && change is "Added before" or "Added between" or "Added after"));
        Assert.DoesNotContain(watch.Changes, change => change.StartsWith("Deleted", StringComparison.Ordinal));
        Assert.Equal(lists, (await ConfigMapsAsync(host)).Lists);
    }

    [Fact]
    public async Task ReplaceCredentials_OfAnotherServer_IsRefused()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using SimulatedCluster other = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "other", Seed = 2 });
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);

        RegistrationReply reply = await host.Cluster("eu-1").ReplaceCredentialsAsync(
            new ReplaceCredentials { Connection = host.Protect(FleetHost.ConnectionTo(other)) }, CancellationToken.None).WaitAsync(FleetHost.Patience);

        Assert.Equal(ClusterFault.OtherServer, Assert.Single(reply.Faults).Kind);
        Assert.Null(reply.Cluster);
        Assert.Equal(1, (await host.Cluster("eu-1").DescribeAsync()).Cluster!.Generation);
    }

    [Fact]
    public async Task ReplaceCredentials_AfterRevocation_BringsTheClusterBack()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.AddUser(new SimulatedUser("mirror", "first-token", "system:masters"));
        member.AddUser(new SimulatedUser("mirror", "second-token", "system:masters"));
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member, "first-token");
        await host.UntilAsync("eu-1", summary => summary is { KindsSyncing: 0, Kinds: > 0 });

        member.RevokeToken("first-token");
        member.Faults.CutWatches();
        ClusterSummary refused = await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.AuthFailed);
        ClusterPage kept = await host.ListAsync("eu-1", "configmaps");
        await host.Cluster("eu-1").ReplaceCredentialsAsync(
            new ReplaceCredentials { Connection = host.Protect(FleetHost.ConnectionTo(member, "second-token")) }, CancellationToken.None).WaitAsync(FleetHost.Patience);

        Assert.Equal("Unauthorized", refused.Fault!.Kind);
        Assert.Contains("settings", FleetHost.NamesOf(kept));
        Assert.NotNull(kept.Coverage.Age);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0 });
    }

    [Fact]
    public async Task Restart_KeysLost_SaysSoAndKeepsTheRegistration()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using (FleetHost first = await FleetHost.StartAsync(durable))
        {
            await first.RegisterAsync("eu-1", member);
        }

        await using FleetHost second = await FleetHost.StartAsync(durable, services =>
            Microsoft.Extensions.DependencyInjection.ServiceCollectionServiceExtensions.AddSingleton<Microsoft.AspNetCore.DataProtection.IDataProtectionProvider>(
                services, new Microsoft.AspNetCore.DataProtection.EphemeralDataProtectionProvider()));

        ClusterSummary summary = await second.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.AuthFailed);
        Assert.Equal(ClusterFault.CredentialsUnreadable, summary.Fault!.Kind);
        await second.Cluster("eu-1").ReplaceCredentialsAsync(
            new ReplaceCredentials { Connection = second.Protect(FleetHost.ConnectionTo(member)) }, CancellationToken.None).WaitAsync(FleetHost.Patience);
        await second.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Online);
    }

    private static async Task<MirroredKind> ConfigMapsAsync(FleetHost host)
        => (await host.Cluster("eu-1").DescribeAsync()).Kinds.Single(kind => kind.Plural == "configmaps");

    private static async Task<FleetChange> UntilAsync(FleetHost host, Func<FleetChange, bool> wanted)
    {
        using var deadline = new CancellationTokenSource(FleetHost.Patience);
        await foreach (FleetChange change in host.Fleet.WatchAsync(deadline.Token).WithCancellation(deadline.Token))
        {
            if (wanted(change))
            {
                return change;
            }
        }

        throw new TimeoutException("The fleet did not become as wanted.");
    }
}
