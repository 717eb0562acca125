using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class SickClusterTests
{
    private const string Settings = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"},"data":{"a":"b"}}""";

    [Fact]
    public async Task Answers_BrokenInEveryWay_OnlyThatKindOfThatClusterIsOutOfStepAndItRecovers()
    {
        (FaultKind Kind, long Bytes, string Errors)[] cases =
        [
            (FaultKind.Html, 1000, "Protocol"),
            (FaultKind.HalfDocument, 200, "Protocol"),
            (FaultKind.Garbage, 1000, "Protocol"),
            (FaultKind.HugeObject, 100_000_000, "Protocol"),
            (FaultKind.CutStream, 200, "ConnectionRefused|Protocol"),
            (FaultKind.Abort, 0, "ConnectionRefused|Protocol"),
            (FaultKind.Silence, 0, "Timeout"),
            (FaultKind.Status, 0, "ServerError"),
        ];
        await using SimulatedCluster well = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "well", Seed = 100 });
        await using FleetHost host = await FleetHost.StartAsync(configure: Impatient);
        await host.RegisterAsync("well", well);
        DateTimeOffset since = (await host.UntilAsync("well", InStep)).Since;

        // All at once: no sick cluster may hold up another, nor the one that is well.
        await Task.WhenAll(cases.Select((one, i) => BreakAndHealAsync(host, i, one.Kind, one.Bytes, one.Errors.Split('|'))));

        ClusterSummary untouched = await host.UntilAsync("well", InStep);
        Assert.Equal((ClusterPhase.Online, since), (untouched.Phase, untouched.Since));
    }

    private static async Task BreakAndHealAsync(FleetHost host, int number, FaultKind kind, long bytes, string[] errors)
    {
        string name = $"sick-{number}";
        await using SimulatedCluster sick = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = name, Seed = number });
        sick.Objects.Create(Settings);
        await host.RegisterAsync(name, sick);
        await host.UntilAsync(name, InStep);

        IDisposable fault = sick.Faults.Add(new Fault(kind) { Resource = "configmaps", Bytes = bytes });
        sick.Faults.CutWatches("configmaps");
        sick.Objects.Create(Settings.Replace("settings", "meanwhile", StringComparison.Ordinal));
        sick.ForgetHistory();

        ClusterSummary degraded = await host.UntilAsync(name, summary => summary.Phase == ClusterPhase.Degraded);
        Assert.Equal(ClusterFault.OutOfSync, degraded.Fault!.Kind);
        Assert.Contains("configmaps", degraded.Fault.Message, StringComparison.Ordinal);
        ClusterPage kept = await host.UntilListedAsync(name, "configmaps", page => page.Coverage.Fault is { } why && errors.Contains(why.Kind));
        Assert.Contains("settings", FleetHost.NamesOf(kept));
        Assert.NotNull(kept.Coverage.Age);
        Assert.Equal(CoverageState.Ok, (await host.ListAsync(name, "namespaces")).Coverage.State);

        fault.Dispose();
        await host.UntilListedAsync(name, "configmaps", page => page.Coverage.State == CoverageState.Ok && FleetHost.NamesOf(page).Contains("meanwhile"));
        await host.UntilAsync(name, InStep);
    }

    [Fact]
    public async Task Forbidden_OnceAfterOtherFailures_IsNotGivenUp()
    {
        // As of a server that was down and starts: it refuses connections, then for a moment everybody.
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services
            .Configure<HealthOptions>(health => health.ProbeInterval = TimeSpan.FromMinutes(5))
            .Configure<MirrorOptions>(mirror => mirror.ForbiddenRetry = TimeSpan.FromMinutes(5)));
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);

        member.Faults.Add(new Fault(FaultKind.Abort) { Resource = "configmaps", Times = 2 });
        member.Faults.Add(new Fault(FaultKind.Status) { Resource = "configmaps", StatusCode = 403, Times = 1 });
        member.Faults.CutWatches("configmaps");
        member.Objects.Create(Settings.Replace("settings", "meanwhile", StringComparison.Ordinal));

        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok && FleetHost.NamesOf(page).Contains("meanwhile"));
    }

    [Fact]
    public async Task Restart_ThatNoProbeHasSeen_LeavesNoKindInALongPause()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<HealthOptions>(health => health.ProbeInterval = TimeSpan.FromMilliseconds(200)));
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);

        // With their pauses alone eight tries take more than a minute.
        member.Faults.Add(new Fault(FaultKind.Abort) { Resource = "configmaps", Times = 8 });
        member.Faults.CutWatches("configmaps");
        member.Objects.Create(Settings.Replace("settings", "meanwhile", StringComparison.Ordinal));

        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok && FleetHost.NamesOf(page).Contains("meanwhile"));
    }

    [Fact]
    public async Task Outage_KeepsObjectsSaysHowOldTheyAre_RejoinDeletesNothing()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);
        await using var watch = new WatchReader(host, "eu-1", "configmaps", null);
        await watch.UntilAsync(seen => seen.InitialEnd);
        int before = watch.Changes.Count;

        await member.StopListeningAsync();
        ClusterSummary offline = await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Offline);
        ClusterPage kept = await host.ListAsync("eu-1", "configmaps");
        member.Objects.Create(Settings.Replace("settings", "meanwhile", StringComparison.Ordinal));
        await member.RestartAsync();

        Assert.Equal("ConnectionRefused", offline.Fault!.Kind);
        Assert.Equal((CoverageState.Offline, true), (kept.Coverage.State, kept.Coverage.Age is not null));
        Assert.Contains("settings", FleetHost.NamesOf(kept));
        await host.UntilAsync("eu-1", InStep);
        await watch.UntilAsync(seen => seen.Changes.Contains("Added meanwhile"));
        Assert.Equal(["Added meanwhile"], watch.Changes.Skip(before));
    }

    [Fact]
    public async Task Restore_OfAnOlderState_IsFollowedThoughRevisionsStepBack()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        ClusterSnapshot early = member.Snapshot();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        for (int i = 0; i < 20; i++)
        {
            member.Objects.Create(Settings.Replace("settings", $"settings-{i}", StringComparison.Ordinal));
        }

        await host.UntilListedAsync("eu-1", "configmaps", page => FleetHost.NamesOf(page).Contains("settings-19"));

        await member.RestartAsync(early);
        member.Objects.Create(Settings.Replace("settings", "restored", StringComparison.Ordinal));

        ClusterPage page = await host.UntilListedAsync("eu-1", "configmaps", page => FleetHost.NamesOf(page).Contains("restored"));
        Assert.DoesNotContain("settings-0", FleetHost.NamesOf(page));
        await host.UntilAsync("eu-1", InStep);
    }

    [Fact]
    public async Task Watch_OpenedAgainWhereNothingChanges_IsQuietAndNotStale()
    {
        var serverTime = new ManualTimeProvider();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Time = serverTime });
        member.Objects.Create(Settings);
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<MirrorOptions>(mirror =>
        {
            mirror.BookmarkInterval = TimeSpan.FromSeconds(1);
            mirror.StaleGrace = TimeSpan.FromMilliseconds(100);
        }));
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);
        for (int i = 0; i < 2; i++)
        {
            // Another kind moves the revision, so that the watch of pods has something to say.
            member.Objects.Create(Settings.Replace("settings", $"settings-{i}", StringComparison.Ordinal));
            long revision = member.Revision;
            serverTime.Advance(TimeSpan.FromMinutes(1));
            await UntilPodsAsync(kind => long.Parse(kind.ResourceVersion, CultureInfo.InvariantCulture) >= revision);
        }

        long lists = await UntilPodsAsync(_ => true);
        member.Faults.CutWatches("pods");

        // A server repeats no bookmark, so a watch that begins at its newest revision is silent until something changes.
        await host.UntilListedAsync("eu-1", "pods", page => page.Coverage.Age > TimeSpan.FromSeconds(2));
        Assert.Equal(CoverageState.Ok, (await host.ListAsync("eu-1", "pods")).Coverage.State);
        Assert.Equal(lists, await UntilPodsAsync(_ => true));

        async Task<long> UntilPodsAsync(Func<MirroredKind, bool> wanted)
        {
            using var deadline = new CancellationTokenSource(FleetHost.Patience);
            while (true)
            {
                MirroredKind pods = (await host.Cluster("eu-1").DescribeAsync().WaitAsync(deadline.Token)).Kinds.Single(kind => kind.Plural == "pods");
                if (wanted(pods))
                {
                    return pods.Lists;
                }
            }
        }
    }

    [Fact]
    public async Task Watch_CannotBeOpened_IsStaleAfterTheGraceAlone()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<MirrorOptions>(mirror =>
        {
            mirror.DegradedAfter = 100;
            mirror.StaleGrace = TimeSpan.FromMilliseconds(500);
        }));
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);

        // Bookmarks come once a minute, but no watch is open that could bring one.
        member.Faults.Add(new Fault(FaultKind.Status) { Resource = "configmaps" });
        member.Faults.CutWatches("configmaps");

        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Stale);
        Assert.Equal(CoverageState.Ok, (await host.ListAsync("eu-1", "namespaces")).Coverage.State);
    }

    [Fact]
    public async Task Readyz_Flaps_LeavesNoWatchAndNoPhaseBehind()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);
        int watches = member.Faults.OpenWatches;

        for (int i = 0; i < 5; i++)
        {
            member.Faults.FailHealthChecks("etcd");
            await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Degraded);
            member.Faults.FailHealthChecks();
            await host.UntilAsync("eu-1", InStep);
        }

        Assert.Equal(watches, member.Faults.OpenWatches);
        Assert.Equal(1, (await host.Cluster("eu-1").DescribeAsync()).Kinds.Single(kind => kind.Plural == "configmaps").Lists);
    }

    [Fact]
    public async Task Readyz_FailsTwiceInARow_DoesNotShow()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        DateTimeOffset since = (await host.UntilAsync("eu-1", InStep)).Since;

        member.Faults.Add(new Fault(FaultKind.Status) { PathPrefix = "/readyz", Times = 2 });
        Task<RecordedCall> third = ProbesAsync(member, 4);

        await third.WaitAsync(FleetHost.Patience);
        ClusterSummary after = await host.UntilAsync("eu-1", _ => true);
        Assert.Equal((ClusterPhase.Online, since), (after.Phase, after.Since));
    }

    [Fact]
    public async Task List_Hangs_ItsPlaceGoesToOthers()
    {
        await using SimulatedCluster slow = await SimulatedCluster.StartAsync();
        await using SimulatedCluster well = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "well", Seed = 2 });
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<MirrorOptions>(mirror =>
        {
            mirror.ListsPerProcess = 1;
            mirror.ListsPerCluster = 1;
            mirror.ListPlaceTimeout = TimeSpan.FromMilliseconds(200);
        }));
        slow.Faults.Add(new Fault(FaultKind.Silence) { Resource = "configmaps" });
        slow.Faults.Add(new Fault(FaultKind.Silence) { Resource = "pods" });
        await host.RegisterAsync("slow", slow, mirror: new MirrorScope { Include = ["configmaps", "pods"] });
        await host.UntilListedAsync("slow", "pods", page => page.Coverage.State == CoverageState.Syncing);

        await host.RegisterAsync("well", well);

        await host.UntilAsync("well", InStep);
        Assert.Equal(CoverageState.Syncing, (await host.ListAsync("slow", "pods")).Coverage.State);
    }

    [Fact]
    public async Task Latency_OfOneCluster_DoesNotDelayOthersReads()
    {
        await using SimulatedCluster slow = await SimulatedCluster.StartAsync();
        await using SimulatedCluster well = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "well", Seed = 2 });
        await using FleetHost host = await FleetHost.StartAsync();
        slow.Faults.Add(new Fault(FaultKind.Latency) { Delay = TimeSpan.FromSeconds(300) });
        Task<RegistrationReply> hanging = host.Cluster("slow").RegisterAsync(
            new RegisterCluster { Connection = host.Protect(FleetHost.ConnectionTo(slow)), Force = true }, CancellationToken.None);

        await host.RegisterAsync("well", well);
        await host.UntilAsync("well", InStep);

        Assert.NotNull((await hanging.WaitAsync(FleetHost.Patience)).Cluster);
        ClusterSummary summary = await host.UntilAsync("slow", summary => summary.Phase == ClusterPhase.Offline);
        Assert.Equal("Timeout", summary.Fault!.Kind);
        Assert.Equal(ClusterPhase.Online, (await host.UntilAsync("well", _ => true)).Phase);
    }

    [Theory]
    [InlineData(403, ClusterPhase.Online, CoverageState.Ok)]
    [InlineData(401, ClusterPhase.AuthFailed, CoverageState.Forbidden)]
    public async Task PathsOfHealth_RefusedWhileObjectsAreRead_AreAuthFailedOnlyByWrongCredentials(int status, ClusterPhase phase, CoverageState coverage)
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", InStep);
        foreach (string path in (string[])["/readyz", "/healthz", "/livez", "/version"])
        {
            member.Faults.Add(new Fault(FaultKind.Status) { StatusCode = status, PathPrefix = path });
        }

        // One more than it takes to show, so that the last of those has been looked at.
        await ProbesAsync(member, new HealthOptions().DownAfter + 1);

        await host.UntilAsync("eu-1", summary => summary.Phase == phase);
        Assert.Equal(coverage, (await host.ListAsync("eu-1", "namespaces")).Coverage.State);
    }

    private static bool InStep(ClusterSummary summary) => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, KindsFailing: 0, KindsStale: 0, Kinds: > 0 };

    private static void Impatient(IServiceCollection services)
    {
        services.Configure<MirrorOptions>(mirror => mirror.DegradedAfter = 2);
        services.AddSingleton(Options.Create(new ReflectorOptions { ListStallTimeout = TimeSpan.FromSeconds(3) }));
        services.AddSingleton(Options.Create(new KubeClientOptions { HeadersTimeout = TimeSpan.FromSeconds(3), RequestTimeout = TimeSpan.FromSeconds(5) }));
    }

    private static async Task<RecordedCall> ProbesAsync(SimulatedCluster member, int count)
    {
        RecordedCall? last = null;
        for (int i = 0; i < count; i++)
        {
            last = await member.Calls.NextAsync(call => call.Path == "/readyz");
        }

        return last!;
    }
}
