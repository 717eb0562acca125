using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Mirror;

/// <summary>The latest changes of one cluster, bounded by count and bytes, for watches that follow or resume.</summary>
/// <remarks>
/// <para>Writers append under the mirror's gate; readers follow by <see cref="HistoryCursor"/> and take no lock while they keep up.
/// No reader ever holds up a writer or keeps more than one segment of old changes alive.</para>
/// <para>Dropping an addition does not make the history shorter: as long as the object lives, the mirror itself can tell when it was added,
/// and when it does not, the change that ended it is younger. So the first list of a large cluster, which is nothing but
/// additions, expires nobody. Dropping anything else moves <see cref="OldestStamp"/>, and who has not read so far is expired.</para>
/// </remarks>
internal sealed class MirrorHistory
{
    private readonly Lock _gate;
    private readonly FleetClock _clock;
    private readonly Func<IReadOnlyList<(ResourceType Type, RowTree Rows)>> _tables;
    private readonly int _maxChanges;
    private readonly long _maxBytes;
    private HistorySegment _head;
    private HistorySegment _tail;
    private TaskCompletionSource _more = NewSignal();
    private bool _isWaitedFor;
    private long _oldestStamp;
    private long _droppedStamp;
    private long _beganAt;
    private int _count;
    private long _bytes;
    private bool _isEnded;

    /// <param name="gate">Held by writers while they stamp, publish and append.</param>
    /// <param name="clock">Where stamps come from.</param>
    /// <param name="tables">The rows of all kinds as they are now; called under the gate.</param>
    /// <param name="bounds">Bounds.</param>
    /// <param name="knownSince">Nothing is missing after this revision: now for a mirror that begins anew, 0 for a cluster that has just joined.</param>
    public MirrorHistory(
        Lock gate, FleetClock clock, Func<IReadOnlyList<(ResourceType Type, RowTree Rows)>> tables, MirrorBounds bounds, long knownSince)
    {
        _gate = gate;
        _clock = clock;
        _tables = tables;
        _maxChanges = bounds.HistoryChanges;
        _maxBytes = bounds.HistoryBytes;
        _head = _tail = new HistorySegment();
        _oldestStamp = _droppedStamp = knownSince;
    }

    /// <summary>Tells this history from any other, also from the one that the same cluster had before its grain lost its memory.</summary>
    public Guid Id { get; } = Guid.NewGuid();

    /// <summary>What happened after this revision can be told; a reader from before it is expired.</summary>
    public long OldestStamp => Volatile.Read(ref _oldestStamp);

    /// <summary>Changes kept.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Estimated bytes kept alive beyond what the mirror itself holds.</summary>
    public long RetainedBytes => Volatile.Read(ref _bytes);

    /// <summary>Follows what happened after a revision; the first read says when that is no longer known.</summary>
    public HistoryCursor ReadAfter(long stamp) => new(this, stamp);

    /// <summary>Revisions before this one were given out over another history; by themselves they say nothing of where a reader stands in this one.</summary>
    public long BeganAt => Volatile.Read(ref _beganAt);

    /// <summary>From now on this history answers for its cluster.</summary>
    public void Begin() => Volatile.Write(ref _beganAt, _clock.Now());

    /// <summary>After which of its revisions a kind stood at a version of its member; null where that cannot be told.</summary>
    /// <param name="groupResource">The kind.</param>
    /// <param name="version">The version, not later than where the kind stands now.</param>
    /// <param name="listed">The kind's last list, from which on every change is in the history.</param>
    public long? StampAt(string groupResource, long version, ListedState listed)
    {
        List<HistorySegment> segments;
        lock (_gate)
        {
            segments = Segments_NeedsGate();
        }

        long found = listed.Stamp;
        for (int at = segments.Count - 1; at >= 0 && segments[at].LastStamp > found; at--)
        {
            for (int i = segments[at].Count - 1; i >= 0 && segments[at][i].Stamp > found; i--)
            {
                Change change = segments[at][i];
                if (change.Resource.GroupResource != groupResource)
                {
                    continue;
                }

                if (change.Mark.Reach == MarkReach.Unknown)
                {
                    return null;
                }

                if (change.Mark.Reach == MarkReach.Whole && change.Mark.Version <= version)
                {
                    found = change.Stamp;
                }
            }
        }

        return found >= OldestStamp ? found : null;
    }

    /// <summary>Gives the changes that are held to a trail, the latest first.</summary>
    /// <returns>The revision after which nothing is missing among them, not even an addition.</returns>
    internal long Trace_NeedsGate(VersionTrailBuilder trail)
    {
        List<HistorySegment> segments = Segments_NeedsGate();
        for (int at = segments.Count - 1; at >= 0; at--)
        {
            for (int i = segments[at].Count - 1; i >= 0; i--)
            {
                trail.Precede(segments[at][i]);
            }
        }

        return Math.Max(Math.Max(_oldestStamp, _droppedStamp), _beganAt);
    }

    internal void Append_NeedsGate(Change change)
    {
        // A new row is the table's; it becomes the history's own cost when the next change makes it the old one.
        int bytes = HistorySegment.ChangeBytes + (change.Old?.RetainedBytes ?? 0);
        if (_tail.IsFull || _tail.Bytes > _maxBytes / 16)
        {
            var next = new HistorySegment();
            _tail.Continue(next);
            _tail = next;
        }

        _tail.Append(change, bytes);
        Volatile.Write(ref _count, _count + 1);
        Volatile.Write(ref _bytes, _bytes + bytes);
        while ((_count > _maxChanges || _bytes > _maxBytes) && _head != _tail)
        {
            DropHead();
        }
    }

    /// <summary>Wakes the readers; once after all changes of one publication.</summary>
    internal void Announce()
    {
        Interlocked.MemoryBarrier();   // what was appended must be seen by whoever sets the mark behind our look at it
        if (Volatile.Read(ref _isWaitedFor))
        {
            Volatile.Write(ref _isWaitedFor, false);
            Interlocked.Exchange(ref _more, NewSignal()).SetResult();
        }
    }

    /// <summary>No changes will come any more.</summary>
    internal void End_NeedsGate()
    {
        Volatile.Write(ref _isEnded, true);
        Volatile.Write(ref _isWaitedFor, true);
        Announce();
    }

    internal bool IsEnded => Volatile.Read(ref _isEnded);

    /// <summary>Where to go on after a stamp: changes that left the ring but not the mirror, then a segment. Null when expired.</summary>
    internal (List<Change> Additions, HistorySegment Segment, int Index)? Locate(long stamp)
    {
        IReadOnlyList<(ResourceType Type, RowTree Rows)> tables = [];
        HistorySegment segment;
        int index;
        long dropped;
        lock (_gate)
        {
            if (stamp < _oldestStamp)
            {
                return null;
            }

            dropped = _droppedStamp;
            if (stamp < dropped)
            {
                tables = _tables();
            }

            segment = _head;
            while (segment.Next is { } next && segment.LastStamp <= stamp)
            {
                segment = next;
            }

            index = segment.IndexAfter(stamp);
        }

        return (AdditionsAmong(tables, stamp, dropped), segment, index);
    }

    private static List<Change> AdditionsAmong(IReadOnlyList<(ResourceType Type, RowTree Rows)> tables, long after, long through)
    {
        List<Change> additions = [];
        foreach ((ResourceType type, RowTree rows) in tables)
        {
            foreach (MirrorRow row in rows.From([]))
            {
                if (row.WasAdded && row.Stamp > after && row.Stamp <= through)
                {
                    additions.Add(new Change(row.Stamp, type, WatchChange.Added, null, row));
                }
            }
        }

        additions.Sort(static (a, b) => a.Stamp.CompareTo(b.Stamp));
        return additions;
    }

    /// <summary>A revision through which a reader that stands at the end has seen everything; 0 when more has come.</summary>
    /// <param name="segment">Where the reader stands.</param>
    /// <param name="index">And there behind how many changes.</param>
    /// <param name="look">Called where nothing more has come, before anything can.</param>
    internal long RevisionAtEnd(HistorySegment segment, int index, Action? look)
    {
        lock (_gate)
        {
            if (segment != _tail || index != segment.Count)
            {
                return 0;
            }

            // Stamps are drawn and appended under the gate, so nothing below a stamp drawn here can still appear.
            look?.Invoke();
            return _clock.Now();
        }
    }

    /// <summary>A task that ends at the next <see cref="Announce"/>. Take it, look again, then wait.</summary>
    internal Task NextAnnouncement()
    {
        Task next = Volatile.Read(ref _more).Task;
        Volatile.Write(ref _isWaitedFor, true);
        Interlocked.MemoryBarrier();   // the mark must be seen before the caller looks at the segments again
        return next;
    }

    private List<HistorySegment> Segments_NeedsGate()
    {
        List<HistorySegment> segments = [];
        for (HistorySegment? segment = _head; segment is not null; segment = segment.Next)
        {
            segments.Add(segment);
        }

        return segments;
    }

    private void DropHead()
    {
        HistorySegment dropped = _head;
        _head = dropped.Next!;
        Volatile.Write(ref _count, _count - dropped.Count);
        Volatile.Write(ref _bytes, _bytes - dropped.Bytes);
        _droppedStamp = dropped.LastStamp;
        if (dropped.LastLoss > 0)
        {
            Volatile.Write(ref _oldestStamp, Math.Max(_oldestStamp, dropped.LastLoss));
        }

        dropped.Drop();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>A run of changes. One writer appends; readers read what <see cref="Count"/> covers.</summary>
internal sealed class HistorySegment
{
    /// <summary>A change, its place in the segment, and its share of the two.</summary>
    public const int ChangeBytes = 80;

    private const int Capacity = 256;

    private readonly Change[] _changes = new Change[Capacity];
    private int _count;
    private HistorySegment? _next;
    private bool _isDropped;

    public int Count => Volatile.Read(ref _count);

    public HistorySegment? Next => Volatile.Read(ref _next);

    /// <summary>Whether it has left the history. Then it has no next one, so that it keeps nothing alive.</summary>
    public bool IsDropped => Volatile.Read(ref _isDropped);

    public bool IsFull => _count == Capacity;

    public long Bytes { get; private set; }

    public long LastStamp => Count == 0 ? 0 : _changes[_count - 1].Stamp;

    /// <summary>Stamp of the last change that cannot be told again once this segment is gone.</summary>
    public long LastLoss { get; private set; }

    public Change this[int index] => _changes[index];

    public void Append(Change change, int bytes)
    {
        _changes[_count] = change;
        Bytes += bytes;
        if (change.Type != WatchChange.Added)
        {
            LastLoss = change.Stamp;
        }

        Volatile.Write(ref _count, _count + 1);
    }

    public void Continue(HistorySegment next) => Volatile.Write(ref _next, next);

    public void Drop()
    {
        Volatile.Write(ref _isDropped, true);
        Volatile.Write(ref _next, null);
    }

    /// <summary>Index of the first change after a stamp.</summary>
    public int IndexAfter(long stamp)
    {
        int low = 0;
        int high = Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_changes[middle].Stamp <= stamp)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
