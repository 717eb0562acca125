using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Tests.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Simulator.Tests.Faults;

public sealed class FaultTests : IAsyncLifetime
{
    private const string Path = "/api/v1/namespaces";

    private readonly ManualTimeProvider _time = new();
    private SimulatedCluster _cluster = null!;
    private ApiClient _client = null!;

    public async Task InitializeAsync()
    {
        _cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false, Time = _time, Housekeeping = false });
        _client = new ApiClient(_cluster);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _cluster.DisposeAsync();
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Fail_Twice_ThenAnswersAgain(int code)
    {
        _cluster.Faults.Fail(code, times: 2, verb: "list", resource: "namespaces", retryAfterSeconds: 3);

        using HttpResponseMessage first = await _client.SendAsync("GET", Path);
        using HttpResponseMessage other = await _client.SendAsync("GET", "/api/v1/nodes");
        using HttpResponseMessage second = await _client.SendAsync("GET", Path);
        using HttpResponseMessage third = await _client.SendAsync("GET", Path);

        Assert.Equal([code, 200, code, 200], new[] { first, other, second, third }.Select(r => (int)r.StatusCode));
        Assert.Equal("3", first.Headers.RetryAfter?.ToString());
    }

    [Fact]
    public async Task HalfDocument_EndsCleanlyInTheMiddle()
    {
        using IDisposable fault = _cluster.Faults.Add(new Fault(FaultKind.HalfDocument) { Bytes = 100 });
        using HttpResponseMessage response = await _client.SendAsync("GET", Path);
        string body = await response.Content.ReadAsStringAsync();

        Assert.Equal(100, body.Length);
        Assert.ThrowsAny<JsonException>(() => JsonNode.Parse(body));
    }

    [Fact]
    public async Task CutStream_BreaksTheBody()
    {
        using IDisposable fault = _cluster.Faults.Add(new Fault(FaultKind.CutStream) { Bytes = 100 });

        await Assert.ThrowsAsync<HttpRequestException>(() => _client.SendAsync("GET", Path));
    }

    [Fact]
    public async Task HtmlAndGarbage_AnswerWithoutJson()
    {
        using (_cluster.Faults.Add(new Fault(FaultKind.Html)))
        {
            using HttpResponseMessage html = await _client.SendAsync("GET", Path);
            Assert.Equal("text/html", html.Content.Headers.ContentType?.MediaType);
        }

        using (_cluster.Faults.Add(new Fault(FaultKind.Garbage) { Bytes = 64 }))
        {
            using HttpResponseMessage garbage = await _client.SendAsync("GET", Path);
            Assert.Equal(64, (await garbage.Content.ReadAsByteArrayAsync()).Length);
        }

        Assert.Equal("NamespaceList", (await _client.GetAsync(Path))["kind"]!.GetValue<string>());
    }

    [Fact]
    public async Task Latency_PassesInVirtualTime()
    {
        _cluster.Faults.Add(new Fault(FaultKind.Latency) { Delay = TimeSpan.FromSeconds(300), Times = 1 });
        int armed = _time.ArmedCount;
        Task<HttpResponseMessage> call = _client.SendAsync("GET", Path);
        await _time.TimerArmed(armed + 1).WaitAsync(ApiClient.Deadline);
        Assert.False(call.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(300));

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
    }

    [Fact]
    public async Task HugeObject_HasTheAskedSize()
    {
        using IDisposable fault = _cluster.Faults.Add(new Fault(FaultKind.HugeObject) { Bytes = 3_000_000 });
        using HttpResponseMessage response = await _client.SendAsync("GET", Path);

        JsonNode list = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;

        Assert.Equal(3_000_000, list["items"]![0]!["metadata"]!["annotations"]!["huge"]!.GetValue<string>().Length);
    }

    [Fact]
    public async Task OpenWatches_SilencedAndWoken_LoseNothing()
    {
        using WatchReader watch = await _client.WatchAsync($"{Path}?watch=true&resourceVersion={_cluster.Revision}");

        // Often, because a wake may come at any moment of the watch's turn.
        for (int i = 0; i < 500; i++)
        {
            for (int blink = 0; blink < 20; blink++)
            {
                Assert.Equal(1, _cluster.Faults.SilenceWatches("namespaces"));
                Thread.SpinWait(blink * 20);
                _cluster.Faults.WakeWatches();
            }

            Assert.Equal(1, _cluster.Faults.SilenceWatches("namespaces"));
            _cluster.Objects.Create($$"""{"apiVersion":"v1","kind":"Namespace","metadata": {"name": "quiet-{{i}}" } }""");
            _cluster.Faults.WakeWatches();

            Assert.Equal($"ADDED quiet-{i}", await watch.NextShortAsync());
        }
    }

    [Fact]
    public async Task OpenWatches_ExpiredCutEnded_EachInItsWay()
    {
        using WatchReader expired = await _client.WatchAsync($"{Path}?watch=true&resourceVersion={_cluster.Revision}");
        _cluster.Faults.ExpireWatches();
        Assert.Equal(410, (await expired.NextAsync())!["object"]!["code"]!.GetValue<int>());
        Assert.Null(await expired.NextAsync());

        using WatchReader ended = await _client.WatchAsync($"{Path}?watch=true&resourceVersion={_cluster.Revision}");
        _cluster.Faults.EndWatches();
        Assert.Null(await ended.NextAsync());

        using WatchReader cut = await _client.WatchAsync($"{Path}?watch=true&resourceVersion={_cluster.Revision}");
        _cluster.Faults.CutWatches();
        await Assert.ThrowsAnyAsync<Exception>(cut.NextAsync);
    }

    [Fact]
    public async Task Hide_Resource_404UntilShown()
    {
        _cluster.Faults.Hide("configmaps");
        (int hidden, _) = await _client.CallAsync("GET", "/api/v1/configmaps");
        _cluster.Faults.Show("configmaps");
        (int shown, _) = await _client.CallAsync("GET", "/api/v1/configmaps");

        Assert.Equal((404, 200), (hidden, shown));
    }

    [Fact]
    public async Task StopListening_RefusesUntilStartedOnTheSamePort()
    {
        Uri url = _cluster.Url;
        await _cluster.StopListeningAsync();
        await Assert.ThrowsAsync<HttpRequestException>(() => _client.SendAsync("GET", "/version"));
        await _cluster.StartListeningAsync();

        Assert.Equal(url, _cluster.Url);
        await _client.GetAsync("/version");
    }

    [Fact]
    public async Task Switchboard_OverHttp_AdminOnly()
    {
        using var reader = new ApiClient(_cluster, _cluster.ReaderToken);
        (int refused, _) = await reader.CallAsync("GET", "/simulator/faults");
        (int set, _) = await _client.CallAsync("POST", "/simulator/faults", """{"kind":"Status","statusCode":503,"resource":"nodes"}""");
        (int failed, _) = await _client.CallAsync("GET", "/api/v1/nodes");
        (int cleared, _) = await _client.CallAsync("DELETE", "/simulator/faults");
        (int works, _) = await _client.CallAsync("GET", "/api/v1/nodes");

        Assert.Equal((403, 200, 503, 200, 200), (refused, set, failed, cleared, works));
    }

    [Fact]
    public async Task HealthChecks_Failing_NamedInTheAnswer()
    {
        _cluster.Faults.FailHealthChecks("etcd");
        using HttpResponseMessage response = await _client.SendAsync("GET", "/readyz", accept: "*/*");

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains("[-]etcd failed", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
