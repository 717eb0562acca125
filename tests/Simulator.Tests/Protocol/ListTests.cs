using System.Net;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Tests.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Simulator.Tests.Protocol;

public sealed class ListTests : IAsyncLifetime
{
    private const string Path = "/api/v1/namespaces/kube-public/configmaps";

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

    [Fact]
    public async Task List_SeveralNamespaces_OrderedByBytesOfTheKey()
    {
        foreach (string ns in (string[])["a", "a-b", "a0"])
        {
            foreach (string name in (string[])["m.2", "m-1", "m"])
            {
                _cluster.Objects.Create($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"{{{ns}}}"}}""");
            }
        }

        JsonNode list = await _client.GetAsync("/api/v1/configmaps");

        Assert.Equal(
            ["a-b/m", "a-b/m-1", "a-b/m.2", "a/m", "a/m-1", "a/m.2", "a0/m", "a0/m-1", "a0/m.2"],
            list["items"]!.AsArray().Select(i => $"{i!["metadata"]!["namespace"]}/{i["metadata"]!["name"]}"));
        Assert.Null(list["items"]![0]!["kind"]);
    }

    [Fact]
    public async Task List_InPages_ShowsOneRevisionWhateverIsWrittenMeanwhile()
    {
        await CreateAsync("c1", "c2", "c3", "c4", "c5");
        JsonNode first = await _client.GetAsync(Path + "?limit=2");
        Assert.Equal(3, first["metadata"]!["remainingItemCount"]!.GetValue<int>());
        Assert.True(_cluster.Objects.Delete("v1", "ConfigMap", "kube-public", "c4"));
        await CreateAsync("c3a");

        JsonNode second = await _client.GetAsync($"{Path}?limit=2&continue={first["metadata"]!["continue"]}");
        JsonNode third = await _client.GetAsync($"{Path}?limit=2&continue={second["metadata"]!["continue"]}");

        Assert.Equal(["c3", "c4"], Names(second));
        Assert.Equal(["c5"], Names(third));
        Assert.Equal(first["metadata"]!["resourceVersion"]!.ToString(), third["metadata"]!["resourceVersion"]!.ToString());
        Assert.Null(third["metadata"]!["continue"]);
    }

    [Fact]
    public async Task List_ContinueAfterCompaction_410WithTokenThatGoesOn()
    {
        await CreateAsync("c1", "c2", "c3");
        JsonNode first = await _client.GetAsync(Path + "?limit=1");
        await CreateAsync("c2a");
        _cluster.Compact();

        (int status, JsonNode expired) = await _client.CallAsync("GET", $"{Path}?limit=9&continue={first["metadata"]!["continue"]}");
        Assert.Equal((410, "Expired"), (status, expired["reason"]!.GetValue<string>()));

        JsonNode rest = await _client.GetAsync($"{Path}?limit=9&continue={expired["metadata"]!["continue"]}");
        Assert.Equal(["c2", "c2a", "c3"], Names(rest));
    }

    [Fact]
    public async Task List_ExactOlderRevision_ShowsThatTime()
    {
        await CreateAsync("c1");
        long before = _cluster.Revision;
        await CreateAsync("c2");
        _cluster.Objects.Delete("v1", "ConfigMap", "kube-public", "c1");

        JsonNode list = await _client.GetAsync($"{Path}?resourceVersion={before}&resourceVersionMatch=Exact");

        Assert.Equal(["c1"], Names(list));
        Assert.Equal(before.ToString(), list["metadata"]!["resourceVersion"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("?labelSelector=t%3Dx", "c1")]
    [InlineData("?labelSelector=t%21%3Dx", "c2,c3")]
    [InlineData("?labelSelector=t%20in%20(x,y)", "c1,c2")]
    [InlineData("?labelSelector=!t", "c3")]
    [InlineData("?labelSelector=t%20notin%20(x)", "c2,c3")]
    [InlineData("?fieldSelector=metadata.name%3Dc2", "c2")]
    [InlineData("?fieldSelector=metadata.name!%3Dc2", "c1,c3")]
    [InlineData("?limit=2&resourceVersion=0", "c1,c2,c3")]
    public async Task List_Selected_TakesWhatFits(string query, string names)
    {
        await _client.CreateAsync(Path, ApiClient.ConfigMap("c1", labels: "\"t\":\"x\""));
        await _client.CreateAsync(Path, ApiClient.ConfigMap("c2", labels: "\"t\":\"y\""));
        await _client.CreateAsync(Path, ApiClient.ConfigMap("c3"));

        Assert.Equal(names, string.Join(',', Names(await _client.GetAsync(Path + query))));
    }

    [Fact]
    public async Task List_FutureRevision_504AfterThreeSeconds()
    {
        int armed = _time.ArmedCount;
        Task<(int Status, JsonNode Body)> call = _client.CallAsync("GET", Path + "?resourceVersion=999999&resourceVersionMatch=NotOlderThan");
        await _time.TimerArmed(armed + 1).WaitAsync(ApiClient.Deadline);
        _time.Advance(TimeSpan.FromSeconds(3));

        (int status, JsonNode body) = await call;

        Assert.Equal((504, "Timeout"), (status, body["reason"]!.GetValue<string>()));
    }

    [Fact]
    public async Task List_LargeWithGzip_Compressed()
    {
        _cluster.Objects.SeedPods(new Simulator.Seeding.PodSeed(50));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/pods");
        request.Headers.TryAddWithoutValidation("Accept-Encoding", "gzip");
        using HttpResponseMessage response = await _client.Http.SendAsync(request).WaitAsync(ApiClient.Deadline);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["gzip"], response.Content.Headers.ContentEncoding);
    }

    private static string[] Names(JsonNode list) => [.. list["items"]!.AsArray().Select(i => i!["metadata"]!["name"]!.GetValue<string>())];

    private async Task CreateAsync(params string[] names)
    {
        foreach (string name in names)
        {
            await _client.CreateAsync(Path, ApiClient.ConfigMap(name));
        }
    }
}
