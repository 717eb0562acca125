using System.Text;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Grains.Tests.Reads;

/// <summary>Live reads against a whole API server.</summary>
public sealed class LiveReaderTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    private SimulatedCluster _cluster = null!;
    private KubeClient _client = null!;
    private ReadSource _source = null!;
    private ClusterReader _reader = null!;

    public async Task InitializeAsync()
    {
        _cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Housekeeping = false }).WaitAsync(Soon);
        _client = new KubeClient(Kubeconfig.Parse(_cluster.KubeconfigYaml(), "simulated").Require());
        _source = new ReadSource(new ClusterMirror("eu-1", new FleetClock(TimeProvider.System), TimeProvider.System, new MirrorBounds()))
        {
            Client = _client,
            Surface = await new DiscoveryReader(_client).ReadAsync().WaitAsync(Soon),
        };
        _reader = new ClusterReader(_source, TimeProvider.System);
        for (int i = 0; i < 25; i++)
        {
            string body = $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m{{{i:d2}}}","labels":{"even":"{{{i % 2 == 0}}}"}},"data":{"size":"{{{i}}}"} }""";
            await _client.SendAsync(HttpMethod.Post, "/api/v1/namespaces/default/configmaps", Encoding.UTF8.GetBytes(body), "application/json").WaitAsync(Soon);
        }
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    [Theory]
    [InlineData(null, null, "", 25)]
    [InlineData("even=True", null, "", 13)]
    [InlineData("even!=True", "data.size > 10", "", 7)]
    [InlineData(null, "metadata.name != m03", "m0*", 9)]
    [InlineData(null, "metadata.managedFields[*].operation exists", "", 25)]
    public async Task List_Pages_FindsEverythingOnceWhoeverDecides(string? labels, string? fields, string name, int expected)
    {
        var query = new ObjectQuery { Kind = "cm", Namespaces = ["default"], LabelSelector = labels, FieldSelector = fields, Names = name.Length == 0 ? [] : [name] };
        List<string> names = [];
        string? token = null;
        do
        {
            ClusterPage page = await _reader.ListAsync(
                new ClusterListRequest { Query = query, Limit = 4, Live = true, LiveContinue = token, Revision = 1, Deadline = Soon }, default).WaitAsync(Soon);
            Assert.Equal((CoverageState.Ok, null), (page.Coverage.State, page.Coverage.Fault));
            Assert.InRange(page.Rows.Length, 0, 4);
            foreach (ObjectRow row in page.Rows)
            {
                string json = Encoding.UTF8.GetString(page.Payload, row.Offset, row.Length);
                Assert.StartsWith("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\"", json, StringComparison.Ordinal);
                names.Add(row.Name);
            }

            token = page.LiveContinue;
            Assert.Equal(token is not null, page.More);
        }
        while (token is not null);

        Assert.Equal(expected, names.Count(n => n.StartsWith('m')));
        Assert.Equal(names.Order(StringComparer.Ordinal), names);
    }

    [Fact]
    public async Task Get_ObjectAndNone_AnswersBoth()
    {
        ClusterPage page = await _reader.GetAsync(
            new ClusterGetRequest { Kind = "configmaps", Key = new ObjectKey("default", "m01"), Live = true }, default).WaitAsync(Soon);
        Assert.Equal("m01", Assert.Single(page.Rows).Name);
        Assert.Contains("managedFields", Encoding.UTF8.GetString(page.Payload), StringComparison.Ordinal);
        page = await _reader.GetAsync(
            new ClusterGetRequest { Kind = "configmaps", Key = new ObjectKey("default", "none"), Live = true }, default).WaitAsync(Soon);
        Assert.Empty(page.Rows);
        Assert.Equal(CoverageState.Ok, page.Coverage.State);
    }

    [Fact]
    public async Task List_MemberGone_IsOffline()
    {
        await _cluster.StopListeningAsync().WaitAsync(Soon);
        ClusterPage page = await _reader.ListAsync(
            new ClusterListRequest { Query = new ObjectQuery { Kind = "cm" }, Limit = 4, Live = true, Revision = 1, Deadline = TimeSpan.FromSeconds(2) },
            default).WaitAsync(Soon);
        Assert.Contains(page.Coverage.State, (CoverageState[])[CoverageState.Offline, CoverageState.Timeout]);
        Assert.NotNull(page.Coverage.Fault);
        _source.Client = null;
        _source.Phase = ClusterPhase.AuthFailed;
        page = await _reader.ListAsync(
            new ClusterListRequest { Query = new ObjectQuery { Kind = "cm" }, Limit = 4, Live = true, Revision = 1 }, default).WaitAsync(Soon);
        Assert.Equal(CoverageState.Forbidden, page.Coverage.State);
    }
}
