using System.Collections.Immutable;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>One owner of an object, from its <c>ownerReferences</c>.</summary>
internal sealed record RowOwner(ObjectUid Uid, string ApiVersion, string Kind, string Name, bool IsController);

/// <summary>What siblings have in common, kept once for all of them: the ten pods of a ReplicaSet differ in none of it.</summary>
/// <remarks>Immutable; shared by reference within one table.</remarks>
internal sealed class RowFamily(
    string ns, ImmutableArray<KeyValuePair<string, string>> labels, ImmutableArray<RowOwner> owners, ImmutableArray<string> images, ResourceAmounts resources)
{
    /// <summary>Namespace; empty for cluster-scoped objects.</summary>
    public string Namespace { get; } = ns;

    /// <summary>Labels in the order of the object.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Labels { get; } = labels;

    public ImmutableArray<RowOwner> Owners { get; } = owners;

    /// <summary>Images of all containers in order of appearance.</summary>
    public ImmutableArray<string> Images { get; } = images;

    /// <summary>What a pod requests, or what a node can allocate.</summary>
    public ResourceAmounts Resources { get; } = resources;

    /// <summary>Value of a label, or null.</summary>
    public string? LabelOf(string key)
    {
        foreach (KeyValuePair<string, string> label in Labels)
        {
            if (label.Key == key)
            {
                return label.Value;
            }
        }

        return null;
    }
}

/// <summary>Phase and readiness of an object; few combinations exist, so they are shared.</summary>
/// <param name="Phase"><c>status.phase</c>, or empty.</param>
/// <param name="Readiness">What it comes to.</param>
/// <param name="Reason">One word in the style of condition reasons; empty when there is nothing to say.</param>
internal sealed record RowStatus(string Phase, ReadinessState Readiness, string Reason);
