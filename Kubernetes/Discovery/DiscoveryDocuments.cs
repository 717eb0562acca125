using System.Collections.Immutable;
using System.Text.Json;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Discovery;

/// <summary>Reads the discovery documents, old and aggregated.</summary>
/// <remarks>Throws the exceptions of <see cref="JsonElement"/> where a document lacks what it must have.</remarks>
internal static class DiscoveryDocuments
{
    public static DiscoveryReader.Part ReadAggregated(JsonElement root)
    {
        ImmutableArray<ApiGroup>.Builder groups = ImmutableArray.CreateBuilder<ApiGroup>();
        ImmutableArray<ResourceType>.Builder resources = ImmutableArray.CreateBuilder<ResourceType>();
        ImmutableArray<StaleGroup>.Builder stale = ImmutableArray.CreateBuilder<StaleGroup>();
        foreach (JsonElement item in Items(root, "items"))
        {
            string group = item.TryGetProperty("metadata", out JsonElement metadata) ? Text(metadata, "name") : "";
            ImmutableArray<string>.Builder versions = ImmutableArray.CreateBuilder<string>();
            foreach (JsonElement served in Items(item, "versions"))
            {
                string version = served.GetProperty("version").GetString()!;
                versions.Add(version);
                if (Text(served, "freshness") == "Stale")
                {
                    stale.Add(new StaleGroup(
                        group.Length == 0 ? version : $"{group}/{version}",
                        new KubeError(KubeErrorKind.ServerError, "The API server behind this group does not answer; what it served before is shown.")));
                }

                foreach (JsonElement resource in Items(served, "resources"))
                {
                    if (ReadAggregatedResource(resource, group, version) is { } type)
                    {
                        resources.Add(type);
                    }
                }
            }

            if (versions.Count > 0)
            {
                groups.Add(new ApiGroup(group, versions.ToImmutable()));
            }
        }

        return new DiscoveryReader.Part(groups.ToImmutable(), resources.ToImmutable(), stale.ToImmutable(), null);
    }

    public static ImmutableArray<ApiGroup> ReadCoreVersions(JsonElement root)
    {
        ImmutableArray<string> versions = Strings(root, "versions");
        return versions.IsEmpty ? [] : [new ApiGroup("", versions)];
    }

    public static ImmutableArray<ApiGroup> ReadGroups(JsonElement root)
    {
        ImmutableArray<ApiGroup>.Builder groups = ImmutableArray.CreateBuilder<ApiGroup>();
        foreach (JsonElement group in Items(root, "groups"))
        {
            string preferred = group.TryGetProperty("preferredVersion", out JsonElement chosen) ? Text(chosen, "version") : "";
            ImmutableArray<string> versions = [.. Items(group, "versions").Select(v => v.GetProperty("version").GetString()!).OrderBy(v => v != preferred)];
            if (!versions.IsEmpty)
            {
                groups.Add(new ApiGroup(group.GetProperty("name").GetString()!, versions));
            }
        }

        return groups.ToImmutable();
    }

    public static ImmutableArray<ResourceType> ReadResources(JsonElement root, string group, string version)
    {
        if (Text(root, "kind") != "APIResourceList")
        {
            throw new InvalidOperationException("Not an APIResourceList.");
        }

        JsonElement[] listed = [.. Items(root, "resources")];
        ILookup<string, string> subresources = listed
            .Select(r => r.GetProperty("name").GetString()!.Split('/', 2))
            .Where(name => name.Length == 2)
            .ToLookup(name => name[0], name => name[1], StringComparer.Ordinal);
        return
        [
            .. listed
                .Where(r => !r.GetProperty("name").GetString()!.Contains('/', StringComparison.Ordinal))
                .Select(r => new ResourceType(
                    group, version, r.GetProperty("name").GetString()!, Text(r, "kind"), r.TryGetProperty("namespaced", out JsonElement n) && n.GetBoolean())
                {
                    Singular = Text(r, "singularName"),
                    ShortNames = Strings(r, "shortNames"),
                    Verbs = Strings(r, "verbs"),
                    Categories = Strings(r, "categories"),
                    Subresources = [.. subresources[r.GetProperty("name").GetString()!]],
                }),
        ];
    }

    // Without verbs it is only the parent of subresources that somebody else serves.
    private static ResourceType? ReadAggregatedResource(JsonElement resource, string group, string version)
    {
        ImmutableArray<string> verbs = Strings(resource, "verbs");
        if (verbs.IsEmpty)
        {
            return null;
        }

        string kind = resource.TryGetProperty("responseKind", out JsonElement answer) && answer.ValueKind == JsonValueKind.Object ? Text(answer, "kind") : "";
        return new ResourceType(group, version, resource.GetProperty("resource").GetString()!, kind, Text(resource, "scope") == "Namespaced")
        {
            Singular = Text(resource, "singularResource"),
            ShortNames = Strings(resource, "shortNames"),
            Verbs = verbs,
            Categories = Strings(resource, "categories"),
            Subresources = [.. Items(resource, "subresources").Select(s => s.GetProperty("subresource").GetString()!)],
        };
    }

    private static IEnumerable<JsonElement> Items(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement items) && items.ValueKind == JsonValueKind.Array ? items.EnumerateArray() : [];

    private static string Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private static ImmutableArray<string> Strings(JsonElement from, string name) => [.. Items(from, name).Select(v => v.GetString()!)];
}
