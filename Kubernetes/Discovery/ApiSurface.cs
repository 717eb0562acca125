using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Discovery;

/// <summary>One API group as the server announces it.</summary>
/// <param name="Name">Name; empty for the core group.</param>
/// <param name="Versions">Versions in the server's order of preference.</param>
public sealed record ApiGroup(string Name, ImmutableArray<string> Versions)
{
    /// <summary>The version the server prefers.</summary>
    public string Preferred => Versions[0];
}

/// <summary>A group version whose resources could not be read; what was known of it before may still be served.</summary>
/// <param name="GroupVersion">Such as <c>metrics.k8s.io/v1beta1</c>.</param>
/// <param name="Error">Why.</param>
public sealed record StaleGroup(string GroupVersion, KubeError Error);

/// <summary>Everything that one API server serves.</summary>
/// <remarks>Immutable and thread-safe. Groups keep the server's order, which is its order of preference; core comes first.</remarks>
public sealed class ApiSurface
{
    /// <summary>A server that serves nothing.</summary>
    public static readonly ApiSurface Empty = new([], [], []);

    private readonly FrozenDictionary<string, ImmutableArray<ResourceType>> _byName;
    private readonly FrozenDictionary<(string Group, string Version, string Plural), ResourceType> _exact;

    /// <summary>A surface of known groups.</summary>
    /// <param name="groups">Groups in order of preference.</param>
    /// <param name="resources">Resources, without subresources, in any order.</param>
    /// <param name="stale">Group versions that could not be read.</param>
    public ApiSurface(ImmutableArray<ApiGroup> groups, ImmutableArray<ResourceType> resources, ImmutableArray<StaleGroup> stale)
    {
        Groups = groups;
        Stale = stale;
        var rank = new Dictionary<(string Group, string Version), (int Group, int Version)>();
        for (int g = 0; g < groups.Length; g++)
        {
            for (int v = 0; v < groups[g].Versions.Length; v++)
            {
                rank[(groups[g].Name, groups[g].Versions[v])] = (groups[g].Name.Length == 0 ? -1 : g, v);
            }
        }

        // Core first, then each group's preferred version in group order, then the other versions: where a name is
        // ambiguous, the first one is what kubectl takes.
        Resources = [.. resources
            .OrderBy(r => RankOf(r).Version > 0)
            .ThenBy(r => RankOf(r).Group)
            .ThenBy(r => RankOf(r).Version)
            .ThenBy(r => r.Plural, StringComparer.Ordinal)];
        _exact = Resources.DistinctBy(r => (r.Group, r.Version, r.Plural)).ToFrozenDictionary(r => (r.Group, r.Version, r.Plural));
        _byName = Index(Resources);
        Hash = HashOf(Resources);

        (int Group, int Version) RankOf(ResourceType r) => rank.TryGetValue((r.Group, r.Version), out (int, int) found) ? found : (int.MaxValue, int.MaxValue);
    }

    /// <summary>Groups in the server's order.</summary>
    public ImmutableArray<ApiGroup> Groups { get; }

    /// <summary>Resources of all versions in order of precedence.</summary>
    public ImmutableArray<ResourceType> Resources { get; }

    /// <summary>Group versions that could not be read.</summary>
    public ImmutableArray<StaleGroup> Stale { get; }

    /// <summary>Changes exactly when the resources do, whatever order the server gives them in.</summary>
    public string Hash { get; }

    /// <summary>Each resource once, in the most preferred version that has it.</summary>
    public IEnumerable<ResourceType> Preferred => Resources.DistinctBy(r => (r.Group, r.Plural));

    /// <summary>What can be mirrored: preferred versions that can be listed and watched.</summary>
    public IEnumerable<ResourceType> Watchable => Resources
        .Where(r => r.Verbs.Contains("list", StringComparer.Ordinal) && r.Verbs.Contains("watch", StringComparer.Ordinal))
        .DistinctBy(r => (r.Group, r.Plural));

    /// <summary>One resource in one version; null when the server lacks it.</summary>
    public ResourceType? Find(string group, string version, string plural) =>
        _exact.TryGetValue((group, version, plural), out ResourceType? found) ? found : null;

    /// <summary>The resource of a kind in a version such as <c>apps/v1</c>; null when the server lacks it.</summary>
    public ResourceType? FindKind(string apiVersion, string kind) =>
        Resources.FirstOrDefault(r => r.Kind == kind && r.ApiVersion == apiVersion);

    /// <summary>Finds what people write, as kubectl does.</summary>
    /// <param name="name">
    /// Plural, singular, kind or short name in any case; with a group (<c>deployments.apps</c>) or version and group (<c>deployments.v1.apps</c>);
    /// or <c>group/version/plural</c>, <c>version/plural</c> for the core group, and <c>group/plural</c>.
    /// </param>
    /// <returns>The first in order of precedence; null when nothing fits.</returns>
    public ResourceType? Find(string name) => FindAll(name).FirstOrDefault();

    /// <summary>All that fit a name, in order of precedence, one per group.</summary>
    /// <param name="name">As for <see cref="Find(string)"/>.</param>
    public IEnumerable<ResourceType> FindAll(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Contains('/', StringComparison.Ordinal))
        {
            return FindPath(name.Split('/'));
        }

        string[] parts = name.Split('.', 3);
        IEnumerable<ResourceType> found = Named(parts[0]);
        if (parts.Length > 1)
        {
            string rest = name[(parts[0].Length + 1)..];
            ResourceType[] versioned = parts.Length == 3
                ? [.. found.Where(r => r.Version.Equals(parts[1], StringComparison.OrdinalIgnoreCase) && r.Group.Equals(parts[2], StringComparison.OrdinalIgnoreCase))]
                : [.. found.Where(r => r.Group.Length == 0 && r.Version.Equals(rest, StringComparison.OrdinalIgnoreCase))];
            if (versioned.Length > 0)
            {
                return versioned;
            }

            // kubectl takes the beginning of a group for the group, so that ingresses.networking works.
            ResourceType[] exact = [.. found.Where(r => r.Group.Equals(rest, StringComparison.OrdinalIgnoreCase))];
            found = exact.Length > 0 ? exact : found.Where(r => r.Group.StartsWith(rest, StringComparison.OrdinalIgnoreCase));
        }

        return found.DistinctBy(r => (r.Group, r.Plural));
    }

    private IEnumerable<ResourceType> FindPath(string[] parts) => parts switch
    {
        [var group, var version, var plural] => Named(plural).Where(r => r.Group == group && r.Version == version),
        [var first, var plural] when Groups.Any(g => g.Name.Length > 0 && g.Name == first) =>
            Named(plural).Where(r => r.Group == first).DistinctBy(r => r.Plural),
        [var version, var plural] => Named(plural).Where(r => r.Group.Length == 0 && r.Version == version),
        _ => [],
    };

    private ImmutableArray<ResourceType> Named(string name) =>
        _byName.TryGetValue(name, out ImmutableArray<ResourceType> found) ? found : [];

    private static FrozenDictionary<string, ImmutableArray<ResourceType>> Index(ImmutableArray<ResourceType> resources)
    {
        // A plural beats a kind, and a short name comes last, wherever they are served.
        var index = new Dictionary<string, List<ResourceType>>(StringComparer.OrdinalIgnoreCase);
        foreach (Func<ResourceType, IEnumerable<string>> names in (Func<ResourceType, IEnumerable<string>>[])
            [r => [r.Plural], r => [r.Singular], r => [r.Kind], r => r.ShortNames])
        {
            foreach (ResourceType resource in resources)
            {
                foreach (string name in names(resource))
                {
                    if (name.Length > 0)
                    {
                        List<ResourceType> list = index.TryGetValue(name, out List<ResourceType>? known) ? known : index[name] = [];
                        if (!list.Contains(resource))
                        {
                            list.Add(resource);
                        }
                    }
                }
            }
        }

        return index.ToFrozenDictionary(pair => pair.Key, pair => pair.Value.ToImmutableArray(), StringComparer.OrdinalIgnoreCase);
    }

    private static string HashOf(ImmutableArray<ResourceType> resources)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (ResourceType r in resources
            .OrderBy(r => r.Group, StringComparer.Ordinal).ThenBy(r => r.Version, StringComparer.Ordinal).ThenBy(r => r.Plural, StringComparer.Ordinal))
        {
            string line = string.Join('|', r.Group, r.Version, r.Plural, r.Kind, r.Namespaced ? "n" : "c", r.Singular, string.Join(',', r.ShortNames),
                string.Join(',', r.Verbs), string.Join(',', r.Categories), string.Join(',', r.Subresources));
            hash.AppendData(Encoding.UTF8.GetBytes(line + "\n"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }
}
