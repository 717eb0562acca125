using System.Collections.Immutable;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Mirror;

/// <summary>How a mirror's revisions of late translate into versions of its member: what a mirror elsewhere needs to go on from them.</summary>
/// <remarks>
/// A revision says where a watch stands in the history of one mirror, and says nothing to the mirror that takes its place. The versions of the
/// member are the same for both. It is small, since it holds no objects, and is sent along when a cluster moves. Immutable.
/// </remarks>
[GenerateSerializer, Immutable, Alias("multicluster.version-trail")]
internal sealed record VersionTrail
{
    /// <summary>Changes of the last half minute are translated one by one; of what changes all the time, older revisions are not known.</summary>
    public static readonly TimeSpan Span = TimeSpan.FromSeconds(30);

    /// <summary>Most changes that are translated: at 28 bytes each, some 112 KiB.</summary>
    public const int MaxPoints = 4096;

    /// <summary>What the mirror has known since this revision is whole; nothing is said of earlier ones.</summary>
    [Id(0)] public required long Since { get; init; }

    /// <summary>The kinds that it held or had held since, by group-resource.</summary>
    [Id(1)] public required ImmutableSortedDictionary<string, ImmutableArray<TrailPoint>> Kinds { get; init; }

    /// <summary>Where a kind stood; null where that is not known.</summary>
    public TrailPoint? At(string groupResource, long revision)
    {
        if (revision < Since)
        {
            return null;
        }

        if (!Kinds.TryGetValue(groupResource, out ImmutableArray<TrailPoint> points))
        {
            return new TrailPoint(Since, 0, 0, 0);   // the mirror held nothing of it
        }

        TrailPoint? last = null;
        foreach (TrailPoint point in points)
        {
            if (point.From > revision)
            {
                break;
            }

            last = point;
        }

        return last is { Version: >= 0 } ? last : null;
    }
}

/// <summary>From a revision on, up to the next point, a kind stood at a version of its member.</summary>
/// <param name="From">The revision.</param>
/// <param name="Version">The member's resourceVersion; 0 where there was nothing, negative where it cannot be told.</param>
/// <param name="Count">Objects of the kind at it.</param>
/// <param name="Unchanged">The version from which on the kind was the same.</param>
[GenerateSerializer, Immutable, Alias("multicluster.trail-point")]
internal readonly record struct TrailPoint(
    [property: Id(0)] long From,
    [property: Id(1)] long Version,
    [property: Id(2)] int Count,
    [property: Id(3)] long Unchanged);

/// <summary>Puts a <see cref="VersionTrail"/> together from a history, the latest change first.</summary>
internal sealed class VersionTrailBuilder(long from)
{
    private readonly Dictionary<string, Kind> _kinds = new(StringComparer.Ordinal);
    private int _points;

    /// <summary>A kind as it is now.</summary>
    public void Add(KindTable table) => _kinds[table.Type.GroupResource] = new Kind(table.MemberVersion, table.ChangedVersion, table.ObjectCount, table.Listed);

    /// <summary>The change before the one that was given last.</summary>
    public void Precede(Change change)
    {
        if (!_kinds.TryGetValue(change.Resource.GroupResource, out Kind? kind))
        {
            _kinds.Add(change.Resource.GroupResource, kind = new Kind(0, 0, 0, null));   // its table is gone
        }

        if (kind.IsComplete)
        {
            return;
        }

        // What stands after the last change has been confirmed by bookmarks since: a newer version for the same state.
        bool isLast = kind.Points.Count == 0;
        long version = isLast ? kind.Version : change.Mark.Reach == MarkReach.Whole ? change.Mark.Version : -1;
        kind.Points.Add(new TrailPoint(change.Stamp, version, kind.Count, isLast ? kind.Unchanged : version));
        kind.Count -= change.Type switch { WatchChange.Added => 1, WatchChange.Deleted => -1, _ => 0 };
        kind.IsComplete = change.Stamp < from || ++_points >= VersionTrail.MaxPoints;
    }

    public VersionTrail Build(long since) => new()
    {
        Since = since,
        Kinds = _kinds.ToImmutableSortedDictionary(static kind => kind.Key, kind => kind.Value.From(since), StringComparer.Ordinal),
    };

    private sealed class Kind(long version, long unchanged, int count, ListedState? listed)
    {
        public long Version => version;

        public long Unchanged => unchanged;

        /// <summary>Objects after the change that comes next, which is the one before.</summary>
        public int Count { get; set; } = count;

        /// <summary>The latest first.</summary>
        public List<TrailPoint> Points { get; } = [];

        public bool IsComplete { get; set; }

        /// <summary>The earliest first; one that has not changed has been the same since.</summary>
        public ImmutableArray<TrailPoint> From(long since)
        {
            if (Points.Count == 0)
            {
                return [new TrailPoint(since, version, Count, unchanged)];
            }

            // A list that brought nothing new stands for itself.
            bool isBefore = !IsComplete && listed is not null && listed.Stamp < Points[^1].From;
            IEnumerable<TrailPoint> points = Points.AsEnumerable().Reverse();
            return isBefore ? [new TrailPoint(listed!.Stamp, listed.Version, listed.Count, listed.Version), .. points] : [.. points];
        }
    }
}
