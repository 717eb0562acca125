using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>What can be said of clusters without asking them, and what a set of coverages amounts to.</summary>
internal static class FleetCoverage
{
    /// <summary>Coverage of a cluster that a user has switched off.</summary>
    public static ClusterCoverage Disabled(string cluster) => new() { Cluster = cluster, State = CoverageState.Disabled };

    /// <summary>Coverage of a cluster that is known to be sick by its last report; null where nothing is wrong with it as a whole.</summary>
    public static ClusterCoverage? OfSick(ClusterEntry entry)
    {
        if (!entry.Enabled)
        {
            return Disabled(entry.Name);
        }

        CoverageState? state = entry.Summary?.Phase switch
        {
            null or ClusterPhase.Pending => CoverageState.Syncing,
            ClusterPhase.Offline => CoverageState.Offline,
            ClusterPhase.AuthFailed => CoverageState.Forbidden,
            ClusterPhase.Disabled => CoverageState.Disabled,
            _ => null,
        };
        return state is { } sick ? new ClusterCoverage { Cluster = entry.Name, State = sick, Fault = entry.Summary?.Fault } : null;
    }

    /// <summary>Throws where a strict request is not covered.</summary>
    /// <remarks>
    /// A kind that a cluster does not serve has no objects there, so nothing is missing. A cluster that was switched off is missing only
    /// where it was asked for by name.
    /// </remarks>
    public static void ThrowIfIncomplete(IEnumerable<ClusterCoverage> coverage, SelectedClusters selection)
    {
        ImmutableArray<ClusterCoverage> missing =
        [
            .. coverage.Where(c => c.State switch
            {
                CoverageState.Ok or CoverageState.NotServed => false,
                CoverageState.Disabled => selection.Names(c.Cluster),
                _ => true,
            }),
        ];
        if (!missing.IsEmpty)
        {
            throw new IncompleteReadException(missing);
        }
    }

    /// <summary>Whether a cluster could say if an object is there, were it by what was known of it some time ago. A switched-off one was not asked.</summary>
    public static bool CouldSay(ClusterCoverage coverage) => coverage.State is CoverageState.Ok or CoverageState.NotServed || coverage.Age is not null;

    /// <summary>Throws where clusters were asked for one object and none of them could say whether it is there: that is not the same as no.</summary>
    public static void ThrowIfUnanswered(ImmutableArray<ClusterCoverage> coverage)
    {
        if (!coverage.IsEmpty && !coverage.Any(CouldSay))
        {
            throw new IncompleteReadException(coverage, "None of them could say whether the object is there; see the fault of each.");
        }
    }

    /// <summary>Throws where a cluster found the request itself to be wrong.</summary>
    public static void ThrowIfInvalid(IEnumerable<ClusterCoverage> coverage)
    {
        foreach (ClusterCoverage answer in coverage)
        {
            if (answer is { State: CoverageState.Failed, Fault: { Kind: ClusterFault.InvalidRequest } fault })
            {
                throw new InvalidQueryException(fault.Field ?? ReadFields.Kind, fault.Message);
            }
        }
    }
}
