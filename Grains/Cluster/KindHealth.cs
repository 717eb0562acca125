using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>How the mirror stands with one kind, read from what its reflector says.</summary>
/// <param name="State">State.</param>
/// <param name="Fault">What keeps it from being in step; null where nothing does.</param>
internal readonly record struct KindHealth(MirrorState State, ClusterFault? Fault)
{
    /// <summary>Reads a reflector's status. Pure.</summary>
    /// <param name="status">What the reflector says.</param>
    /// <param name="hasObjects">Whether a whole list was ever taken over, by this reflector or one before it.</param>
    /// <param name="heardAt">When the kind was last heard of, by this reflector or one before it.</param>
    /// <param name="now">Present time.</param>
    /// <param name="staleAfter">Silence from which the kind counts as stale.</param>
    /// <param name="failedAfter">Failures in a row from which the kind counts as out of step for good.</param>
    public static KindHealth Of(
        ReflectorStatus status, bool hasObjects, DateTimeOffset? heardAt, DateTimeOffset now, TimeSpan staleAfter, int failedAfter)
    {
        ClusterFault? fault = status.Error is { } error ? ClusterFaults.From(error) : null;
        if (status.Error?.Kind == KubeErrorKind.Forbidden)
        {
            return new KindHealth(MirrorState.Forbidden, fault);
        }

        if (status.Failures >= failedAfter)
        {
            return new KindHealth(MirrorState.Failed, fault);
        }

        if (!hasObjects)
        {
            return new KindHealth(MirrorState.Syncing, fault);
        }

        return heardAt is not { } heard || now - heard > staleAfter
            ? new KindHealth(MirrorState.Stale, fault)
            : new KindHealth(MirrorState.Synced, null);
    }
}
