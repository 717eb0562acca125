using System.Text.Json.Nodes;

namespace MultiCluster.Deploy.Tests.Support;

/// <summary>Shorthand for what the tests read in manifests.</summary>
internal static class Manifests
{
    public static string Kind(this JsonObject manifest) => manifest.Text("kind");

    public static string Name(this JsonObject manifest) => manifest.Text("metadata.name");

    /// <summary>Kind and name, for messages and for sets.</summary>
    public static string Id(this JsonObject manifest) => $"{manifest.Kind()}/{manifest.Name()}";

    public static JsonNode? At(this JsonNode? node, string path) =>
        path.Split('.').Aggregate(node, (at, key) => (at as JsonObject)?[key]);

    public static string Text(this JsonNode? node, string path) => node.At(path)?.ToString() ?? "";

    public static IEnumerable<JsonObject> Items(this JsonNode? node, string path) => (node.At(path) as JsonArray ?? []).OfType<JsonObject>();

    public static IEnumerable<JsonObject> OfKind(this IEnumerable<JsonObject> manifests, string kind) => manifests.Where(m => m.Kind() == kind);

    public static Dictionary<string, string> Labels(this JsonNode? node, string path) =>
        (node.At(path) as JsonObject ?? []).ToDictionary(p => p.Key, p => p.Value!.ToString());

    /// <summary>The pods that a workload makes.</summary>
    public static List<Workload> Workloads(this IEnumerable<JsonObject> manifests) =>
        [.. manifests.Where(m => m.Kind() is "Deployment" or "StatefulSet").Select(m => new Workload(m))];
}

/// <summary>A Deployment or StatefulSet.</summary>
internal sealed class Workload(JsonObject manifest)
{
    public JsonObject Manifest { get; } = manifest;

    public string Id => Manifest.Id();

    public JsonObject Pod { get; } = (JsonObject)manifest.At("spec.template.spec")!;

    public Dictionary<string, string> Labels { get; } = manifest.Labels("spec.template.metadata.labels");

    public List<JsonObject> Containers => [.. Pod.Items("containers")];

    public List<JsonObject> AllContainers => [.. Pod.Items("initContainers"), .. Pod.Items("containers")];

    public HashSet<string> PortNames => [.. Containers.SelectMany(c => c.Items("ports")).Select(p => p.Text("name"))];

    /// <summary>Whether it runs the service, and not a database beside it.</summary>
    public bool IsOurs => Labels["app.kubernetes.io/name"] == "multicluster";

    public bool Matches(Dictionary<string, string> selector) => selector.All(p => Labels.GetValueOrDefault(p.Key) == p.Value);
}
