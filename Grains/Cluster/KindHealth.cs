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
    /// <param name="silence">What silence counts as what.</param>
    /// <param name="failedAfter">Failures in a row from which the kind counts as out of step for good.</param>
    public static KindHealth Of(
        ReflectorStatus status, bool hasObjects, DateTimeOffset? heardAt, DateTimeOffset now, in Silence silence, int failedAfter)
    {
        ClusterFault? fault = status.Error is { } error ? ClusterFaults.From(error) : null;
        if (status.Error?.Kind == KubeErrorKind.Forbidden)
        {
            return new KindHealth(MirrorState.Forbidden, fault);
        }

        if (status.Error?.Kind == KubeErrorKind.Gone && status.FailuresAlike < failedAfter)
        {
            return new KindHealth(MirrorState.Syncing, null);   // the server answers, and is asked for a new list: nothing is wrong, and nobody need do anything
        }

        if (status.Failures >= failedAfter)
        {
            return new KindHealth(MirrorState.Failed, fault);
        }

        if (!hasObjects)
        {
            return new KindHealth(MirrorState.Syncing, fault);
        }

        return silence.IsTooLong(status, heardAt, now) ? new KindHealth(MirrorState.Stale, fault) : new KindHealth(MirrorState.Synced, null);
    }
}

/// <summary>How long a kind may be silent.</summary>
/// <param name="Grace">Beyond what explains the silence.</param>
/// <param name="Bookmarks">Longest between the bookmarks of a watch that carries them.</param>
/// <param name="Watch">Longest life of a watch.</param>
internal readonly record struct Silence(TimeSpan Grace, TimeSpan Bookmarks, TimeSpan Watch)
{
    /// <summary>Whether a kind has been silent for longer than its watch explains. Pure.</summary>
    public bool IsTooLong(ReflectorStatus status, DateTimeOffset? heardAt, DateTimeOffset now)
    {
        if (status.Phase == ReflectorPhase.Watching)
        {
            // A server sends a bookmark only where the revision has moved since this watch began. So what the watches before got
            // says nothing, and without bookmarks silence says nothing before the server should have ended the watch itself.
            return heardAt is not { } heard || now - heard > Grace + (status.Bookmarks ? Bookmarks : Watch);
        }

        // Without an open watch nothing explains silence; but until the last one was lost, it did.
        DateTimeOffset? current = status.FailingSince > heardAt ? status.FailingSince : heardAt;
        return current is not { } until || now - until > Grace;
    }
}
