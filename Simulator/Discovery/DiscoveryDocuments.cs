using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Discovery;

/// <summary>A rendered aggregated discovery document with its entity tag.</summary>
internal sealed record TaggedDocument(byte[] Json, string ETag);

/// <summary>The discovery documents of one catalog, aggregated (v2) and plain.</summary>
internal sealed class DiscoveryDocuments
{
    private readonly FrozenDictionary<string, byte[]> _groups;
    private readonly FrozenDictionary<string, byte[]> _versions;

    public DiscoveryDocuments(ImmutableArray<ApiResource> resources)
    {
        ILookup<string, ApiResource> byGroup = resources.ToLookup(r => r.Group);
        string[] groups = [.. resources.Select(r => r.Group).Where(g => g.Length > 0).Distinct(StringComparer.Ordinal)];
        Core = Tagged([""], byGroup);
        Groups = Tagged(groups, byGroup);
        GroupList = Encode(new JsonObject
        {
            ["kind"] = "APIGroupList",
            ["apiVersion"] = "v1",
            ["groups"] = new JsonArray([.. groups.Select(g => (JsonNode)Group(g, byGroup[g]))]),
        });
        _groups = groups.ToFrozenDictionary(g => g, g =>
        {
            var document = new JsonObject { ["kind"] = "APIGroup", ["apiVersion"] = "v1" };
            foreach ((string key, JsonNode? value) in Group(g, byGroup[g]))
            {
                document[key] = value?.DeepClone();
            }

            return Encode(document);
        });
        _versions = resources.Select(r => r.ApiVersion).Distinct(StringComparer.Ordinal)
            .ToFrozenDictionary(v => v, v => ResourceList(v, resources.Where(r => r.ApiVersion == v)));
        Paths = [.. AllPaths(groups, byGroup)];
    }

    /// <summary>Aggregated document at <c>/api</c>.</summary>
    public TaggedDocument Core { get; }

    /// <summary>Aggregated document at <c>/apis</c>.</summary>
    public TaggedDocument Groups { get; }

    /// <summary>Plain document at <c>/apis</c>.</summary>
    public byte[] GroupList { get; }

    /// <summary>The API paths for <c>GET /</c>.</summary>
    public ImmutableArray<string> Paths { get; }

    /// <summary>Plain document of one group, or null.</summary>
    public byte[]? OfGroup(string group) => _groups.GetValueOrDefault(group);

    /// <summary>Plain resource list of <c>apps/v1</c> or <c>v1</c>, or null.</summary>
    public byte[]? OfVersion(string apiVersion) => _versions.GetValueOrDefault(apiVersion);

    private static TaggedDocument Tagged(string[] groups, ILookup<string, ApiResource> byGroup)
    {
        var items = new JsonArray();
        foreach (string group in groups)
        {
            var metadata = new JsonObject();
            if (group.Length > 0)
            {
                metadata["name"] = group;
            }

            metadata["creationTimestamp"] = null;
            items.Add(new JsonObject
            {
                ["metadata"] = metadata,
                ["versions"] = new JsonArray([.. byGroup[group].GroupBy(r => r.Version).Select(v => (JsonNode)new JsonObject
                {
                    ["version"] = v.Key,
                    ["resources"] = new JsonArray([.. v.Select(Aggregated)]),
                    ["freshness"] = "Current",
                })]),
            });
        }

        byte[] json = Encode(new JsonObject
        {
            ["kind"] = "APIGroupDiscoveryList",
            ["apiVersion"] = "apidiscovery.k8s.io/v2",
            ["metadata"] = new JsonObject(),
            ["items"] = items,
        });
        return new TaggedDocument(json, $"\"{Convert.ToHexString(SHA512.HashData(json))}\"");
    }

    private static JsonNode Aggregated(ApiResource resource)
    {
        var document = new JsonObject
        {
            ["resource"] = resource.Plural,
            ["responseKind"] = ResponseKind(resource.Custom is null ? "" : resource.Group, resource.Custom is null ? "" : resource.Version, resource.Kind),
            ["scope"] = resource.Namespaced ? "Namespaced" : "Cluster",
            ["singularResource"] = resource.Singular,
            ["verbs"] = Texts(resource.Verbs),
        };
        AddNames(document, resource);
        if (!resource.Subresources.IsEmpty)
        {
            document["subresources"] = new JsonArray([.. resource.Subresources.Select(s => (JsonNode)new JsonObject
            {
                ["subresource"] = s.Name,
                ["responseKind"] = ResponseKind(
                    s.Group ?? (resource.Custom is null ? "" : resource.Group), s.Version ?? (resource.Custom is null ? "" : resource.Version), s.Kind),
                ["verbs"] = Texts(s.Verbs),
            })]);
        }

        return document;
    }

    private static JsonObject ResponseKind(string group, string version, string kind) => new()
    {
        ["group"] = group,
        ["version"] = version,
        ["kind"] = kind,
    };

    private static byte[] ResourceList(string apiVersion, IEnumerable<ApiResource> resources)
    {
        var entries = new JsonArray();
        foreach (ApiResource resource in resources)
        {
            var entry = new JsonObject
            {
                ["name"] = resource.Plural,
                ["singularName"] = resource.Singular,
                ["namespaced"] = resource.Namespaced,
                ["kind"] = resource.Kind,
                ["verbs"] = Texts(resource.Verbs),
            };
            AddNames(entry, resource);
            if (resource.Allows("watch"))
            {
                entry["storageVersionHash"] = StorageHash(resource);
            }

            entries.Add(entry);
            foreach (ApiSubresource sub in resource.Subresources)
            {
                var subentry = new JsonObject
                {
                    ["name"] = $"{resource.Plural}/{sub.Name}",
                    ["singularName"] = "",
                    ["namespaced"] = resource.Namespaced,
                };
                if (sub.Group is not null)
                {
                    subentry["group"] = sub.Group;
                    subentry["version"] = sub.Version;
                }

                subentry["kind"] = sub.Kind;
                subentry["verbs"] = Texts(sub.Verbs);
                entries.Add(subentry);
            }
        }

        var list = new JsonObject { ["kind"] = "APIResourceList" };
        if (apiVersion != "v1")
        {
            list["apiVersion"] = "v1";
        }

        list["groupVersion"] = apiVersion;
        list["resources"] = entries;
        return Encode(list);
    }

    /// <summary>The first eight bytes of a hash over group, version and kind of the storage form: the same as a real server's.</summary>
    private static string StorageHash(ApiResource resource)
    {
        string version = resource.StorageApiVersion.Contains('/') ? resource.StorageApiVersion : "/" + resource.StorageApiVersion;
        return Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes($"{version}/{resource.Kind}")).AsSpan(0, 8));
    }

    private static JsonObject Group(string group, IEnumerable<ApiResource> resources)
    {
        string[] versions = [.. resources.Select(r => r.Version).Distinct(StringComparer.Ordinal)];
        return new JsonObject
        {
            ["name"] = group,
            ["versions"] = new JsonArray([.. versions.Select(v => (JsonNode)VersionOf(group, v))]),
            ["preferredVersion"] = VersionOf(group, versions[0]),
        };
    }

    private static JsonObject VersionOf(string group, string version) => new()
    {
        ["groupVersion"] = $"{group}/{version}",
        ["version"] = version,
    };

    private static void AddNames(JsonObject document, ApiResource resource)
    {
        if (!resource.ShortNames.IsEmpty)
        {
            document["shortNames"] = Texts(resource.ShortNames);
        }

        if (!resource.Categories.IsEmpty)
        {
            document["categories"] = Texts(resource.Categories);
        }
    }

    private static IEnumerable<string> AllPaths(string[] groups, ILookup<string, ApiResource> byGroup)
    {
        yield return "/api";
        yield return "/api/v1";
        yield return "/apis";
        yield return "/apis/";
        foreach (string group in groups.Order(StringComparer.Ordinal))
        {
            yield return $"/apis/{group}";
            foreach (string version in byGroup[group].Select(r => r.Version).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                yield return $"/apis/{group}/{version}";
            }
        }
    }

    private static JsonArray Texts(ImmutableArray<string> texts) => new([.. texts.Select(t => (JsonNode)t)]);

    private static byte[] Encode(JsonObject document) => [.. JsonTree.ToUtf8(document), (byte)'\n'];
}
