using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;

namespace MultiCluster.Grains.Fleet;

/// <summary>The fleet in memory: entries with their summaries, departures, and what changed since a version.</summary>
/// <remarks>
/// Not thread-safe: turns of the fleet grain only. Items are kept in the order of their last change, so that a reader that
/// is nearly up to date pays for what is new and not for the size of the fleet; nothing is queued per reader, and a reader
/// that comes late finds the changes joined.
/// </remarks>
internal sealed class FleetRegistry
{
    private readonly Dictionary<string, LinkedListNode<Item>> _clusters = new(StringComparer.Ordinal);
    private readonly LinkedList<Item> _byChange = new();
    private readonly List<(DepartureRecord Record, long Version)> _departures = [];
    private long _forgottenThrough;

    /// <summary>Version of the last change.</summary>
    public long Version { get; private set; }

    public int Count => _clusters.Count;

    public IEnumerable<ClusterEntry> Clusters => _clusters.Values.Select(node => node.Value.Entry);

    public IEnumerable<DepartureRecord> Departures => _departures.Select(departure => departure.Record);

    /// <summary>Starts from what was stored, every entry at <paramref name="version"/>.</summary>
    public void Load(FleetState state, long version)
    {
        Version = version;
        _forgottenThrough = version;
        foreach (ClusterEntry entry in state.Clusters)
        {
            Put(entry, version);
        }

        foreach (DepartureRecord record in state.Departures)
        {
            _departures.Add((record, version));
        }
    }

    public ClusterEntry? Find(string name) => _clusters.TryGetValue(name, out LinkedListNode<Item>? node) ? node.Value.Entry : null;

    /// <summary>Puts an entry in, with the summary that is known of the same registration.</summary>
    public void Admit(ClusterEntry entry, long version)
    {
        ClusterSummary? known = Find(entry.Name) is { } before && before.Uid == entry.Uid ? before.Summary : null;
        Put(entry with { Summary = entry.Summary ?? known }, version);
        Version = version;
    }

    public void Dismiss(DepartureRecord record, long version)
    {
        if (_clusters.Remove(record.Departure.Name, out LinkedListNode<Item>? node))
        {
            _byChange.Remove(node);
        }

        _departures.Add((record, version));
        Version = version;
    }

    /// <summary>Takes a summary. False where the registration it speaks of, or its last change, is not here.</summary>
    /// <param name="summary">The report.</param>
    /// <param name="version">Version to give to the change.</param>
    /// <param name="changed">Whether it was newer than what is here.</param>
    public bool Report(ClusterSummary summary, long version, out bool changed)
    {
        changed = false;
        if (Find(summary.Name) is not { } entry || entry.Uid != summary.Uid || entry.Generation < summary.Generation)
        {
            return false;
        }

        if (entry.Summary is { } known && known.Sequence >= summary.Sequence)
        {
            return true;
        }

        Put(entry with { Summary = summary }, version);
        Version = version;
        changed = true;
        return true;
    }

    /// <summary>Forgets the departures that are older than the window or too many.</summary>
    /// <returns>Whether any was forgotten.</returns>
    public bool Forget(DateTimeOffset notedBefore, int most)
    {
        int gone = 0;
        while (gone < _departures.Count && (_departures.Count - gone > most || _departures[gone].Record.NotedAt < notedBefore))
        {
            // A reader that has not seen it yet can no longer be told by a difference.
            _forgottenThrough = Math.Max(_forgottenThrough, _departures[gone].Version);
            gone++;
        }

        _departures.RemoveRange(0, gone);
        return gone > 0;
    }

    /// <summary>Everything there is.</summary>
    public FleetChange Whole() => new()
    {
        Version = Version,
        Whole = true,
        Clusters = [.. Clusters.OrderBy(entry => entry.Name, StringComparer.Ordinal)],
        Departures = [.. _departures.Select(departure => departure.Record.Departure)],
    };

    /// <summary>What changed after a version; everything where the difference is no longer known; null where nothing did.</summary>
    public FleetChange? Since(long version)
    {
        if (version >= Version)
        {
            return null;
        }

        if (version < _forgottenThrough)
        {
            return Whole();
        }

        ImmutableArray<ClusterEntry>.Builder changed = ImmutableArray.CreateBuilder<ClusterEntry>();
        for (LinkedListNode<Item>? node = _byChange.Last; node is not null && node.Value.ChangedAt > version; node = node.Previous)
        {
            changed.Add(node.Value.Entry);
        }

        changed.Reverse();
        return new FleetChange
        {
            Version = Version,
            Whole = false,
            Clusters = changed.DrainToImmutable(),
            Departures = [.. _departures.Where(departure => departure.Version > version).Select(departure => departure.Record.Departure)],
        };
    }

    private void Put(ClusterEntry entry, long version)
    {
        if (_clusters.TryGetValue(entry.Name, out LinkedListNode<Item>? node))
        {
            _byChange.Remove(node);
        }

        _clusters[entry.Name] = _byChange.AddLast(new Item(entry, version));
    }

    private readonly record struct Item(ClusterEntry Entry, long ChangedAt);
}
