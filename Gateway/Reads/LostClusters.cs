using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;

namespace MultiCluster.Gateway.Reads;

/// <summary>A silo of which nothing is heard.</summary>
/// <param name="Fault">What to say of its clusters.</param>
/// <param name="Since">Since when.</param>
internal sealed record LostSilo(ClusterFault Fault, DateTimeOffset Since);

/// <summary>The silos that are lost, and what the fleet looks like without them. Immutable.</summary>
/// <param name="silos">By name, as in <see cref="ClusterSummary.Silo"/>.</param>
internal sealed class LostClusters(ImmutableDictionary<string, LostSilo> silos)
{
    public static readonly LostClusters None = new([]);

    /// <summary>The fleet as it was heard of, with every cluster whose last word came from a lost silo as pending.</summary>
    /// <param name="heard">What the fleet has said.</param>
    /// <param name="before">What was shown last: an entry that has not changed stays the same object, since watches tell changes by that.</param>
    public FleetSnapshot ShowIn(FleetSnapshot heard, FleetSnapshot before)
    {
        if (silos.IsEmpty)
        {
            return heard;
        }

        ImmutableSortedDictionary<string, ClusterEntry>.Builder shown = heard.Clusters.ToBuilder();
        foreach (ClusterEntry entry in heard.Clusters.Values)
        {
            if (entry is { Enabled: true, Summary: { } last } && silos.TryGetValue(last.Silo, out LostSilo? lost))
            {
                ClusterEntry now = entry with { Summary = Lost(last, lost.Fault, lost.Since) };
                shown[entry.Name] = before.Clusters.TryGetValue(entry.Name, out ClusterEntry? same) && same == now ? same : now;
            }
        }

        return new FleetSnapshot
        {
            IsKnown = heard.IsKnown,
            Version = heard.Version,
            Through = heard.Through,
            Clusters = shown.ToImmutable(),
            Departures = heard.Departures,
        };
    }

    /// <summary>What is left of a summary whose silo is lost: the figures are the last that are known, and all of it is about to be read anew.</summary>
    public static ClusterSummary Lost(ClusterSummary last, ClusterFault fault, DateTimeOffset since) => last with
    {
        Phase = ClusterPhase.Pending,
        Fault = fault,
        Since = since,
        KindsSyncing = last.Kinds,
        KindsStale = 0,
        KindsFailing = 0,
        ChangesPerSecond = 0,
    };
}
