using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;
using MultiCluster.Simulator.Tests.Hosting;

namespace MultiCluster.Simulator.Tests.Patching;

/// <summary>A patch that changes nothing writes nothing: same resourceVersion, same generation, no event (recordings 179 and 180).</summary>
public sealed class EmptyPatchTests : IAsyncLifetime
{
    private const string Template = """{"metadata":{"labels":{"app":"x"} },"spec":{"containers":[{"name":"main","image":"nginx:1.27"}]} }""";

    private const string Widget = """{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"x"},"spec":{"size":3} }""";

    private static readonly string[] Objects =
    [
        """{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1"} }""",
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default"},"data":{"k":"v"} }""",
        """{"apiVersion":"v1","kind":"Service","metadata":{"name":"x","namespace":"default"},"spec":{"ports":[{"port":80}]} }""",
        """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"default"},"spec":{"containers":[{"name":"main","image":"nginx:1.27"}]} }""",
        $$$"""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"default"},"spec":{"selector":{"matchLabels":{"app":"x"} },"template":{{{Template}}} } }""",
        $$$"""{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"x","namespace":"default"},"spec":{"serviceName":"x","selector":{"matchLabels":{"app":"x"} },"template":{{{Template}}} } }""",
        $$$"""{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"x","namespace":"default"},"spec":{"selector":{"matchLabels":{"app":"x"} },"template":{{{Template}}} } }""",
        """{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x","namespace":"default"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"nginx:1.27"}]} } } }""",
        """{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"x","namespace":"default"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"} } } }""",
        """{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"x","namespace":"default"},"spec":{"podSelector":{} } }""",
        """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com",
        "scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,
        "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer"},"color":{"type":"string","default":"grey"} } } } } } }]} }
        """,
    ];

    private SimulatedCluster _cluster = null!;
    private ApiClient _client = null!;

    public async Task InitializeAsync()
    {
        _cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false });
        _client = new ApiClient(_cluster);
        foreach (string item in Objects)
        {
            _cluster.Objects.Create(item);
        }

        // Served a moment after its definition.
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using HttpResponseMessage made = await _client.SendAsync("POST", "/apis/example.com/v1/namespaces/default/widgets", Widget);
            if ((int)made.StatusCode == 201)
            {
                break;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < ApiClient.Deadline);
        }
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _cluster.DisposeAsync();
    }

    [Theory]
    [InlineData("/api/v1/nodes/node-1")]
    [InlineData("/api/v1/namespaces/default")]
    [InlineData("/api/v1/namespaces/default/configmaps/x")]
    [InlineData("/api/v1/namespaces/default/services/x")]
    [InlineData("/api/v1/namespaces/default/pods/x")]
    [InlineData("/apis/apps/v1/namespaces/default/deployments/x")]
    [InlineData("/apis/apps/v1/namespaces/default/statefulsets/x")]
    [InlineData("/apis/apps/v1/namespaces/default/daemonsets/x")]
    [InlineData("/apis/batch/v1/namespaces/default/jobs/x")]
    [InlineData("/apis/policy/v1/namespaces/default/poddisruptionbudgets/x")]
    [InlineData("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/x")]
    [InlineData("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com")]
    [InlineData("/apis/example.com/v1/namespaces/default/widgets/x")]
    public Task Patch_ThatChangesNothing_WritesNothing(string path) => CheckAsync(path);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Patch_ThatChangesNothingOfASeededObject_WritesNothing(bool managedFields)
    {
        _cluster.Objects.SeedNodes(1);
        _cluster.Objects.SeedPods(new PodSeed(3) { Namespaces = 1, Nodes = 1, NotReadyEvery = 2, ManagedFields = managedFields });
        foreach (string collection in (string[])["nodes", "pods"])
        {
            foreach (JsonNode? item in (await _client.GetAsync($"/api/v1/{collection}"))["items"]!.AsArray())
            {
                string? ns = item!["metadata"]!["namespace"]?.GetValue<string>();
                await CheckAsync($"/api/v1/{(ns is null ? "" : $"namespaces/{ns}/")}{collection}/{item["metadata"]!["name"]}");
            }
        }
    }

    private async Task CheckAsync(string path)
    {
        string before = (await _client.GetAsync(path)).ToJsonString();
        bool isCustom = path.Contains("/widgets/", StringComparison.Ordinal);
        bool hasStatus = path.Contains("/apps/", StringComparison.Ordinal) || path.Contains("/pods/", StringComparison.Ordinal) || path.Contains("/nodes/", StringComparison.Ordinal);
        List<(string Type, string Body)> patches =
        [
            ("application/merge-patch+json", "{}"), ("application/merge-patch+json", """{"metadata":{}}"""),
            ("application/json-patch+json", "[]"),
        ];
        if (!isCustom)
        {
            patches.Add(("application/strategic-merge-patch+json", "{}"));
            patches.Add(("application/strategic-merge-patch+json", """{"spec":{}}"""));
        }

        foreach ((string type, string body) in patches)
        {
            foreach (string target in hasStatus ? (string[])[path, path + "/status", .. path.Contains("sets/", StringComparison.Ordinal) && !path.Contains("daemon", StringComparison.Ordinal) ? new[] { path + "/scale" } : []] : [path])
            {
                (int status, JsonNode answer) = await _client.CallAsync("PATCH", target, body, type);

                Assert.True(status == 200, $"{type} {body} on {target}: {answer}");
                JsonNode after = await _client.GetAsync(path);
                Assert.True(before == after.ToJsonString(), $"{type} {body} on {target}:\n{before}\n{after.ToJsonString()}");
            }
        }
    }
}
