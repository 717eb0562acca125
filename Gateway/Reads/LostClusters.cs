using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;

namespace MultiCluster.Gateway.Reads;

/// <summary>A silo of which nothing is heard.</summary>
/// <param name="Fault">What to say of its clusters.</param>
/// <param name="Since">Since when.</param>
internal sealed record LostSilo(ClusterFault Fault, DateTimeOffset Since);

/// <summary>The clusters whose silos are lost, or were, and what the fleet looks like meanwhile.</summary>
/// <remarks>
/// Until another silo has a cluster, the fleet holds what the lost one has said last; and when one has it, that says <c>Online</c> as soon as the
/// server answers, with an empty mirror. Both would pass for a cluster that is well. Not thread-safe.
/// </remarks>
internal sealed class LostClusters
{
    /// <summary>Kind of the fault of a cluster that another silo has taken over and reads anew.</summary>
    public const string ResyncingFault = "Resyncing";

    // Whatever has not come into step by then has troubles of its own, and its own report says which.
    private static readonly TimeSpan MostResyncing = TimeSpan.FromMinutes(2);

    private static readonly ClusterFault Resyncing = new(
        ResyncingFault, "The part of this service that held the cluster was lost; another has taken it over and reads it anew. Answers say what they lack until it is done.");

    private readonly Dictionary<string, DateTimeOffset> _resyncing = new(StringComparer.Ordinal);
    private ImmutableDictionary<string, LostSilo> _silos = [];

    /// <summary>These silos are lost, and no others.</summary>
    /// <param name="silos">By name, as in <see cref="ClusterSummary.Silo"/>.</param>
    public void Lose(ImmutableDictionary<string, LostSilo> silos) => _silos = silos;

    /// <summary>Takes note of a cluster that has reported from another silo than before and is not in step there: the one before is lost, whether or not that was noticed.</summary>
    public void Note(ClusterEntry? before, ClusterEntry now, DateTimeOffset at)
    {
        if (before?.Summary is { Silo.Length: > 0 } last && before.Uid == now.Uid && now.Summary is { } summary && !IsInStep(summary)
            && (summary.Silo != last.Silo || HasBegunAnew(last, summary)))
        {
            _resyncing.TryAdd(now.Name, at);
        }
    }

    // It may come to life again where it was, as when it could go nowhere else for a while.
    private static bool HasBegunAnew(ClusterSummary last, ClusterSummary now) =>
        now.Phase == ClusterPhase.Pending && last.Phase is not (ClusterPhase.Pending or ClusterPhase.Disabled) && now.Generation == last.Generation;

    /// <summary>The fleet as it was heard of, with every cluster as pending whose silo is lost, or that is read anew because it was.</summary>
    /// <param name="heard">What the fleet has said.</param>
    /// <param name="before">What was shown last: an entry that has not changed stays the same object, since watches tell changes by that.</param>
    /// <param name="at">Present time.</param>
    public FleetSnapshot ShowIn(FleetSnapshot heard, FleetSnapshot before, DateTimeOffset at)
    {
        if (_silos.IsEmpty && _resyncing.Count == 0)
        {
            return heard;
        }

        ImmutableSortedDictionary<string, ClusterEntry>.Builder shown = heard.Clusters.ToBuilder();
        if (!_silos.IsEmpty)
        {
            foreach (ClusterEntry entry in heard.Clusters.Values)
            {
                if (entry is { Enabled: true, Summary: { } last } && _silos.TryGetValue(last.Silo, out LostSilo? lost))
                {
                    _resyncing.TryAdd(entry.Name, lost.Since);
                    Show(entry with { Summary = Lost(last, lost.Fault, lost.Since) });
                }
            }
        }

        foreach ((string name, DateTimeOffset since) in _resyncing.ToArray())
        {
            if (!heard.Clusters.TryGetValue(name, out ClusterEntry? entry) || entry is not { Enabled: true, Summary: { } summary })
            {
                _resyncing.Remove(name);
            }
            else if (_silos.ContainsKey(summary.Silo))
            {
                continue;   // not taken over yet
            }
            else if (IsInStep(summary) || at - since > MostResyncing)
            {
                _resyncing.Remove(name);
            }
            else
            {
                Show(entry with { Summary = summary with { Phase = ClusterPhase.Pending, Fault = Resyncing, Since = since } });
            }
        }

        return new FleetSnapshot
        {
            IsKnown = heard.IsKnown,
            Version = heard.Version,
            Through = heard.Through,
            Clusters = shown.ToImmutable(),
            Departures = heard.Departures,
            LostSilos = _silos,
        };

        void Show(ClusterEntry now) => shown[now.Name] = before.Clusters.TryGetValue(now.Name, out ClusterEntry? same) && same == now ? same : now;
    }

    /// <summary>What to say of one cluster whose grain has answered: the fleet may not have heard of the loss that this shows, and the grain has reported nothing at its new place until its first report.</summary>
    /// <param name="seen">What the fleet shows; null where it knows nothing of it.</param>
    /// <param name="said">The grain's answer.</param>
    /// <param name="at">Present time.</param>
    public static ClusterSummary? ShowOne(ClusterSummary? seen, ClusterDescription said, DateTimeOffset at)
    {
        ClusterSummary? now = said.Cluster?.Summary;
        if (seen is null || seen.Fault?.Kind == ResyncingFault || seen.Sequence > now?.Sequence)   // heard while the answer was on its way
        {
            return seen ?? now;
        }

        if (now is null)
        {
            // An orderly move brings a mirror along; without one its silo was lost.
            return seen.Kinds == 0 || said.Kinds.Any(k => k.State is not (MirrorState.Syncing or MirrorState.NotMirrored)) ? seen : Lost(seen, Resyncing, at);
        }

        return now.Silo != seen.Silo && seen.Silo.Length > 0 && !IsInStep(now) ? now with { Phase = ClusterPhase.Pending, Fault = Resyncing } : now;
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

    // Any other phase has a reason of its own.
    private static bool IsInStep(ClusterSummary summary) => summary is not ({ Phase: ClusterPhase.Pending } or { Phase: ClusterPhase.Online, KindsSyncing: > 0 } or { Phase: ClusterPhase.Online, Kinds: 0 });
}
