using System.Net;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Watching;

/// <summary>The client against a whole API server over TLS and HTTP/2.</summary>
public sealed class SimulatedClusterTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    private readonly RecordingSink _sink = new();
    private readonly CancellationTokenSource _stop = new();
    private SimulatedCluster _cluster = null!;
    private KubeClient _client = null!;
    private Reflector _reflector = null!;
    private Task _running = Task.CompletedTask;

    public async Task InitializeAsync()
    {
        _cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Housekeeping = false });
        _client = new KubeClient(Kubeconfig.Parse(_cluster.KubeconfigYaml(), "simulated").Require());
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Soon);
        await _client.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    public void Dispose() => _stop.Dispose();

    [Fact]
    public async Task Facts_OfTheServer_AreRead()
    {
        Assert.Equal(ProbeOutcome.Healthy, (await _client.ProbeAsync().WaitAsync(Soon)).Outcome);
        Assert.True((await _client.GetVersionAsync().WaitAsync(Soon)).AtLeast(1, 32));
        Assert.True((await _client.WhoAmIAsync().WaitAsync(Soon)).IsKnown);
        Assert.True((await _client.GetRulesAsync().WaitAsync(Soon)).Allows("list", "", "pods"));
        Assert.True((await _client.CanIAsync(new AccessQuestion("list", "", "pods")).WaitAsync(Soon)).Allowed);
        var discovery = new DiscoveryReader(_client);
        ApiSurface surface = await discovery.ReadAsync().WaitAsync(Soon);
        Assert.Equal("deployments.apps", surface.Find("deploy")!.GroupResource);
        Assert.Equal(surface.Hash, (await discovery.ReadAsync().WaitAsync(Soon)).Hash);
    }

    [Fact]
    public async Task Open_ServerHangs_IsATimeout()
    {
        await using var relay = new TcpRelay(new IPEndPoint(IPAddress.Loopback, _cluster.Url.Port));
        string kubeconfig = _cluster.KubeconfigYaml().Replace($":{_cluster.Url.Port}", $":{relay.Port}", StringComparison.Ordinal);
        ClusterConnection connection = Kubeconfig.Parse(kubeconfig, "simulated").Require();
        await using var client = new KubeClient(connection, new KubeClientOptions { KeepAliveDelay = TimeSpan.FromSeconds(1) });
        await using KubeStream watch = await client.OpenAsync(KubeRequest.Get("/api/v1/configmaps?watch=1&resourceVersion=0")).WaitAsync(Soon);

        relay.Cut();
        Exception broken = await Assert.ThrowsAnyAsync<Exception>(() => watch.Body.CopyToAsync(Stream.Null).WaitAsync(Soon));

        KubeError error = ErrorClassifier.FromException(broken, connection.Server);
        Assert.Equal(KubeErrorKind.Timeout, error.Kind);
        Assert.Contains("no longer answers", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_Changes_ArriveInOrder(bool streamed)
    {
        Create("a");
        Start(streamed);
        Assert.Equal(["begin", "item a"], await _sink.NextAsync(2));
        Assert.StartsWith("end ", await _sink.NextAsync(), StringComparison.Ordinal);
        Create("b");
        Assert.Equal("Added b", await _sink.NextAsync());
        Assert.True(_cluster.Objects.Delete("v1", "ConfigMap", "default", "a"));
        Assert.Equal("Deleted a", await _sink.NextAsync());
    }

    [Fact]
    public async Task Run_ServerKilledAndRestarted_CatchesUp()
    {
        Create("a");
        Start(streamed: true);
        Assert.Equal(["begin", "item a"], await _sink.NextAsync(2));
        _ = await _sink.NextAsync();
        await _cluster.StopListeningAsync().WaitAsync(Soon);
        Create("b");
        await _cluster.RestartAsync().WaitAsync(Soon);
        Assert.Equal(["begin", "item a", "item b"], await _sink.NextAsync(3));
    }

    [Fact]
    public async Task Run_ServerRestoredFromAnOlderState_ListsThatState()
    {
        Create("a");
        ClusterSnapshot old = _cluster.Snapshot();
        Create("b");
        Start(streamed: true);
        Assert.Equal(["begin", "item a", "item b"], await _sink.NextAsync(3));
        _ = await _sink.NextAsync();
        await _cluster.RestartAsync(old).WaitAsync(Soon);
        string[] heard;
        do
        {
            heard = await _sink.NextAsync(1);
        }
        while (heard[0] != "begin");

        Assert.Equal("item a", await _sink.NextAsync());
        Assert.Equal($"end {old.Revision}", await _sink.NextAsync());
    }

    [Fact]
    public async Task Run_TokenRevokedAndReplaced_WatchNeverLosesAnEvent()
    {
        var user = new SimulatedUser("rotating", "token-1", "system:masters");
        _cluster.AddUser(user);
        _client.ReplaceCredentials(_client.Connection with { Credentials = KubeCredentials.Bearer("token-1") });
        Start(streamed: true);
        Assert.Equal("begin", await _sink.NextAsync());
        _ = await _sink.NextAsync();
        _cluster.RevokeToken("token-1");
        Create("a");
        Assert.Equal("Added a", await _sink.NextAsync());   // the open watch goes on
        _ = _cluster.Faults.EndWatches("configmaps");
        Create("b");
        _cluster.AddUser(user with { Token = "token-2" });
        _client.ReplaceCredentials(_client.Connection with { Credentials = KubeCredentials.Bearer("token-2") });
        _reflector.RetryNow();
        Assert.Equal("Added b", await _sink.NextAsync());
        Assert.Equal(1, _reflector.Status.Lists);
    }

    [Fact]
    public async Task LiveReads_PagesAndObjects_AreRaw()
    {
        Create("a");
        Create("b");
        Create("c");
        ResourceType configMaps = ConfigMaps;
        LivePage first = await _client.ListAsync(new LiveListQuery(configMaps) { Namespace = "default", Limit = 2 }).WaitAsync(Soon);
        Assert.Equal((2, 1L), (first.Items.Count, first.RemainingItems));
        LivePage second = await _client.ListAsync(new LiveListQuery(configMaps) { Namespace = "default", Limit = 2, Continue = first.Continue }).WaitAsync(Soon);
        Assert.Equal((1, "", first.ResourceVersion), (second.Items.Count, second.Continue, second.ResourceVersion));
        ReadOnlyMemory<byte> one = await _client.GetObjectAsync(configMaps, "default", "a").WaitAsync(Soon);
        Assert.Equal((byte)'}', one.Span[^1]);
        KubeException missing = await Assert.ThrowsAsync<KubeException>(() => _client.GetObjectAsync(configMaps, "default", "zzz").WaitAsync(Soon));
        Assert.Equal((KubeErrorKind.NotFound, "NotFound"), (missing.Kind, missing.Error.Reason));
    }

    private static ResourceType ConfigMaps => new("", "v1", "configmaps", "ConfigMap", true);

    private void Create(string name) =>
        _ = _cluster.Objects.Create($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"default"},"data":{"k":"v"} }""");

    private void Start(bool streamed)
    {
        _reflector = new Reflector("simulated", _client, ConfigMaps, _sink, new ReflectorOptions
        {
            Namespace = "default",
            WatchList = streamed ? WatchListMode.Auto : WatchListMode.Never,
            Random = () => 0,
        });
        _running = _reflector.RunAsync(_stop.Token);
    }
}
