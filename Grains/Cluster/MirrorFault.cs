using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Grains.Reads;

namespace MultiCluster.Grains.Cluster;

/// <summary>Says what of a mirror is so wrong that its cluster counts as degraded.</summary>
internal static class MirrorFault
{
    // More names than these nobody reads; the kinds themselves say the rest.
    private const int MostNames = 3;

    /// <summary>The fault; null where the mirror is in step or on its first way there.</summary>
    /// <remarks>A kind that the cluster forbids costs itself alone: somebody has decided so, and nothing is broken.</remarks>
    public static ClusterFault? Of(MirrorView view, ImmutableArray<SupervisedLoop> loops, DateTimeOffset now, int degradedAfter)
    {
        foreach (SupervisedLoop loop in loops)
        {
            if (loop.Fault is { } broken)
            {
                return broken;
            }
        }

        if (view.DiscoveryFailures >= degradedAfter)
        {
            return new ClusterFault(ClusterFault.OutOfSync, $"Discovery cannot be read: {view.DiscoveryFault?.Message}");
        }

        List<(string Name, KindStanding Reading)> sick = [];
        foreach ((string name, KindMirror kind) in view.Mirrored)
        {
            KindStanding reading = kind.Read(now);
            if (reading.State is MirrorState.Failed or MirrorState.Stale)
            {
                sick.Add((name, reading));
            }
        }

        if (sick.Count == 0)
        {
            return null;
        }

        string names = string.Join(", ", sick.Take(MostNames).Select(kind => kind.Name));
        string more = sick.Count > MostNames ? $" and {sick.Count - MostNames} more" : "";
        ClusterFault? first = sick.Select(kind => kind.Reading.Fault).FirstOrDefault(fault => fault is not null);
        return new ClusterFault(
            first?.Kind == ClusterFault.OverBudget ? ClusterFault.OverBudget : ClusterFault.OutOfSync,
            $"Not in step with the cluster: {names}{more}. {first?.Message ?? "Nothing has been heard for too long."}");
    }
}
