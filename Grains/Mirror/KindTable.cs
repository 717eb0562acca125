using System.Buffers;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Mirror;

/// <summary>The mirror of one kind of one cluster: fed by a reflector, read through snapshots.</summary>
/// <remarks>
/// One writer at a time (the reflector's loop); any number of readers, who never block it: taking a snapshot costs a lock that a
/// writer holds for the moment of publishing. A snapshot that is taken after a revision was drawn from the <see cref="FleetClock"/>
/// shows every change stamped up to that revision. A list is applied as a difference: objects whose uid and resourceVersion are
/// unchanged keep their row, without a change in the history.
/// </remarks>
internal sealed class KindTable : IReflectorSink
{
    private readonly ClusterMirror _mirror;
    private readonly ObjectScanner _scanner;
    private readonly RowFactory _factory;
    private readonly TotalsCounter _totals;
    private readonly TimeProvider _time;
    private byte[] _key = new byte[512];
    private RowTree _rows = RowTree.Empty;
    private MirrorSnapshot? _snapshot = MirrorSnapshot.Empty;
    private ReplaceSession? _session;
    private long _retainedBytes;
    private long _jsonBytes;
    private long _lastHeard;
    private long _memberVersion;
    private long _changedVersion;
    private ListedState? _listed;

    internal KindTable(ClusterMirror mirror, ResourceType type, TimeProvider time)
    {
        _mirror = mirror;
        Type = type;
        _time = time;
        _scanner = new ObjectScanner(type);
        _factory = new RowFactory(type);
        _totals = new TotalsCounter(KindProfiles.For(type));
        _lastHeard = time.GetTimestamp();
    }

    public ResourceType Type { get; }

    /// <summary>Whether a whole list has arrived at least once. Until then the table is empty and means nothing.</summary>
    public bool IsSynced { get; private set; }

    /// <summary>Why the table does not follow its cluster at present, in words for the user; null when it does.</summary>
    public string? OutOfSyncReason { get; private set; }

    /// <summary>The member's revision up to which the table has heard everything; null before the first list.</summary>
    public string? ResourceVersion { get; private set; }

    /// <summary>The member's version at which its objects were exactly these; 0 while there are none because no list is whole yet, -1 where it cannot be told.</summary>
    /// <remarks>Read under the mirror's gate, together with a snapshot or the end of the history, it belongs to that.</remarks>
    internal long MemberVersion => Volatile.Read(ref _memberVersion);

    /// <summary>What the last list was like; null before the first.</summary>
    internal ListedState? Listed => Volatile.Read(ref _listed);

    /// <summary>The earliest version of the member of which it is known that its objects were these; at most <see cref="MemberVersion"/>. Read as that.</summary>
    internal long ChangedVersion => Volatile.Read(ref _changedVersion);

    /// <summary>Where a watch stands that has been told all of it. Read as <see cref="MemberVersion"/>.</summary>
    internal MemberPoint Point => new(MemberVersion, null, ObjectCount, ChangedVersion);

    /// <summary>Time since the last event, bookmark or list; before the first, since the table was made.</summary>
    public TimeSpan SinceHeard => _time.GetElapsedTime(Volatile.Read(ref _lastHeard));

    public int ObjectCount => Volatile.Read(ref _rows).Count;

    /// <summary>Estimated bytes held: rows, their packed JSON and their share of the tree.</summary>
    public long RetainedBytes => Volatile.Read(ref _retainedBytes);

    /// <summary>Bytes of JSON that the table stands for.</summary>
    public long JsonBytes => Volatile.Read(ref _jsonBytes);

    /// <summary>All objects as of now; see the remarks of the class for what it shows for certain.</summary>
    public MirrorSnapshot Snapshot
    {
        get
        {
            lock (_mirror.Gate)
            {
                return _snapshot ??= new MirrorSnapshot(_rows, _totals.ToTotals());
            }
        }
    }

    internal RowTree Rows => _rows;

    public void BeginReplace()
    {
        _session = new ReplaceSession();
        Heard();
    }

    public void BeginReplaceAfterRestore()
    {
        _session = new ReplaceSession { ComparesObjects = true };
        Heard();
    }

    public void Replace(ReadOnlySpan<byte> item)
    {
        ReplaceSession session = _session ?? throw new InvalidOperationException("Replace without BeginReplace.");
        ScannedObject scanned = _scanner.Scan(item);
        ReadOnlySpan<byte> key = KeyOf(scanned);
        MirrorRow? existing = _rows.Find(key);
        bool isSame = existing is not null
            && existing.IsSameState(ObjectUid.From(scanned.Uid), RowDraft.NumberOf(scanned.ResourceVersion))
            && (!session.ComparesObjects || HasSameJson(existing, scanned));
        if (!isSame)
        {
            existing = _factory.Make(scanned, key, existing, session.Last, null);
        }

        session.Add(existing!);
        CheckBudget(session.RetainedBytes - _retainedBytes);
    }

    public void EndReplace(string resourceVersion)
    {
        ReplaceSession session = _session ?? throw new InvalidOperationException("EndReplace without BeginReplace.");
        _session = null;
        List<MirrorRow> rows = session.ToOrdered();
        List<PendingChange> changes = Difference(_rows, rows);
        RowTree tree = changes.Count == 0 ? _rows : RowTree.Build(rows);
        long version = NumberOf(resourceVersion);
        Publish(tree, changes, version);
        lock (_mirror.Gate)
        {
            // Only this table's writer adds changes of it, so none lies between the list and this revision.
            long newest = rows.Count == 0 ? 0 : rows.Max(static row => row.Version);
            bool isTold = version >= 0 && rows.TrueForAll(static row => row.Version >= 0);
            Volatile.Write(ref _changedVersion, version);   // an object that came and went since the last one leaves no trace in a list
            Volatile.Write(ref _listed, isTold ? new ListedState(version, newest, rows.Count, _mirror.Clock.Now()) : null);
        }

        if (rows.Count == 0)
        {
            _factory.Forget();
        }

        ResourceVersion = resourceVersion;
        IsSynced = true;
        OutOfSyncReason = null;
        Heard();
        SweepPool();
    }

    public void AbortReplace() => _session = null;

    public void Apply(WatchChange change, ReadOnlySpan<byte> item)
    {
        if (_session is not null)
        {
            throw new InvalidOperationException("A change arrived in the middle of a list.");
        }

        Heard();
        ScannedObject scanned = _scanner.Scan(item);
        ReadOnlySpan<byte> key = KeyOf(scanned);
        MirrorRow? existing = _rows.Find(key);
        ObjectUid uid = ObjectUid.From(scanned.Uid);
        long version = NumberOf(scanned.ResourceVersion);
        if (change == WatchChange.Deleted)
        {
            // An object made anew under the same name is not what this event is about.
            bool isIt = existing is not null && existing.Uid == uid;
            Publish(isIt ? _rows.Without(key) : _rows, isIt ? [new PendingChange(WatchChange.Deleted, existing, null)] : [], version);
        }
        else if (existing is null || !existing.IsSameState(uid, RowDraft.NumberOf(scanned.ResourceVersion)))
        {
            (MirrorRow? before, MirrorRow? behind) = _rows.Neighbours(key);
            MirrorRow row = _factory.Make(scanned, key, existing, before, behind);
            CheckBudget(row.RetainedBytes - (existing?.RetainedBytes ?? 0));
            Publish(_rows.With(row), ChangesFor(existing, row), version);
            SweepPool();
        }
        else
        {
            Publish(_rows, [], version);
        }

        ResourceVersion = System.Text.Encoding.UTF8.GetString(scanned.ResourceVersion);
    }

    public void Bookmark(string resourceVersion)
    {
        ResourceVersion = resourceVersion;
        Publish(_rows, [], NumberOf(resourceVersion));
        Heard();
    }

    /// <summary>Takes all rows out, each as a deletion.</summary>
    internal void Clear()
    {
        _session = null;
        List<PendingChange> changes = [];
        foreach (MirrorRow row in _rows.From([]))
        {
            changes.Add(new PendingChange(WatchChange.Deleted, row, null));
        }

        Publish(RowTree.Empty, changes, 0);
        _factory.Forget();
        SweepPool();
        IsSynced = false;
    }

    private void Heard() => Volatile.Write(ref _lastHeard, _time.GetTimestamp());

    private ReadOnlySpan<byte> KeyOf(in ScannedObject scanned)
    {
        int length = scanned.Namespace.Length + 1 + scanned.Name.Length;
        if (_key.Length < length)
        {
            _key = new byte[length];
        }

        return _key.AsSpan(0, MirrorKey.Write(scanned.Namespace, scanned.Name, _key));
    }

    private static bool HasSameJson(MirrorRow row, in ScannedObject scanned)
    {
        if (row.JsonLength != scanned.JsonLength)
        {
            return false;
        }

        byte[] both = ArrayPool<byte>.Shared.Rent(2 * row.JsonLength);
        Span<byte> ours = both.AsSpan(0, row.JsonLength);
        Span<byte> theirs = both.AsSpan(row.JsonLength, row.JsonLength);
        row.CopyJson(ours);
        scanned.CopyJson(theirs);
        bool isSame = ours.SequenceEqual(theirs);
        ArrayPool<byte>.Shared.Return(both);
        return isSame;
    }

    private static List<PendingChange> ChangesFor(MirrorRow? old, MirrorRow row)
    {
        if (old is null)
        {
            return [new PendingChange(WatchChange.Added, null, row)];
        }

        return old.Uid == row.Uid
            ? [new PendingChange(WatchChange.Modified, old, row)]
            : [new PendingChange(WatchChange.Deleted, old, null), new PendingChange(WatchChange.Added, null, row)];
    }

    /// <summary>What turns one set of rows into another; both in order.</summary>
    private static List<PendingChange> Difference(RowTree old, List<MirrorRow> rows)
    {
        List<PendingChange> changes = [];
        RowCursor cursor = old.From([]);
        bool more = cursor.MoveNext();
        foreach (MirrorRow row in rows)
        {
            while (more && cursor.Current.Key.SequenceCompareTo(row.Key) < 0)
            {
                changes.Add(new PendingChange(WatchChange.Deleted, cursor.Current, null));
                more = cursor.MoveNext();
            }

            MirrorRow? same = more && cursor.Current.Key.SequenceEqual(row.Key) ? cursor.Current : null;
            if (same is not null)
            {
                more = cursor.MoveNext();
            }

            if (!ReferenceEquals(same, row))
            {
                changes.AddRange(ChangesFor(same, row));
            }
        }

        for (; more; more = cursor.MoveNext())
        {
            changes.Add(new PendingChange(WatchChange.Deleted, cursor.Current, null));
        }

        return changes;
    }

    private void Publish(RowTree rows, List<PendingChange> changes, long memberVersion)
    {
        if (changes.Count == 0)
        {
            // Nothing to be seen, so whoever reads it with an older state reads the same state.
            Volatile.Write(ref _memberVersion, memberVersion);
            return;
        }

        lock (_mirror.Gate)
        {
            if (_mirror.IsFrozen)
            {
                return;
            }

            long retained = 0;
            long stamp = _mirror.Clock.Tick(changes.Count);
            for (int i = 0; i < changes.Count; i++)
            {
                PendingChange change = changes[i];
                if (change.Old is { } old)
                {
                    _totals.Count(old, -1);
                    retained -= old.RetainedBytes + TreeBytesPerRow;
                    _jsonBytes -= old.JsonLength;
                }

                if (change.New is { } row)
                {
                    row.Seal(stamp, change.Type == WatchChange.Added);
                    _totals.Count(row, 1);
                    retained += row.RetainedBytes + TreeBytesPerRow;
                    _jsonBytes += row.JsonLength;
                }

                bool isBetween = change.New is null && i + 1 < changes.Count && changes[i + 1].New is { } next && next.Key.SequenceEqual(change.Old!.Key);
                var mark = MemberMark.For(memberVersion, i + 1 == changes.Count, isBetween);
                _mirror.History.Append_NeedsGate(new Change(stamp++, Type, change.Type, change.Old, change.New, mark));
            }

            Volatile.Write(ref _memberVersion, memberVersion);
            Volatile.Write(ref _changedVersion, memberVersion);

            _retainedBytes += retained;
            _mirror.Retain_NeedsGate(retained);
            Volatile.Write(ref _rows, rows);
            _snapshot = null;
        }

        _mirror.History.Announce();
    }

    // A reference in a leaf that is about three quarters full, and the leaf's header and term filter divided by its rows.
    private const int TreeBytesPerRow = 18;

    /// <summary>A version as a number; -1 where it is none.</summary>
    private static long NumberOf(ReadOnlySpan<byte> resourceVersion) => RowDraft.NumberOf(resourceVersion) is > 0 and var number ? number : -1;

    private static long NumberOf(string resourceVersion) => NumberOf(System.Text.Encoding.UTF8.GetBytes(resourceVersion));

    private void CheckBudget(long more)
    {
        if (_mirror.WouldExceedBudget(more))
        {
            OutOfSyncReason = $"The byte budget of {_mirror.ByteBudget:N0} bytes for this cluster is used up; {Type.GroupResource} stay as they were. "
                + "Raise Mirror:ByteBudget or mirror fewer kinds.";
            throw new FormatException(OutOfSyncReason);
        }
    }

    private void SweepPool()
    {
        if (_factory.Pool.WantsSweep)
        {
            _factory.Pool.Sweep(_rows);
        }
    }

    private readonly record struct PendingChange(WatchChange Type, MirrorRow? Old, MirrorRow? New);
}

/// <summary>A list that was taken over whole.</summary>
/// <param name="Version">The member's version of it.</param>
/// <param name="Newest">The latest version of one of its objects; 0 without any.</param>
/// <param name="Count">Its objects.</param>
/// <param name="Stamp">Fleet revision: every change of the kind since the list is stamped later.</param>
internal sealed record ListedState(long Version, long Newest, int Count, long Stamp)
{
    /// <summary>Whether the kind was the same at a version from before the list: nothing in it is newer, and nothing is missing.</summary>
    public bool IsSameAs(long version, int count) => version < Version && Newest <= version && count == Count;
}

/// <summary>The rows of a list that is still arriving.</summary>
internal sealed class ReplaceSession
{
    private readonly List<MirrorRow> _rows = [];
    private bool _isOrdered = true;

    /// <summary>Whether equal revisions do not prove equal objects.</summary>
    public bool ComparesObjects { get; init; }

    public MirrorRow? Last => _rows.Count == 0 ? null : _rows[^1];

    public long RetainedBytes { get; private set; }

    public void Add(MirrorRow row)
    {
        _isOrdered = _isOrdered && (Last is not { } last || last.Key.SequenceCompareTo(row.Key) < 0);
        _rows.Add(row);
        RetainedBytes += row.RetainedBytes;
    }

    /// <summary>The rows in strictly ascending order; of several with the same key the last that came.</summary>
    public List<MirrorRow> ToOrdered()
    {
        if (_isOrdered)
        {
            return _rows;
        }

        var byKey = new SortedDictionary<byte[], MirrorRow>(Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b)));
        foreach (MirrorRow row in _rows)
        {
            byKey[row.Key.ToArray()] = row;
        }

        return [.. byKey.Values];
    }
}
