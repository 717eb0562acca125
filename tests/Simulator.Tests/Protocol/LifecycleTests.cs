using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Tests.Hosting;

namespace MultiCluster.Simulator.Tests.Protocol;

public sealed class LifecycleTests : IAsyncLifetime
{
    private const string Widgets =
        """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com",
        "scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","shortNames":["wd"]},"versions":[{"name":"v1","served":true,"storage":true,
        "subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas"}},
        "selectableFields":[{"jsonPath":".spec.color"}],"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","required":["size"],
        "properties":{"size":{"type":"integer","minimum":1,"maximum":10},"replicas":{"type":"integer"},"color":{"type":"string","default":"grey"}}},
        "status":{"type":"object","properties":{"phase":{"type":"string"}}}}}}}]}}
        """;

    private SimulatedCluster _cluster = null!;
    private ApiClient _client = null!;

    public async Task InitializeAsync()
    {
        _cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false });
        _client = new ApiClient(_cluster);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _cluster.DisposeAsync();
    }

    [Fact]
    public async Task Namespace_Deleted_TakesItsContentAlong()
    {
        await _client.CreateAsync("/api/v1/namespaces", """{"metadata":{"name":"leaving"}}""");
        await _client.CreateAsync("/api/v1/namespaces/leaving/configmaps", ApiClient.ConfigMap("a"));
        using WatchReader watch = await _client.WatchAsync($"/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3Dleaving&resourceVersion={_cluster.Revision}");

        (int status, JsonNode answer) = await _client.CallAsync("DELETE", "/api/v1/namespaces/leaving");

        Assert.Equal((200, "Terminating"), (status, answer["status"]!["phase"]!.GetValue<string>()));
        string? last;
        do
        {
            last = await watch.NextShortAsync();
        }
        while (last == "MODIFIED leaving");

        Assert.Equal("DELETED leaving", last);
        Assert.Null(_cluster.Objects.Get("v1", "ConfigMap", "leaving", "a"));
    }

    [Fact]
    public async Task Owner_DeletedInEachWay_DependentsFollowOrStay()
    {
        string uid = (await _client.CreateAsync("/api/v1/namespaces/default/configmaps", ApiClient.ConfigMap("owner")))["metadata"]!["uid"]!.GetValue<string>();
        _cluster.Objects.Create(
            $$$"""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"owned","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"{{{uid}}}"}]}}""");
        using WatchReader watch = await _client.WatchAsync($"/api/v1/namespaces/default/secrets?watch=true&resourceVersion={_cluster.Revision}");

        (int status, _) = await _client.CallAsync("DELETE", "/api/v1/namespaces/default/configmaps/owner");

        Assert.Equal(200, status);
        Assert.Equal("DELETED owned", await watch.NextShortAsync());
    }

    [Fact]
    public async Task CustomResource_FromDefinitionToDeletion()
    {
        using WatchReader definition = await _client.WatchAsync(
            $"/apis/apiextensions.k8s.io/v1/customresourcedefinitions?watch=true&resourceVersion={_cluster.Revision}");
        await _client.CreateAsync("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Widgets);
        Assert.Equal("ADDED widgets.example.com", await definition.NextShortAsync());
        JsonNode named = (await definition.NextAsync())!;
        Assert.Contains("Installing", named.ToJsonString(), StringComparison.Ordinal);
        JsonNode established = (await definition.NextAsync())!;
        Assert.Contains("InitialNamesAccepted", established.ToJsonString(), StringComparison.Ordinal);
        await UntilAsync(async () =>
        {
            // Plain text and not a Status until the group is served.
            using HttpResponseMessage served = await _client.SendAsync("GET", "/apis/example.com/v1");
            return (int)served.StatusCode == 200;
        });

        const string Path = "/apis/example.com/v1/namespaces/default/widgets";
        JsonNode made = await _client.CreateAsync(Path, """{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"one"},"spec":{"size":3,"extra":1}}""");
        Assert.Equal("grey", made["spec"]!["color"]!.GetValue<string>());
        Assert.Null(made["spec"]!["extra"]);
        (int invalid, JsonNode why) = await _client.CallAsync("POST", Path, """{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"bad"},"spec":{"size":99}}""");
        Assert.True(invalid == 422, why.ToJsonString());
        JsonNode selected = await _client.GetAsync(Path + "?fieldSelector=spec.color%3Dgrey");
        Assert.Equal("Widget", Assert.Single(selected["items"]!.AsArray())!["kind"]!.GetValue<string>());
        (int scaled, JsonNode scale) = await _client.CallAsync("PATCH", Path + "/one/scale", """{"spec":{"replicas":4}}""", "application/merge-patch+json");
        Assert.True(scaled == 200, scale.ToJsonString());
        (int applied, JsonNode second) = await _client.CallAsync(
            "PATCH", Path + "/two?fieldManager=me", "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: two\nspec:\n  size: 2\n", "application/apply-patch+yaml");
        Assert.True(applied == 201, second.ToJsonString());

        using WatchReader watch = await _client.WatchAsync($"{Path}?watch=true&resourceVersion={_cluster.Revision}");
        await _client.CallAsync("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com");
        Assert.Equal("DELETED one", await watch.NextShortAsync());
        Assert.Equal("DELETED two", await watch.NextShortAsync());
        Assert.Null(await watch.NextAsync());
        using HttpResponseMessage gone = await _client.SendAsync("GET", Path);
        Assert.Equal(404, (int)gone.StatusCode);
    }

    [Fact]
    public async Task Apply_OtherManagersField_ConflictUntilForced()
    {
        const string Path = "/api/v1/namespaces/default/configmaps/applied?fieldManager=";
        const string Yaml = "application/apply-patch+yaml";
        (int made, _) = await _client.CallAsync("PATCH", Path + "one", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"a":"1"}}""", Yaml);
        (int conflict, JsonNode why) = await _client.CallAsync("PATCH", Path + "two", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"a":"2"}}""", Yaml);
        (int forced, JsonNode taken) = await _client.CallAsync("PATCH", Path + "two&force=true", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"a":"2"}}""", Yaml);

        Assert.Equal((201, 409, 200), (made, conflict, forced));
        Assert.Equal(".data.a", why["details"]!["causes"]![0]!["field"]!.GetValue<string>());
        Assert.Equal("2", taken["data"]!["a"]!.GetValue<string>());
    }

    [Fact]
    public async Task Finalizer_HoldsUntilTakenOff()
    {
        const string Path = "/api/v1/namespaces/default/configmaps/held";
        await _client.CreateAsync(
            "/api/v1/namespaces/default/configmaps", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","finalizers":["example.com/hold"]}}""");
        (int marked, JsonNode answer) = await _client.CallAsync("DELETE", Path);
        Assert.Equal(200, marked);
        Assert.NotNull(answer["metadata"]!["deletionTimestamp"]);

        (int freed, _) = await _client.CallAsync("PATCH", Path, """{"metadata":{"finalizers":null}}""", "application/merge-patch+json");
        (int gone, _) = await _client.CallAsync("GET", Path);

        Assert.Equal((200, 404), (freed, gone));
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var deadline = new CancellationTokenSource(ApiClient.Deadline);
        while (!await holds())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }
}
