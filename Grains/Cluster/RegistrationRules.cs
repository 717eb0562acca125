using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Selectors;

namespace MultiCluster.Grains.Cluster;

/// <summary>What a request must look like before anybody is asked. Pure; the first fault is enough.</summary>
internal static class RegistrationRules
{
    // Labels travel with every summary to every gateway.
    private const int MaxLabels = 64;

    public static ClusterFault? Check(string name, IReadOnlyDictionary<string, string>? labels, MirrorScope? scope)
        => CheckName(name) ?? CheckLabels(labels) ?? (scope is null ? null : KindSelection.Check(scope));

    /// <summary>Whether the request leaves a registration as it is.</summary>
    public static bool ChangesNothing(ClusterEntry entry, UpdateCluster request)
        => (request.Labels is null || request.Labels.SequenceEqual(entry.Labels))
            && (request.Enabled ?? entry.Enabled) == entry.Enabled
            && (request.Mirror is null || IsSame(request.Mirror, entry.Mirror));

    /// <summary>Whether two scopes say the same.</summary>
    public static bool IsSame(MirrorScope one, MirrorScope other)
        => IsSame(one.Include, other.Include) && IsSame(one.Exclude, other.Exclude) && one.SecretData == other.SecretData && one.ByteBudget == other.ByteBudget;

    private static bool IsSame(ImmutableArray<string> one, ImmutableArray<string> other)
        => (one.IsDefault ? [] : one).SequenceEqual(other.IsDefault ? [] : other);

    private static ClusterFault? CheckName(string name) => LabelSyntax.IsDnsLabel(name)
        ? null
        : ClusterFaults.Invalid("name", "A cluster's name is a DNS label: 1 to 63 lower-case letters, digits and '-', with a letter or digit first and last.");

    private static ClusterFault? CheckLabels(IReadOnlyDictionary<string, string>? labels)
    {
        foreach ((string key, string value) in labels ?? new Dictionary<string, string>())
        {
            if (LabelSyntax.CheckKey(key) is { } wrongKey)
            {
                return ClusterFaults.Invalid("labels", $"The label key '{key}' {wrongKey}.");
            }

            if (LabelSyntax.CheckValue(value) is { } wrongValue)
            {
                return ClusterFaults.Invalid("labels", $"The value '{value}' of the label '{key}' {wrongValue}.");
            }
        }

        return labels?.Count > MaxLabels ? ClusterFaults.Invalid("labels", $"A cluster has at most {MaxLabels} labels; these are {labels.Count}.") : null;
    }
}
