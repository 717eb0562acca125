using System.Collections.Immutable;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Mirror;
using MultiCluster.Reads;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;

namespace MultiCluster.Grains.Tests.Cluster;

/// <summary>A mirror is filled beside the one that answers, and the grain goes on with it at its new place.</summary>
/// <remarks>One silo: the grain "moves" by losing its memory there, which is what a move is, seen from the new place.</remarks>
public sealed class StandbyTests
{
    private const string Settings = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"},"data":{"a":"b"}}""";

    [Fact]
    public async Task Move_StandbyIsReady_GrainAnswersAtOnceWithWhatItHasFilled()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });

        await UntilReadyAsync(host, "eu-1");
        await host.LoseAsync("eu-1");

        // Not one try more: the very first answer of the new activation is whole.
        ClusterPage page = await host.ListAsync("eu-1", "configmaps");
        Assert.Equal(CoverageState.Ok, page.Coverage.State);
        Assert.Contains("settings", FleetHost.NamesOf(page));
        Assert.Contains(host.Log, line => line.Contains("eu-1: has moved here", StringComparison.Ordinal));

        member.Objects.Create(Settings.Replace("settings", "later", StringComparison.Ordinal));
        await host.UntilListedAsync("eu-1", "configmaps", p => FleetHost.NamesOf(p).Contains("later"));
        await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Online);
    }

    [Fact]
    public async Task Move_RevisionFromBefore_IsExpired_AndOneFromAfterwardsGoesOn()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await UntilReadyAsync(host, "eu-1");

        // The standby has seen all there is; what the grain at the old place has told by then, it cannot know.
        long before = host.Clock.Now();
        await host.LoseAsync("eu-1");
        long after = (await host.ListAsync("eu-1", "configmaps")).Coverage.State == CoverageState.Ok ? host.Clock.Now() : 0;

        await using var late = new WatchReader(host, "eu-1", "configmaps", before);
        await late.EndedAsync();
        Assert.Equal(WatchEnd.Expired, late.End);

        await using var watch = new WatchReader(host, "eu-1", "configmaps", after);
        member.Objects.Create(Settings.Replace("settings", "later", StringComparison.Ordinal));
        await watch.UntilAsync(seen => seen.Changes.Any(change => change.Contains("later", StringComparison.Ordinal)));
        Assert.Single(watch.Changes);
    }

    [Fact]
    public async Task Move_LabelsChangeAllTheTime_StandbyStaysReady_AndIsTaken()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await UntilReadyAsync(host, "eu-1");

        // Before it is asked again, and between that and the move.
        await LabelAsync("a");
        Assert.True((await host.Cluster("eu-1").PrepareMoveAsync("eu-1@here")).IsReady);
        await LabelAsync("b");
        await host.LoseAsync("eu-1");

        Assert.Contains("settings", FleetHost.NamesOf(await host.ListAsync("eu-1", "configmaps")));
        Assert.Contains(host.Log, line => line.Contains("eu-1: has moved here", StringComparison.Ordinal));
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Generation: 3 });
        Assert.Equal("b", (await host.Cluster("eu-1").DescribeAsync()).Cluster!.Labels["tier"]);

        Task LabelAsync(string tier) =>
            host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Labels = ImmutableSortedDictionary<string, string>.Empty.Add("tier", tier) });
    }

    [Fact]
    public async Task Move_ScopeHasChanged_StandbyIsTakenAndMirrorsWhatIsWanted()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await UntilReadyAsync(host, "eu-1");

        await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Mirror = MirrorScope.Default with { Include = ["configmaps"] } });
        await host.LoseAsync("eu-1");

        Assert.Equal(CoverageState.Ok, (await host.ListAsync("eu-1", "configmaps")).Coverage.State);
        await host.UntilListedAsync("eu-1", "pods", page => page.Coverage.State == CoverageState.NotMirrored);
    }

    [Fact]
    public async Task Move_CredentialsWereReplaced_StandbyIsTakenAndUsesTheNewOnes()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await UntilReadyAsync(host, "eu-1");

        await host.Cluster("eu-1").ReplaceCredentialsAsync(
            new ReplaceCredentials { Connection = host.Protect(FleetHost.ConnectionTo(member, "nobody")), Force = true }, CancellationToken.None);
        await host.LoseAsync("eu-1");

        await host.ListAsync("eu-1", "pods");
        Assert.Contains(host.Log, line => line.Contains("eu-1: has moved here", StringComparison.Ordinal));
        await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.AuthFailed);
    }

    [Fact]
    public async Task Move_WasSwitchedOff_StandbyIsLetGo()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await UntilReadyAsync(host, "eu-1");

        await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Enabled = false });
        await host.LoseAsync("eu-1");

        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Disabled, Generation: 2 });
        await host.Service<LocalClusters>().EndedAsync().WaitAsync(FleetHost.Patience);
        Assert.DoesNotContain(host.Log, line => line.Contains("eu-1: has moved here", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Prepare_ProcessIsAboutToStop_IsNeverReady()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await UntilReadyAsync(host, "eu-1");

        host.Service<LocalClusters>().BeginLeave();

        Assert.False((await host.Cluster("eu-1").PrepareMoveAsync("eu-1@here")).IsReady);
    }

    [Fact]
    public async Task Move_MemberIsDown_ItsObjectsMoveAlong_AndItIsFollowedAgainWhenItIsBack()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.SeedPods(new PodSeed(300));
        member.Objects.Create(Settings);
        member.Objects.Create("""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"key","namespace":"shop"},"data":{"password":"aHVudGVyMg=="}}""");
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member, mirror: new MirrorScope { Include = ["*", "secrets"] });
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        await member.StopListeningAsync();
        ClusterSummary before = await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Offline);
        ClusterPage pods = await host.ListAsync("eu-1", "pods");

        await UntilReadyAsync(host, "eu-1");
        await host.LoseAsync("eu-1");

        // The first answer at the new place: all there was, and how old it is.
        ClusterPage moved = await host.ListAsync("eu-1", "pods");
        Assert.Equal((CoverageState.Offline, 300), (moved.Coverage.State, moved.Rows.Length));
        Assert.Equal(pods.Rows.ToArray(), moved.Rows.ToArray());
        Assert.Equal(pods.Payload.ToArray(), moved.Payload.ToArray());
        Assert.True(moved.Coverage.Age >= pods.Coverage.Age, $"{moved.Coverage.Age} after {pods.Coverage.Age}");
        Assert.DoesNotContain("aHVudGVyMg", FleetHost.JsonOf(await host.ListAsync("eu-1", "secrets"), "key"), StringComparison.Ordinal);
        ClusterSummary after = await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Offline);
        Assert.Equal((before.Objects, before.Kinds, before.Version), (after.Objects, after.Kinds, after.Version));
        Assert.True((after.Since - before.Since).Duration() < TimeSpan.FromMilliseconds(50), $"Offline since {before.Since}, now since {after.Since}.");

        await using var watch = new WatchReader(host, "eu-1", "configmaps", host.Clock.Now());
        member.Objects.Create(Settings.Replace("settings", "later", StringComparison.Ordinal));
        await member.StartListeningAsync();
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0 });
        await watch.UntilAsync(seen => seen.Changes.Count > 0);
        Assert.Contains("later", Assert.Single(watch.Changes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Move_MemberDoesNotGiveItsObjectsOut_WhatIsKnownIsCopied()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<MirrorOptions>(o => o.StaleGrace = TimeSpan.FromSeconds(1)));
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        using IDisposable lists = member.Faults.Add(new Fault(FaultKind.Silence) { Verb = "list" });
        using IDisposable watches = member.Faults.Add(new Fault(FaultKind.Silence) { Verb = "watch" });

        Assert.False((await host.Cluster("eu-1").PrepareMoveAsync("eu-1@here")).IsReady);
        await UntilReadyAsync(host, "eu-1", copies: true);
        await host.LoseAsync("eu-1");

        ClusterPage page = await host.ListAsync("eu-1", "configmaps");
        Assert.Contains("settings", FleetHost.NamesOf(page));

        // And on, as in a rolling update, from where nothing is in step any more though the server is well.
        for (int round = 0; round < 2; round++)
        {
            ClusterPage stale = await host.UntilListedAsync("eu-1", "configmaps", p => p.Coverage.State is not CoverageState.Ok);
            await UntilReadyAsync(host, "eu-1");
            await host.LoseAsync("eu-1");
            page = await host.ListAsync("eu-1", "configmaps");
            Assert.Contains("settings", FleetHost.NamesOf(page));
            Assert.True(page.Coverage.Age >= stale.Coverage.Age, $"{page.Coverage} after {stale.Coverage}");
        }
    }

    [Fact]
    public async Task Copy_NotEverythingFits_TheKindIsReadAnewAndTheOthersAreThere()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.SeedPods(new PodSeed(2_000));
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        List<MirrorPiece> pieces = await host.Cluster("eu-1").CopyAsync(CancellationToken.None).ToListAsync();
        Assert.True(pieces.Count(p => p.GroupResource == "pods") > 1);

        var mirror = new ClusterMirror("eu-1", host.Clock, TimeProvider.System, new MirrorBounds { ByteBudget = 200_000 });
        List<string> refused = [];
        MirrorSeed? seed = await MirrorCopy.FillAsync(mirror, pieces.ToAsyncEnumerable(), (kind, _) => refused.Add(kind), CancellationToken.None);

        Assert.Equal(["pods"], refused);
        Assert.False(seed!.HeardAt.ContainsKey("pods"));
        Assert.True(mirror.TryGetKind("pods", out KindTable? pods) && pods is { IsSynced: false, ObjectCount: 0 });
        Assert.NotNull(mirror.SnapshotOf("configmaps")!.Get("shop", "settings"));
    }

    [Fact]
    public async Task Suspended_MemberHearsNothing_ObjectsStayAndAreStale_UntilResumed()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
        var clusters = host.Service<LocalClusters>();
        Assert.Equal("eu-1", Assert.Single(clusters.Names));

        clusters.Suspend();
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Stale);
        ClusterPage cut = await host.ListAsync("eu-1", "configmaps");
        Assert.Equal(ClusterFault.CutOff, cut.Coverage.Fault!.Kind);
        Assert.Contains("settings", FleetHost.NamesOf(cut));
        await NoWatchesAsync(member);
        long calls = member.Calls.Count;
        member.Objects.Create(Settings.Replace("settings", "later", StringComparison.Ordinal));

        // Registered while the process may not act: it is there, and waits as well.
        await using SimulatedCluster second = await SimulatedCluster.StartAsync();
        await host.RegisterAsync("eu-2", second);
        Assert.Equal((0, calls), (second.Faults.OpenWatches, member.Calls.Count));

        clusters.Resume();
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok && FleetHost.NamesOf(page).Contains("later"));
        await host.UntilAsync("eu-2", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
    }

    private static async Task NoWatchesAsync(SimulatedCluster member)
    {
        using var deadline = new CancellationTokenSource(FleetHost.Patience);
        while (member.Faults.OpenWatches > 0)
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private static async Task UntilReadyAsync(FleetHost host, string cluster, bool copies = false)
    {
        using var deadline = new CancellationTokenSource(FleetHost.Patience);
        while (!(await host.Cluster(cluster).PrepareMoveAsync($"{cluster}@here", copies).WaitAsync(deadline.Token)).IsReady)
        {
            await Task.Yield();
        }
    }
}
