using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class MirroredKindsTests
{
    private const string Definition = """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},
        "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList","shortNames":["wd"]},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}
        """;

    private const string Widget = """{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"first","namespace":"default"},"spec":{"size":3}}""";

    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Silence Patience = new(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(600));

    [Fact]
    public async Task CustomResource_AppearsLater_IsMirroredAndGoesWithItsDefinition()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { KindsSyncing: 0, Kinds: > 0 });
        Assert.Equal(CoverageState.NotServed, (await host.ListAsync("eu-1", "widgets")).Coverage.State);

        member.Objects.Create(Definition);
        await host.UntilListedAsync("eu-1", "wd", page => page.Coverage.State == CoverageState.Ok);
        member.Objects.Create(Widget);
        ClusterPage page = await host.UntilListedAsync("eu-1", "widgets.example.com", page => page.Rows.Length == 1);
        Assert.Contains("\"size\":3", FleetHost.JsonOf(page, "first"), StringComparison.Ordinal);
        await using var watch = new WatchReader(host, "eu-1", "widgets", null);
        await watch.UntilAsync(seen => seen.InitialEnd);

        member.Objects.Delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", null, "widgets.example.com");

        await watch.UntilAsync(seen => seen.Changes.Contains("Deleted first"));
        await host.UntilListedAsync("eu-1", "widgets", page => page.Coverage.State == CoverageState.NotServed);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0 });
    }

    [Fact]
    public async Task Kind_Answers404ThoughItIsAnnounced_IsKeptAndComesBack()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"}}""");
        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<MirrorOptions>(mirror => mirror.DegradedAfter = 1));
        await host.RegisterAsync("eu-1", member);
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);

        member.Faults.Hide("configmaps");
        ClusterPage kept = await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.Fault?.Kind == "NotFound");
        Assert.Contains("settings", FleetHost.NamesOf(kept));
        Assert.NotNull(kept.Coverage.Age);
        member.Faults.Show("configmaps");

        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0 });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Secrets_WhenAskedFor_ShowTheirValuesOnlyWhenAskedForToo(bool withData)
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create("""
            {"apiVersion":"v1","kind":"Secret","metadata":{"name":"login","namespace":"shop","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"stringData\":{\"password\":\"hunter2\"}}"}},
            "data":{"password":"aHVudGVyMg=="},"type":"Opaque"}
            """);
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member, mirror: new MirrorScope { Include = ["*", "secrets"], SecretData = withData });

        ClusterPage page = await host.UntilListedAsync("eu-1", "secrets", page => FleetHost.NamesOf(page).Contains("login"));

        string secret = FleetHost.JsonOf(page, "login");
        Assert.Equal(withData, secret.Contains("aHVudGVyMg==", StringComparison.Ordinal));
        Assert.Equal(withData, secret.Contains("hunter2", StringComparison.Ordinal));
    }

    [Fact]
    public async Task DenyList_IsServedButNotMirrored()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { KindsSyncing: 0, Kinds: > 0 });

        ClusterKinds kinds = await host.Cluster("eu-1").GetKindsAsync();

        Assert.Equal(CoverageState.Ok, kinds.Coverage.State);
        Assert.Equal(MirrorState.NotMirrored, kinds.Kinds.Single(kind => kind is { Group: "", Plural: "secrets" }).State);
        Assert.Equal(MirrorState.Synced, kinds.Kinds.Single(kind => kind.Plural == "deployments").State);
        Assert.Equal(CoverageState.NotMirrored, (await host.ListAsync("eu-1", "events")).Coverage.State);
        Assert.DoesNotContain(member.Calls.All(), call => call.Resource is "secrets" or "events" or "leases" or "endpointslices");
    }

    [Fact]
    public async Task Kind_Forbidden_IsMirroredOnceTheRightIsGranted()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member, member.ReaderToken);
        await host.UntilListedAsync("eu-1", "clusterroles", page => page.Coverage.State == CoverageState.Forbidden);

        member.AddUser(new SimulatedUser("reader", member.ReaderToken, "system:masters"));

        await host.UntilListedAsync("eu-1", "clusterroles", page => page.Coverage.State == CoverageState.Ok && page.Rows.Length > 0);
    }

    [Fact]
    public async Task Budget_TooSmallForAKind_DegradesAndSaysSo()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        var random = new Random(1);
        for (int i = 0; i < 12; i++)
        {
            byte[] noise = new byte[200_000];
            random.NextBytes(noise);
            member.Objects.Create($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big-{{{i}}}","namespace":"shop"},"binaryData":{"noise":"{{{Convert.ToBase64String(noise)}}}"}}""");
        }

        await using FleetHost host = await FleetHost.StartAsync(configure: services => services.Configure<MirrorOptions>(mirror => mirror.DegradedAfter = 1));
        await host.RegisterAsync("eu-1", member, mirror: new MirrorScope { ByteBudget = 1 << 20 });

        ClusterSummary summary = await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Degraded });

        Assert.Equal(ClusterFault.OverBudget, summary.Fault!.Kind);
        Assert.Contains("configmaps", summary.Fault.Message, StringComparison.Ordinal);
        await host.UntilListedAsync("eu-1", "namespaces", page => page.Coverage.State == CoverageState.Ok);

        await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Mirror = new MirrorScope { ByteBudget = 1 << 30 } });
        await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok && FleetHost.NamesOf(page).Contains("big-11"));
    }

    // Failures, first list taken over, seconds since heard, error.
    [Theory]
    [InlineData(0, false, null, null, MirrorState.Syncing)]
    [InlineData(2, false, null, KubeErrorKind.Timeout, MirrorState.Syncing)]
    [InlineData(3, false, null, KubeErrorKind.Timeout, MirrorState.Failed)]
    [InlineData(0, true, 69, null, MirrorState.Synced)]
    [InlineData(0, true, 70, null, MirrorState.Synced)]
    [InlineData(0, true, 71, null, MirrorState.Stale)]
    [InlineData(2, true, 5, KubeErrorKind.ConnectionRefused, MirrorState.Synced)]
    [InlineData(3, true, 5, KubeErrorKind.ConnectionRefused, MirrorState.Failed)]
    [InlineData(9, true, 5, KubeErrorKind.Gone, MirrorState.Syncing)]
    [InlineData(1, true, 5, KubeErrorKind.Forbidden, MirrorState.Forbidden)]
    [InlineData(5, false, null, KubeErrorKind.Forbidden, MirrorState.Forbidden)]
    public void Of_StatusOfAReflector_GivesState(int failures, bool hasObjects, int? heardSecondsAgo, KubeErrorKind? error, MirrorState expected)
    {
        var status = new ReflectorStatus(ReflectorPhase.Watching, Now)
        {
            Bookmarks = true,
            Failures = failures,
            Error = error is { } kind ? new KubeError(kind, "Something.") : null,
        };

        KindHealth health = KindHealth.Of(
            status, hasObjects, heardSecondsAgo is { } ago ? Now.AddSeconds(-ago) : null, Now, Patience, failedAfter: 3);

        Assert.Equal(expected, health.State);
    }

    [Fact]
    public void Of_ServerThatCallsEveryVersionTooOld_HasFailed()
    {
        var status = new ReflectorStatus(ReflectorPhase.Listing, Now) { Failures = 3, FailuresAlike = 3, Error = new KubeError(KubeErrorKind.Gone, "Too old.") };
        Assert.Equal(MirrorState.Failed, KindHealth.Of(status, hasObjects: true, Now, Now, Patience, failedAfter: 3).State);
    }

    // Phase, whether the open watch has bookmarks, seconds since heard, seconds since it began to fail.
    [Theory]
    [InlineData(ReflectorPhase.Watching, true, 70, null, false)]
    [InlineData(ReflectorPhase.Watching, true, 71, null, true)]
    [InlineData(ReflectorPhase.Watching, false, 71, null, false)]
    [InlineData(ReflectorPhase.Watching, false, 610, null, false)]
    [InlineData(ReflectorPhase.Watching, false, 611, null, true)]
    [InlineData(ReflectorPhase.BackingOff, false, 10, 5, false)]
    [InlineData(ReflectorPhase.BackingOff, false, 60, 10, false)]
    [InlineData(ReflectorPhase.BackingOff, false, 60, 11, true)]
    [InlineData(ReflectorPhase.Listing, false, 60, null, true)]
    [InlineData(ReflectorPhase.Listing, false, 10, null, false)]
    [InlineData(ReflectorPhase.Listing, false, null, null, true)]
    public void IsTooLong_Silence_IsWhatTheWatchDoesNotExplain(ReflectorPhase phase, bool bookmarks, int? heardSecondsAgo, int? failingSeconds, bool expected)
    {
        var status = new ReflectorStatus(phase, Now)
        {
            Bookmarks = bookmarks,
            FailingSince = failingSeconds is { } failing ? Now.AddSeconds(-failing) : null,
        };

        Assert.Equal(expected, Patience.IsTooLong(status, heardSecondsAgo is { } ago ? Now.AddSeconds(-ago) : null, Now));
    }
}
