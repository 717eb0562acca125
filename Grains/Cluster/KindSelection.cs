using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Selectors;

namespace MultiCluster.Grains.Cluster;

/// <summary>How a scope names kinds: <c>pods</c>, <c>deployments.apps</c>, <c>*.example.com</c> for a group, <c>*</c> for all.</summary>
internal static class KindPattern
{
    /// <summary>What is wrong with a pattern, as the end of a sentence; null where nothing is.</summary>
    public static string? Check(string pattern)
    {
        ReadOnlySpan<char> rest = pattern.StartsWith("*.", StringComparison.Ordinal) ? pattern.AsSpan(2) : pattern;
        return pattern == "*" || LabelSyntax.IsDnsSubdomain(rest)
            ? null
            : "must be a group-resource such as pods or deployments.apps, *.example.com for a group, or * for every kind; at most 253 characters";
    }

    public static bool Matches(string pattern, ResourceType type)
        => pattern == "*"
            || pattern == type.GroupResource
            || (pattern.StartsWith("*.", StringComparison.Ordinal) && pattern.AsSpan(2).SequenceEqual(type.Group));
}

/// <summary>Decides which of the kinds that a cluster serves are mirrored, and in which version.</summary>
/// <remarks>Pure. One version of each group-resource: the objects are the same in all of them, so two would only be counted twice.</remarks>
internal static class KindSelection
{
    /// <summary>Splits what is served.</summary>
    /// <param name="served">Kinds of all versions; within a group the preferred version first, as discovery has them.</param>
    /// <param name="scope">What the user wants of this cluster.</param>
    /// <param name="denyList">Kinds that are left out unless the scope names them in full.</param>
    public static SelectedKinds Choose(IEnumerable<ResourceType> served, MirrorScope scope, IEnumerable<string> denyList)
    {
        var denied = denyList.ToHashSet(StringComparer.Ordinal);
        ImmutableArray<ResourceType>.Builder mirrored = ImmutableArray.CreateBuilder<ResourceType>();
        ImmutableArray<ResourceType>.Builder leftOut = ImmutableArray.CreateBuilder<ResourceType>();
        foreach (IGrouping<string, ResourceType> versions in served.GroupBy(type => type.GroupResource, StringComparer.Ordinal))
        {
            // A version that can be watched is worth more than a preferred one that cannot.
            ResourceType type = versions.FirstOrDefault(CanBeMirrored) ?? versions.First();
            (CanBeMirrored(type) && IsWanted(type, scope, denied) ? mirrored : leftOut).Add(type);
        }

        mirrored.Sort(static (one, other) => string.CompareOrdinal(one.GroupResource, other.GroupResource));
        leftOut.Sort(static (one, other) => string.CompareOrdinal(one.GroupResource, other.GroupResource));
        return new SelectedKinds(mirrored.DrainToImmutable(), leftOut.DrainToImmutable());
    }

    // Far more than any cluster serves, and few enough to travel with every registration.
    private const int MaxPatterns = 1_000;

    private const int MaxShown = 80;

    /// <summary>What is wrong with a scope; null where nothing is.</summary>
    public static ClusterFault? Check(MirrorScope scope)
    {
        foreach ((string field, ImmutableArray<string> patterns) in new[] { ("mirror.include", scope.Include), ("mirror.exclude", scope.Exclude) })
        {
            if (!patterns.IsDefault && patterns.Length > MaxPatterns)
            {
                return ClusterFaults.Invalid(field, $"There may be at most {MaxPatterns} entries, and these are {patterns.Length}; name groups such as *.example.com instead.");
            }

            foreach (string pattern in patterns.IsDefault ? [] : patterns)
            {
                if (KindPattern.Check(pattern) is { } wrong)
                {
                    string shown = pattern.Length <= MaxShown ? pattern : string.Concat(pattern.AsSpan(0, MaxShown), "…");
                    return ClusterFaults.Invalid(field, $"'{shown}' {wrong}.");
                }
            }
        }

        return scope.ByteBudget < 0
            ? ClusterFaults.Invalid("mirror.byteBudget", $"{scope.ByteBudget} is negative; give a number of bytes, or 0 for the default.")
            : null;
    }

    private static bool CanBeMirrored(ResourceType type) => type.Verbs.Contains("list") && type.Verbs.Contains("watch");

    private static bool IsWanted(ResourceType type, MirrorScope scope, HashSet<string> denied)
    {
        if (scope.Exclude.Any(pattern => KindPattern.Matches(pattern, type)))
        {
            return false;
        }

        return denied.Contains(type.GroupResource)
            ? scope.Include.Contains(type.GroupResource)
            : scope.Include.IsEmpty || scope.Include.Any(pattern => KindPattern.Matches(pattern, type));
    }
}

/// <summary>The kinds that a cluster serves, split by whether they are mirrored; each ordered by group-resource.</summary>
internal sealed record SelectedKinds(ImmutableArray<ResourceType> Mirrored, ImmutableArray<ResourceType> LeftOut)
{
    public static readonly SelectedKinds None = new([], []);
}
