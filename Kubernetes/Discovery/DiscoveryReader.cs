using System.Collections.Immutable;
using System.Text.Json;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Discovery;

/// <summary>Reads what an API server serves, and reads it again cheaply.</summary>
/// <remarks>
/// Aggregated discovery (v2, then v2beta1) takes two requests that the server answers with 304 while nothing changed. A server
/// without it is asked for each group version; one that fails is reported as stale and does not fail the rest. Not thread-safe:
/// one loop per cluster reads.
/// </remarks>
public sealed class DiscoveryReader(KubeClient client)
{
    private const string Aggregated =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
        + "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

    // Plain discovery of a cluster with many CRDs is a hundred requests; more at once would only wait for the limiter.
    private const int Parallel = 8;

    // Many times what any cluster is known to serve. What is served is kept as long as the cluster is, so it needs a bound of its own.
    private const int MaxKinds = 10_000;
    private const int MaxGroupVersions = 2_000;

    // Discovery waits for aggregated API servers behind the API server, which answer more slowly than itself.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    private Part? _core;
    private Part? _named;

    /// <summary>Reads everything.</summary>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="KubeException">The server could not be asked at all; single group versions that fail are in <see cref="ApiSurface.Stale"/>.</exception>
    public async Task<ApiSurface> ReadAsync(CancellationToken cancellationToken = default)
    {
        Task<Part> core = ReadPartAsync("/api", _core, cancellationToken);
        Task<Part> named = ReadPartAsync("/apis", _named, cancellationToken);
        _ = await Task.WhenAll(core, named);
        (_core, _named) = (await core, await named);
        return new ApiSurface(
            [.. _core.Groups, .. _named.Groups], [.. _core.Resources.Concat(_named.Resources).Where(IsUsable)], [.. _core.Stale, .. _named.Stale]);
    }

    // Names become steps of paths and keys of tables.
    private static bool IsUsable(ResourceType type) => IsStep(type.Plural) && IsStep(type.Version) && (type.Group.Length == 0 || IsStep(type.Group));

    private static bool IsStep(string name) =>
        name.Length is > 0 and <= 253 && name is not ("." or "..") && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    private async Task<Part> ReadPartAsync(string path, Part? known, CancellationToken cancellationToken)
    {
        Part? whole;
        ImmutableArray<ApiGroup> groups;
        try
        {
            using KubeResponse response = await client.SendAsync(
                KubeRequest.Get(path) with { Accept = Aggregated, IfNoneMatch = known?.ETag, Timeout = Timeout, Limit = client.DiscoveryLimit }, cancellationToken);
            if (response.Status == 304 && known is not null)
            {
                return known;
            }

            using JsonDocument document = await response.ParseAsync(cancellationToken);
            (whole, groups) = Text(document.RootElement, "kind") switch
            {
                "APIGroupDiscoveryList" => (Kept(DiscoveryDocuments.ReadAggregated(document.RootElement), known) with { ETag = response.ETag }, default(ImmutableArray<ApiGroup>)),
                "APIVersions" => (null, DiscoveryDocuments.ReadCoreVersions(document.RootElement)),
                "APIGroupList" => (null, DiscoveryDocuments.ReadGroups(document.RootElement)),
                _ => throw NotDiscovery(path, null),
            };
        }
        catch (KubeException e) when (e.Kind == KubeErrorKind.NotFound && path == "/api")
        {
            return Part.Nothing;   // a server of custom resources only
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw NotDiscovery(path, e);
        }

        Part part = whole ?? await ReadPlainAsync(groups, known, cancellationToken);
        return part.Resources.Length <= MaxKinds ? part : throw TooMany($"{part.Resources.Length} kinds", MaxKinds);
    }

    /// <summary>Adds what stale group versions served before, where the server no longer says it.</summary>
    private static Part Kept(Part read, Part? known)
    {
        if (known is null || read.Stale.IsEmpty)
        {
            return read;
        }

        var silent = read.Stale.Select(s => s.GroupVersion).Except(read.Resources.Select(r => r.ApiVersion)).ToHashSet(StringComparer.Ordinal);
        return read with { Resources = [.. read.Resources, .. known.Resources.Where(r => silent.Contains(r.ApiVersion))] };
    }

    private async Task<Part> ReadPlainAsync(ImmutableArray<ApiGroup> groups, Part? known, CancellationToken cancellationToken)
    {
        (ApiGroup Group, string Version)[] wanted = [.. groups.SelectMany(g => g.Versions.Select(v => (g, v)))];
        if (wanted.Length > MaxGroupVersions)
        {
            throw TooMany($"{wanted.Length} group versions", MaxGroupVersions);
        }

        var resources = new ImmutableArray<ResourceType>[wanted.Length];
        var failures = new StaleGroup?[wanted.Length];
        await System.Threading.Tasks.Parallel.ForAsync(
            0,
            wanted.Length,
            new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = cancellationToken },
            async (i, cancel) =>
            {
                (ApiGroup group, string version) = wanted[i];
                string path = group.Name.Length == 0 ? $"/api/{version}" : $"/apis/{group.Name}/{version}";
                try
                {
                    using KubeResponse response = await client.SendAsync(
                        KubeRequest.Get(path) with { Timeout = Timeout, Limit = client.DiscoveryLimit }, cancel);
                    using JsonDocument document = await response.ParseAsync(cancel);
                    resources[i] = DiscoveryDocuments.ReadResources(document.RootElement, group.Name, version);
                }
                catch (Exception e) when (e is KubeException or JsonException or KeyNotFoundException or InvalidOperationException)
                {
                    KubeError error = (e as KubeException)?.Error ?? new KubeError(KubeErrorKind.Protocol, $"{path} is no discovery document.");
                    string groupVersion = group.Name.Length == 0 ? version : $"{group.Name}/{version}";
                    failures[i] = new StaleGroup(groupVersion, error);
                    // What it served before is likelier to be true than that it serves nothing.
                    resources[i] = known is null ? [] : [.. known.Resources.Where(r => r.Group == group.Name && r.Version == version)];
                }
            });
        return new Part(groups, [.. resources.SelectMany(r => r)], [.. failures.OfType<StaleGroup>()], null);
    }

    private static KubeException TooMany(string served, int most) => new(
        KubeErrorKind.Protocol, $"The server says that it serves {served}; at most {most} are taken. Check the server address.");

    private static KubeException NotDiscovery(string path, Exception? inner) => new(
        KubeErrorKind.Protocol, $"{path} is not the discovery document of a Kubernetes API server. Check the server address.", inner);

    private static string? Text(JsonElement from, string name) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;

    /// <summary>What <c>/api</c> or <c>/apis</c> gave.</summary>
    internal sealed record Part(
        ImmutableArray<ApiGroup> Groups, ImmutableArray<ResourceType> Resources, ImmutableArray<StaleGroup> Stale, string? ETag)
    {
        public static readonly Part Nothing = new([], [], [], null);
    }
}
