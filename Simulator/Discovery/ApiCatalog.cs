using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Discovery;

/// <summary>Everything the server serves at one moment. Immutable; a CRD that comes or goes makes another.</summary>
internal sealed class ApiCatalog
{
    /// <summary>The resources of a kube-apiserver 1.32 without CRDs, in the order of its discovery documents.</summary>
    public static readonly ApiCatalog BuiltIn = new([.. ReadBuiltIn()]);

    private readonly FrozenDictionary<(string Group, string Version, string Plural), ApiResource> _byPath;
    private readonly FrozenDictionary<ResourceName, ApiResource> _byStorage;

    private ApiCatalog(ImmutableArray<ApiResource> resources)
    {
        Resources = resources;
        _byPath = resources.ToFrozenDictionary(r => (r.Group, r.Version, r.Plural));
        _byStorage = resources.Where(r => r.ApiVersion == r.StorageApiVersion).ToFrozenDictionary(r => r.Storage);
        Documents = new DiscoveryDocuments(resources);
    }

    public ImmutableArray<ApiResource> Resources { get; }

    /// <summary>The discovery documents of this catalog, rendered once.</summary>
    public DiscoveryDocuments Documents { get; }

    public ApiResource? Find(string group, string version, string plural) => _byPath.GetValueOrDefault((group, version, plural));

    /// <summary>The resource in its storage version; null when nothing of that name is served.</summary>
    public ApiResource? Stored(ResourceName name) => _byStorage.GetValueOrDefault(name);

    public bool HasGroup(string group) => Resources.Any(r => r.Group == group);

    public bool HasVersion(string group, string version) => Resources.Any(r => r.Group == group && r.Version == version);

    /// <summary>The built-in resources and those of the CRDs that are established.</summary>
    public static ApiCatalog With(IEnumerable<JsonObject> definitions)
    {
        ApiResource[] custom = [.. definitions.SelectMany(CustomResources.Of)];
        return custom.Length == 0 ? BuiltIn : new ApiCatalog([.. BuiltIn.Resources, .. custom]);
    }

    private static IEnumerable<ApiResource> ReadBuiltIn()
    {
        foreach (string file in (string[])["builtin-core.json", "builtin-groups.json"])
        {
            using Stream stream = typeof(ApiCatalog).Assembly.GetManifestResourceStream(file)
                ?? throw new InvalidOperationException($"{file} is not embedded.");
            using var copy = new MemoryStream();
            stream.CopyTo(copy);
            foreach (JsonNode? group in JsonTree.ParseObject(copy.ToArray())["items"]!.AsArray())
            {
                foreach (JsonNode? version in group!["versions"]!.AsArray())
                {
                    foreach (JsonNode? resource in version!["resources"]!.AsArray())
                    {
                        yield return Read(group["metadata"].Text("name") ?? "", version.Text("version")!, resource!);
                    }
                }
            }
        }
    }

    private static ApiResource Read(string group, string version, JsonNode resource)
    {
        string plural = resource.Text("resource")!;
        string kind = resource.Text("responseKind", "kind")!;

        // Events are one store under two groups, and autoscalers one under two versions; the others have one version each.
        ResourceName storage = plural == "events" ? ResourceName.Events : new ResourceName(group, plural);
        string storageVersion = plural switch
        {
            "events" => "v1",
            "horizontalpodautoscalers" => "autoscaling/v2",
            _ => group.Length == 0 ? version : $"{group}/{version}",
        };
        return new ApiResource
        {
            Group = group,
            Version = version,
            Plural = plural,
            Singular = resource.Text("singularResource") ?? "",
            Kind = kind,
            ListKind = kind + "List",
            Namespaced = resource.Text("scope") == "Namespaced",
            Verbs = Texts(resource["verbs"]),
            ShortNames = Texts(resource["shortNames"]),
            Categories = Texts(resource["categories"]),
            Storage = storage,
            StorageApiVersion = storageVersion,
            Subresources = [.. (resource["subresources"] as JsonArray ?? []).Select(s => new ApiSubresource(
                s.Text("subresource")!, s.Text("responseKind", "kind")!, NonEmpty(s.Text("responseKind", "group")),
                NonEmpty(s.Text("responseKind", "version")), Texts(s!["verbs"])))],
        };
    }

    private static string? NonEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static ImmutableArray<string> Texts(JsonNode? node) =>
        node is JsonArray array ? [.. array.Select(n => n!.GetValue<string>())] : [];
}
