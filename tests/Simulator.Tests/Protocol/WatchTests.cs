using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Tests.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Simulator.Tests.Protocol;

public sealed class WatchTests : IAsyncLifetime
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
    public async Task Watch_SelectionLeftAndEntered_DeletedWithOldStateThenAdded()
    {
        using WatchReader watch = await _client.WatchAsync($"{Path}?watch=true&labelSelector=t%3Dx&resourceVersion={_cluster.Revision}");
        await _client.CreateAsync(Path, ApiClient.ConfigMap("a", labels: "\"t\":\"x\""));
        await PatchAsync("a", """{"metadata":{"labels":{"t":"y"}}}""");
        await PatchAsync("a", """{"metadata":{"labels":{"t":"x"}}}""");

        Assert.Equal("ADDED a", await watch.NextShortAsync());
        JsonNode left = (await watch.NextAsync())!;
        Assert.Equal("DELETED", left["type"]!.GetValue<string>());
        Assert.Equal("x", left["object"]!["metadata"]!["labels"]!["t"]!.GetValue<string>());
        JsonNode entered = (await watch.NextAsync())!;
        Assert.Equal("ADDED", entered["type"]!.GetValue<string>());
        Assert.True(Revision(left) < Revision(entered));
    }

    [Fact]
    public async Task Watch_InitialEvents_EndWithAnnotatedBookmark()
    {
        await _client.CreateAsync(Path, ApiClient.ConfigMap("a"));
        using WatchReader watch = await _client.WatchAsync(
            Path + "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan");

        Assert.Equal("ADDED a", await watch.NextShortAsync());
        JsonNode mark = (await watch.NextAsync())!;
        Assert.Equal("BOOKMARK", mark["type"]!.GetValue<string>());
        Assert.Equal("true", mark["object"]!["metadata"]!["annotations"]!["k8s.io/initial-events-end"]!.GetValue<string>());
    }

    [Fact]
    public async Task Watch_InitialEventsWithoutTheFeature_422()
    {
        _cluster.WatchList = false;

        (int status, JsonNode body) = await _client.CallAsync("GET", Path + "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan");

        Assert.Equal((422, "Invalid"), (status, body["reason"]!.GetValue<string>()));
    }

    [Fact]
    public async Task Watch_Minute_BookmarkOnlyWhenTheRevisionMoved()
    {
        int armed = _time.ArmedCount;
        using WatchReader watch = await _client.WatchAsync($"{Path}?watch=true&allowWatchBookmarks=true&resourceVersion={_cluster.Revision}");
        await _time.TimerArmed(armed + 3).WaitAsync(ApiClient.Deadline);
        _time.Advance(TimeSpan.FromSeconds(60));
        _cluster.Objects.Create("""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}""");
        _time.Advance(TimeSpan.FromSeconds(60));

        JsonNode mark = (await watch.NextAsync())!;

        Assert.Equal("BOOKMARK", mark["type"]!.GetValue<string>());
        Assert.Equal(_cluster.Revision, Revision(mark));
    }

    [Fact]
    public async Task Watch_Timeout_EndsCleanly()
    {
        int armed = _time.ArmedCount;
        using WatchReader watch = await _client.WatchAsync($"{Path}?watch=true&timeoutSeconds=7&resourceVersion={_cluster.Revision}");
        await _time.TimerArmed(armed + 1).WaitAsync(ApiClient.Deadline);
        _time.Advance(TimeSpan.FromSeconds(7));

        Assert.Null(await watch.NextAsync());
    }

    [Fact]
    public async Task Watch_RevisionForgotten_OneErrorEventThenTheEnd()
    {
        long old = _cluster.Revision;
        await _client.CreateAsync(Path, ApiClient.ConfigMap("a"));
        await _cluster.RestartAsync();
        using var client = new ApiClient(_cluster);
        using WatchReader watch = await client.WatchAsync($"{Path}?watch=true&resourceVersion={old}");

        JsonNode error = (await watch.NextAsync())!;

        Assert.Equal(("ERROR", 410, "Expired"), (
            error["type"]!.GetValue<string>(), error["object"]!["code"]!.GetValue<int>(), error["object"]!["reason"]!.GetValue<string>()));
        Assert.Null(await watch.NextAsync());
    }

    [Fact]
    public async Task Watch_Table_ColumnsInTheFirstEventOnly()
    {
        using WatchReader watch = await _client.WatchAsync(
            $"{Path}?watch=true&resourceVersion={_cluster.Revision}", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
        await _client.CreateAsync(Path, ApiClient.ConfigMap("a"));
        await _client.CreateAsync(Path, ApiClient.ConfigMap("b"));

        Assert.NotNull((await watch.NextAsync())!["object"]!["columnDefinitions"]);
        Assert.Null((await watch.NextAsync())!["object"]!["columnDefinitions"]);
    }

    [Fact]
    public async Task Watch_StateRestored_ResourceVersionsStepBack()
    {
        ClusterSnapshot before = _cluster.Snapshot();
        await _client.CreateAsync(Path, ApiClient.ConfigMap("a"));
        _cluster.Restore(before);

        JsonNode list = await _client.GetAsync(Path);

        Assert.Empty(list["items"]!.AsArray());
        Assert.Equal(before.Revision, long.Parse(list["metadata"]!["resourceVersion"]!.GetValue<string>()));
    }

    private static long Revision(JsonNode e) => long.Parse(e["object"]!["metadata"]!["resourceVersion"]!.GetValue<string>());

    private async Task PatchAsync(string name, string patch)
    {
        (int status, JsonNode body) = await _client.CallAsync("PATCH", $"{Path}/{name}", patch, "application/merge-patch+json");
        Assert.True(status == 200, body.ToJsonString());
    }
}
