using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>The objects that a watch shows, and how changes of the mirror change them. Not thread-safe.</summary>
internal interface IWatchedSet
{
    /// <summary>The kind that is watched.</summary>
    ResourceType Type { get; }

    /// <summary>Its query.</summary>
    CompiledQuery Query { get; }

    /// <summary>Whether other kinds have a say, so that it must know what it shows before it can follow, and what is shown is only right when all changes are settled.</summary>
    bool DependsOnOthers { get; }

    /// <summary>The kinds of others that have had a say, by group-resource.</summary>
    IReadOnlyCollection<string> Others { get; }

    /// <summary>What is there at a moment, in list order.</summary>
    IEnumerable<MirrorRow> Present(MirrorMoment moment, CancellationToken cancellationToken);

    /// <summary>What the watcher may have, to take leave of.</summary>
    IEnumerable<MirrorRow> Leaving(MirrorMoment moment, CancellationToken cancellationToken);

    /// <summary>Whether an object was shown.</summary>
    /// <param name="row">Its state of then.</param>
    /// <param name="others">The others of then, by group-resource.</param>
    bool WasShown(MirrorRow row, Func<string, MirrorSnapshot?> others);

    /// <summary>Takes the next change of the cluster, of whatever kind.</summary>
    void Apply(Change change, WatchBatch batch);

    /// <summary>The watch has caught up: settles what was put off.</summary>
    void Settle(WatchBatch batch);
}

/// <summary>Objects that can be judged by themselves: old and new state of a change say what the watcher sees of it.</summary>
internal sealed class PlainSet(CompiledQuery query, TimeProvider time) : IWatchedSet
{
    public ResourceType Type => query.Type;

    public CompiledQuery Query => query;

    public bool DependsOnOthers => false;

    public IReadOnlyCollection<string> Others => [];

    public IEnumerable<MirrorRow> Present(MirrorMoment moment, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        MirrorSnapshot snapshot = moment.Find(Type.GroupResource) ?? MirrorSnapshot.Empty;
        return RowScan.Candidates(snapshot, query, null, null, now, cancellationToken).Where(row => !query.NeedsJson || query.MatchesJson(row, now));
    }

    public IEnumerable<MirrorRow> Leaving(MirrorMoment moment, CancellationToken cancellationToken) => Present(moment, cancellationToken);

    public bool WasShown(MirrorRow row, Func<string, MirrorSnapshot?> others) => query.Matches(row, time.GetUtcNow());

    public void Apply(Change change, WatchBatch batch)
    {
        if (change.Resource.GroupResource != query.Type.GroupResource)
        {
            return;
        }

        DateTimeOffset now = time.GetUtcNow();
        bool isIn = change.New is { } newer && query.Matches(newer, now);

        // A change whose old state the history gave up may have matched before: a deletion too many does no harm, one too few does.
        bool wasIn = change.Old is { } older ? query.Matches(older, now) : change.Type != WatchChange.Added;
        switch (wasIn, isIn)
        {
            case (false, true):
                batch.Add(ChangeType.Added, change.Stamp, change.New!);
                break;
            case (true, true):
                batch.Add(ChangeType.Modified, change.Stamp, change.New!);
                break;
            case (true, false):
                batch.Add(ChangeType.Deleted, change.Stamp, change.Old ?? change.Row);
                break;
            default:
                break;
        }
    }

    public void Settle(WatchBatch batch)
    {
    }
}

/// <summary>Objects whose owners have a say: an object comes and goes with changes of others, so the watch remembers which ones it shows.</summary>
/// <remarks>
/// A change of an object that owns others puts those on a list, and they are judged anew against the mirror as it is when the watch has
/// caught up. That mirror may be ahead of the history; changes that the watcher has already seen the outcome of are left out.
/// </remarks>
internal sealed class OwnedSet : IWatchedSet
{
    private readonly IClusterReadSource _source;
    private readonly CompiledQuery _query;
    private readonly OwnerQuery _owner;
    private readonly TimeProvider _time;
    private readonly Dictionary<ObjectUid, MirrorRow> _shown = [];
    private readonly HashSet<ObjectUid> _restless = [];
    private readonly HashSet<string> _others = new(StringComparer.Ordinal);
    private Func<string, MirrorSnapshot?>? _othersOfThen;
    private OwnerScope? _scopeOfThen;
    private ApiSurface _surface;
    private long _stamp;

    private OwnedSet(IClusterReadSource source, CompiledQuery query, OwnerQuery owner, TimeProvider time)
    {
        _source = source;
        _query = query;
        _owner = owner;
        _time = time;
        _surface = source.Surface!;
    }

    public ResourceType Type => _query.Type;

    public CompiledQuery Query => _query;

    public bool DependsOnOthers => true;

    public IReadOnlyCollection<string> Others => _others;

    public static OwnedSet? Open(IClusterReadSource source, CompiledQuery query, OwnerQuery owner, TimeProvider time, out ReadFailure? failure) =>
        OwnerScope.Begin(source.Mirror, source.Surface!, owner, out failure) is null ? null : new OwnedSet(source, query, owner, time);

    public IEnumerable<MirrorRow> Present(MirrorMoment moment, CancellationToken cancellationToken)
    {
        DateTimeOffset now = _time.GetUtcNow();
        OwnerScope scope = Scope(moment.Find);
        _stamp = moment.Stamp;
        foreach (MirrorRow row in RowScan.Candidates(moment.Find(Type.GroupResource) ?? MirrorSnapshot.Empty, _query, scope, null, now, cancellationToken))
        {
            if (!_query.NeedsJson || _query.MatchesJson(row, now))
            {
                _shown[row.Uid] = row;
                yield return row;
            }
        }
    }

    public IEnumerable<MirrorRow> Leaving(MirrorMoment moment, CancellationToken cancellationToken) => _shown.Values;

    public bool WasShown(MirrorRow row, Func<string, MirrorSnapshot?> others)
    {
        if (!ReferenceEquals(_othersOfThen, others))
        {
            (_othersOfThen, _scopeOfThen) = (others, Scope(others));
        }

        return _query.Matches(row, _time.GetUtcNow()) && _scopeOfThen!.Matches(row);
    }

    /// <summary>Goes on after a revision: finds out what is shown at a moment, and puts what lies between into the batch.</summary>
    /// <param name="mirror">The cluster.</param>
    /// <param name="since">The revision.</param>
    /// <param name="moment">The moment.</param>
    /// <param name="through">Key up to which the watcher has seen anything; empty for everything.</param>
    /// <param name="batch">Takes the changes.</param>
    /// <returns>False where the past is gone.</returns>
    public bool Resume(ClusterMirror mirror, long since, MirrorMoment moment, byte[] through, WatchBatch batch)
    {
        // Which objects matched at the revision is not known any more, so the outcome is told for every object that the past can have
        // touched: what matches now comes as added, what may have matched at some moment in between and does not now, as deleted.
        HistoryCursor cursor = mirror.History.ReadAfter(since);
        MirrorSnapshot snapshot = moment.Find(Type.GroupResource) ?? MirrorSnapshot.Empty;
        long at = moment.Stamp;
        Dictionary<ObjectUid, List<MirrorRow>> past = [];
        Dictionary<ObjectUid, MirrorRow> touched = [];
        HashSet<ObjectUid> owners = [];
        while (true)
        {
            HistoryRead read = cursor.TryRead(out Change? change);
            if (read == HistoryRead.Expired)
            {
                return false;
            }

            if (read != HistoryRead.Change || change!.Stamp > at)
            {
                break;
            }

            if (change.Resource.GroupResource == Type.GroupResource)
            {
                touched[change.Row.Uid] = change.Row;
                Remember(past, change.Old);
            }
            else if (OwnershipChanged(change))
            {
                owners.Add(change.Row.Uid);
                Remember(past, change.Old);
                Remember(past, change.New);
            }
        }

        foreach (MirrorRow row in Present(moment, CancellationToken.None))
        {
            _ = row;   // fills what is shown
        }

        foreach (MirrorRow row in Descendants(snapshot, owners))
        {
            touched.TryAdd(row.Uid, row);
        }

        OwnerScope ever = Scope(moment.Find, past);
        DateTimeOffset now = _time.GetUtcNow();
        foreach ((ObjectUid uid, MirrorRow row) in touched)
        {
            if (through.Length > 0 && row.Key.SequenceCompareTo(through) > 0)
            {
                continue;
            }

            if (_shown.TryGetValue(uid, out MirrorRow? shown))
            {
                batch.Add(ChangeType.Added, at, shown);
                continue;
            }

            IEnumerable<MirrorRow> states = past.TryGetValue(uid, out List<MirrorRow>? older) ? [.. older, row] : [row];
            if (states.LastOrDefault(state => _query.Matches(state, now) && ever.Matches(state)) is { } last)
            {
                batch.Add(ChangeType.Deleted, at, last);
            }
        }

        return true;
    }

    public void Apply(Change change, WatchBatch batch)
    {
        _stamp = change.Stamp;
        if (change.Resource.GroupResource != Type.GroupResource)
        {
            if (OwnerScope.MayPassOn(_owner) && OwnershipChanged(change))
            {
                _restless.Add(change.Row.Uid);
            }

            return;
        }

        if (change.Row.Uid is var uid && _shown.TryGetValue(uid, out MirrorRow? shown) && change.New is { } known && known.Stamp <= shown.Stamp)
        {
            return;   // an outcome that the watcher has seen already
        }

        DateTimeOffset now = _time.GetUtcNow();
        Show(uid, change.New is { } newer && _query.Matches(newer, now) && Scope(_source.Mirror.SnapshotOf).Matches(newer) ? newer : null, batch);
        if (OwnerScope.MayPassOn(_owner) && OwnershipChanged(change))
        {
            _restless.Add(uid);   // objects of a kind may own others of it
        }
    }

    public void Settle(WatchBatch batch)
    {
        if (_restless.Count == 0)
        {
            return;
        }

        MirrorSnapshot snapshot = _source.Mirror.TryGetKind(Type.GroupResource, out KindTable? table) ? table.Snapshot : MirrorSnapshot.Empty;
        OwnerScope scope = Scope(_source.Mirror.SnapshotOf);
        DateTimeOffset now = _time.GetUtcNow();
        foreach (MirrorRow row in Descendants(snapshot, _restless))
        {
            bool isIn = _query.Matches(row, now) && scope.Matches(row);
            if (isIn != _shown.ContainsKey(row.Uid))
            {
                Show(row.Uid, isIn ? row : null, batch);
            }
        }

        _restless.Clear();
    }

    private void Show(ObjectUid uid, MirrorRow? row, WatchBatch batch)
    {
        bool wasIn = _shown.Remove(uid, out MirrorRow? before);
        if (row is not null)
        {
            _shown[uid] = row;
            batch.Add(wasIn ? ChangeType.Modified : ChangeType.Added, _stamp, row);
        }
        else if (wasIn)
        {
            batch.Add(ChangeType.Deleted, _stamp, before!);
        }
    }

    /// <summary>Objects of the watched kind that have one of these as owner, through as many steps as the query allows.</summary>
    private List<MirrorRow> Descendants(MirrorSnapshot target, IReadOnlyCollection<ObjectUid> owners)
    {
        List<MirrorRow> found = [];
        HashSet<ObjectUid> seen = [.. owners];
        List<ObjectUid> level = [.. owners];
        for (int depth = 1; depth <= _owner.Depth && level.Count > 0; depth++)
        {
            List<ObjectUid> next = [];
            foreach (ObjectUid owner in level)
            {
                IndexTerm term = IndexTerm.Owner(owner);
                found.AddRange(target.AsEnumerable(term));
                foreach (KindTable table in depth < _owner.Depth ? _source.Mirror.Kinds : [])
                {
                    foreach (MirrorRow row in table.Snapshot.AsEnumerable(term))
                    {
                        if (seen.Add(row.Uid))
                        {
                            next.Add(row.Uid);
                        }
                    }
                }
            }

            level = next;
        }

        return found;
    }

    private OwnerScope Scope(Func<string, MirrorSnapshot?> others, IReadOnlyDictionary<ObjectUid, List<MirrorRow>>? past = null)
    {
        // An owner's kind that is no longer served leaves what it meant before: its objects go one by one, as deletions.
        if (_source.Surface is { } surface && OwnerScope.Begin(others, surface, _owner, out _, past, _others) is { } scope)
        {
            _surface = surface;
            return scope;
        }

        return OwnerScope.Begin(others, _surface, _owner, out _, past, _others)!;
    }

    private static bool OwnershipChanged(Change change) =>
        change.Old is not { } old || change.New is not { } now || (!ReferenceEquals(old.Family, now.Family) && !old.Family.Owners.SequenceEqual(now.Family.Owners));

    private static void Remember(Dictionary<ObjectUid, List<MirrorRow>> past, MirrorRow? row)
    {
        if (row is null)
        {
            return;
        }

        if (!past.TryGetValue(row.Uid, out List<MirrorRow>? states))
        {
            past[row.Uid] = states = [];
        }

        states.Add(row);
    }
}
