using System.Runtime.CompilerServices;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <content>
/// Goes on where another activation stopped. Its history is gone, but versions of the member mean the same here. Where this mirror has itself
/// been at the version that the watch has seen, it follows its own history from there. Else the member still knows what was there at
/// that version, and this mirror knows what is there now: the difference is what the watch has missed.
/// </content>
internal sealed partial class ClusterWatch
{
    private static readonly TimeSpan CatchesUpWithin = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    // The owners of other times are kept as a mirror keeps them, for as long as the difference takes.
    private const long OwnersBudget = 256L << 20;

    private long _spokeAt;

    private async IAsyncEnumerable<ClusterWatchBatch> BridgeAsync(WatchPosition known, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long start = _spokeAt = time.GetTimestamp();
        if (known.Registration != source.Registration || known.Points.IsEmpty)
        {
            yield return Lost(known);
            yield break;
        }

        MirrorMoment moment;
        ClusterCoverage coverage;
        while (true)
        {
            _set = Open(out coverage);
            moment = Capture();
            if (IsReady(moment, known))
            {
                break;
            }

            if (source.Phase == ClusterPhase.Disabled || time.GetElapsedTime(start) > source.ResumeWithin)
            {
                yield return Lost(known);
                yield break;
            }

            // A mirror that is filled is behind for a moment only, and worth a word only if that lasts.
            bool isFilled = coverage.State == CoverageState.Ok && time.GetElapsedTime(start) < CatchesUpWithin;
            ClusterCoverage? news = isFilled ? null : Coverage(Catching(coverage));
            if (news is not null || IsSilent(out news))
            {
                yield return _batch.Take(0, news);
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }

        if (StampOf(known) is { } stamp)
        {
            foreach (ClusterWatchBatch batch in Retrace(known, moment, stamp, coverage))
            {
                yield return batch;
            }

            yield break;
        }

        // What the mirror holds is whole. Only where the difference takes so long that the reader should hear something is it worth a word.
        ClusterCoverage catching = Catching(coverage);
        _trail.Begin(known.Points);
        var owners = new ClusterMirror(source.Cluster, new MultiCluster.Fleet.FleetClock(time), time, new MirrorBounds { ByteBudget = OwnersBudget });
        foreach (MemberKindVersion kind in known.Owners)
        {
            if (kind.Version <= 0 || !Mirror.TryGetKind(kind.GroupResource, out KindTable? now))
            {
                continue;
            }

            KindTable then = owners.AddKind(now.Type);
            then.BeginReplace();
            var pages = new PastPages(source, new PastList(now.Type, kind.Version), time, start);
            await foreach (bool isRead in ReadAsync(pages, item => then.Replace(item), static () => { }, cancellationToken))
            {
                if (!isRead)
                {
                    yield return _batch.Take(0, Coverage(catching));
                }
            }

            if (pages.IsLost)
            {
                yield return Lost(known);
                yield break;
            }

            then.EndReplace("1");
        }

        Func<string, MirrorSnapshot?> ownersOfThen = owners.SnapshotOf;
        using IEnumerator<MirrorRow> present = (_set?.Present(moment, cancellationToken) ?? []).GetEnumerator();
        bool more = present.MoveNext();
        ObjectKey? last = null;
        byte[] behind = [];
        foreach (MemberPoint point in known.Points)
        {
            byte[] end = point.Through is { } through ? WatchTrail.Bytes(through) : [];
            if (point.Version > 0)
            {
                var items = new PastItems(_set!.Type, moment, behind, end);
                var pages = new PastPages(source, PastOf(_set.Query, point.Version), time, start);
                await foreach (bool isRead in ReadAsync(pages, items.Take, items.Forget, cancellationToken))
                {
                    if (!isRead)
                    {
                        yield return TakeBetween(known, moment, last, Coverage(catching));
                        continue;
                    }

                    foreach (MirrorRow then in items.Drain())
                    {
                        int order = 1;
                        while (more && (order = present.Current.Key.SequenceCompareTo(then.Key)) < 0)
                        {
                            _batch.Add(ChangeType.Added, moment.Stamp, present.Current);
                            last = WatchTrail.KeyOf(present.Current);
                            more = present.MoveNext();
                            if (_batch.IsFull)
                            {
                                yield return TakeBetween(known, moment, last);
                            }
                        }

                        MirrorRow? now = more && order == 0 ? present.Current : null;
                        Tell(then, now, _set.WasShown(then, ownersOfThen), moment.Stamp);
                        last = WatchTrail.KeyOf(then);
                        more = now is null ? more : present.MoveNext();
                        if (_batch.IsFull)
                        {
                            yield return TakeBetween(known, moment, last);
                        }
                    }

                    pages.IsEnough |= items.IsBeyond || items.IsOutOfOrder;
                }

                if (pages.IsLost || items.IsOutOfOrder)
                {
                    yield return Lost(known);
                    yield break;
                }
            }

            behind = end;
        }

        for (; more; more = present.MoveNext())
        {
            _batch.Add(ChangeType.Added, moment.Stamp, present.Current);
            last = WatchTrail.KeyOf(present.Current);
            if (_batch.IsFull)
            {
                yield return TakeBetween(known, moment, last);
            }
        }

        Reach(moment);
        _cursor = Mirror.History.ReadAfter(moment.Stamp);
        _settled = moment.Stamp;
        _told = coverage;
        yield return _batch.Take(moment.Stamp, coverage, initialEnd: known.PresentThrough is not null, position: _trail.At(moment.Stamp));
    }

    /// <summary>Where a watch stands that brings a revision from before this mirror answered; null where nobody can tell any more.</summary>
    private WatchPosition? Recall(long revision)
    {
        QueryTarget target = QueryTarget.Resolve(source, request.Query.Kind, time.GetUtcNow());
        bool needsOthers = request.Query.Owner is not null;   // which kinds have had a say is not in the trail
        if (needsOthers || target.Type is null || Mirror.Before?.At(target.Type.GroupResource, revision) is not { } point)
        {
            return null;
        }

        return new WatchPosition
        {
            Registration = source.Registration,
            History = Guid.Empty,
            Stamp = revision,
            Points = [new MemberPoint(point.Version, null, point.Count, point.Unchanged)],
        };
    }

    /// <summary>Where in this mirror's own history a watch stands that came from another; null where it has not been there.</summary>
    private long? StampOf(WatchPosition known)
    {
        if (_set is not { DependsOnOthers: false } set || known.PresentThrough is not null || known.Points is not [{ Through: null, Version: > 0 } point]
            || !Mirror.TryGetKind(set.Type.GroupResource, out KindTable? table) || table.Listed is not { } listed)
        {
            return null;
        }

        return point.Version >= listed.Version || listed.IsSameAs(point.Version, point.Count)
            ? Mirror.History.StampAt(set.Type.GroupResource, point.Version, listed)
            : null;
    }

    /// <summary>Tells what this mirror has seen since, as of now: the watch has been told of later revisions than those at which it was seen here.</summary>
    private IEnumerable<ClusterWatchBatch> Retrace(WatchPosition known, MirrorMoment moment, long stamp, ClusterCoverage coverage)
    {
        _trail.Begin(known.Points);
        HistoryCursor cursor = Mirror.History.ReadAfter(stamp);
        while (cursor.TryRead(out Change? change) is var read && read is HistoryRead.Change or HistoryRead.Expired)
        {
            if (read == HistoryRead.Expired)
            {
                yield return Lost(known);
                yield break;
            }

            if (change!.Stamp > moment.Stamp)
            {
                break;
            }

            if (change.Resource.GroupResource != _set!.Type.GroupResource)
            {
                continue;
            }

            _trail.Follow(change);
            _set.Apply(change with { Stamp = moment.Stamp }, _batch);
            if (_batch.IsFull && !_trail.IsBetween)
            {
                yield return _batch.Take(0, position: _trail.At(known.Stamp) with { History = Guid.Empty });
            }
        }

        Reach(moment);
        _cursor = Mirror.History.ReadAfter(moment.Stamp);
        _settled = moment.Stamp;
        _told = coverage;
        yield return _batch.Take(moment.Stamp, coverage, position: _trail.At(moment.Stamp));
    }

    /// <summary>Whether this mirror has come as far as the watch was.</summary>
    private bool IsReady(MirrorMoment moment, WatchPosition known)
    {
        // A bookmark moves a version and changes nothing: whoever has seen the last change has seen all there was.
        long seen = known.Points.Max(static point => point.Since > 0 ? Math.Min(point.Since, point.Version) : point.Version);
        if (seen == 0)
        {
            return true;   // nothing was shown, so whatever is there now, or comes, is new
        }

        return _set is not null
            && moment.VersionOf(_set.Type.GroupResource) >= seen
            && known.Owners.All(owner => owner.Version <= 0 || moment.VersionOf(owner.GroupResource) >= owner.Version);
    }

    private void Tell(MirrorRow then, MirrorRow? now, bool wasShown, long stamp)
    {
        bool isOther = now is not null && now.Uid != then.Uid;
        if (wasShown && (now is null || isOther))
        {
            _batch.Add(ChangeType.Deleted, stamp, then);
        }

        if (now is not null && (!wasShown || isOther))
        {
            _batch.Add(ChangeType.Added, stamp, now);
        }
        else if (now is not null && !ReferenceEquals(now, then))
        {
            _batch.Add(ChangeType.Modified, stamp, now);
        }
    }

    /// <summary>What was collected so far: up to a key the watch stands at the moment, behind it where it stood.</summary>
    private ClusterWatchBatch TakeBetween(WatchPosition known, MirrorMoment moment, ObjectKey? through, ClusterCoverage? news = null)
    {
        _spokeAt = time.GetTimestamp();
        if (_batch.IsEmpty)
        {
            return _batch.Take(0);
        }

        _trail.Begin(_set is { DependsOnOthers: true } ? [] : known.Points);
        _trail.Reach(moment.VersionOf(_set!.Type.GroupResource), through!.Value);
        return _batch.Take(0, news, position: _trail.At(known.Stamp, known.PresentThrough) with { History = Guid.Empty });
    }

    /// <summary>The watch cannot go on: the client lists again.</summary>
    private ClusterWatchBatch Lost(WatchPosition known) => _batch.Take(known.Stamp, end: WatchEnd.Expired);

    /// <summary>Coverage while the mirror is not yet where the watch was.</summary>
    private static ClusterCoverage Catching(ClusterCoverage coverage) => coverage.State is CoverageState.Ok or CoverageState.NotServed or CoverageState.NotMirrored
        ? coverage with { State = CoverageState.Syncing, Fault = null }
        : coverage;

    private bool IsSilent(out ClusterCoverage? news)
    {
        news = null;
        bool isSilent = time.GetElapsedTime(_spokeAt) >= _progressEvery;
        _spokeAt = isSilent ? time.GetTimestamp() : _spokeAt;
        return isSilent;
    }

    /// <summary>Reads all pages; true after each, false where it takes so long that the reader should hear something.</summary>
    private async IAsyncEnumerable<bool> ReadAsync(
        PastPages pages, Action<ReadOnlySpan<byte>> take, Action forget, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (!pages.IsEnough && !pages.IsLost)
        {
            Task reading = pages.ReadNextAsync(take, forget, cancellationToken);
            while (!reading.IsCompleted)
            {
                using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                if (await Task.WhenAny(reading, Task.Delay(_progressEvery, time, late.Token)) != reading)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    yield return false;
                }

                await late.CancelAsync();
            }

            await reading;
            if (!pages.IsLost)
            {
                yield return true;
            }
        }
    }

    // Whatever a selector leaves out was not shown, whether it was there or not.
    private PastList PastOf(CompiledQuery query, long version) => new(query.Type, version)
    {
        Namespace = query.Namespaces is [var only] ? only : null,
        LabelSelector = request.Query.LabelSelector,
        FieldSelector = query.ServerFields,
    };

    /// <summary>The pages of one list of the past, through the failures that pass.</summary>
    private sealed class PastPages(IClusterReadSource source, PastList list, TimeProvider time, long start)
    {
        private string _token = "";

        /// <summary>Whether there is nothing more to read, or nothing more is wanted.</summary>
        public bool IsEnough { get; set; }

        /// <summary>Whether the past cannot be read, not even later.</summary>
        public bool IsLost { get; private set; }

        public async Task ReadNextAsync(Action<ReadOnlySpan<byte>> take, Action forget, CancellationToken cancellationToken)
        {
            TimeSpan pause = FirstPause;
            while (true)
            {
                try
                {
                    _token = await source.ReadPastAsync(list, _token, take, cancellationToken);
                    IsEnough = _token.Length == 0;
                    return;
                }
                catch (KubeException e) when (e.Error.IsTransient && time.GetElapsedTime(start) < source.ResumeWithin)
                {
                    forget();
                }
                catch (Exception e) when (e is KubeException or FormatException)
                {
                    IsLost = true;
                    return;
                }

                await Task.Delay(pause * (0.5 + (Random.Shared.NextDouble() * 0.5)), time, cancellationToken);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
            }
        }
    }

    /// <summary>The objects of one page as rows; those that have not changed since are the rows of the mirror.</summary>
    private sealed class PastItems(Kubernetes.Discovery.ResourceType type, MirrorMoment moment, byte[] behind, byte[] end)
    {
        private readonly Kubernetes.Json.ObjectScanner _scanner = new(type);
        private readonly RowFactory _factory = new(type);
        private readonly RowTree _now = (moment.Find(type.GroupResource) ?? MirrorSnapshot.Empty).Rows;
        private readonly List<MirrorRow> _rows = [];
        private byte[] _lastKey = [];

        /// <summary>Whether the list has come to its end of what is wanted.</summary>
        public bool IsBeyond { get; private set; }

        /// <summary>Whether it does not come in list order; then it cannot be compared.</summary>
        public bool IsOutOfOrder { get; private set; }

        public void Take(ReadOnlySpan<byte> item)
        {
            Kubernetes.Json.ScannedObject scanned = _scanner.Scan(item);
            byte[] key = new byte[scanned.Namespace.Length + 1 + scanned.Name.Length];
            key = key[..MirrorKey.Write(scanned.Namespace, scanned.Name, key)];
            byte[] before = _rows.Count > 0 ? _rows[^1].Key.ToArray() : _lastKey;
            IsOutOfOrder |= key.AsSpan().SequenceCompareTo(before) <= 0;
            IsBeyond |= end.Length > 0 && key.AsSpan().SequenceCompareTo(end) > 0;
            if (IsOutOfOrder || IsBeyond || (behind.Length > 0 && key.AsSpan().SequenceCompareTo(behind) <= 0))
            {
                return;
            }

            MirrorRow? existing = _now.Find(key);
            bool isSame = existing is not null && existing.IsSameState(ObjectUid.From(scanned.Uid), RowDraft.NumberOf(scanned.ResourceVersion));
            _rows.Add(isSame ? existing! : _factory.Make(scanned, key, null, null, null));
        }

        /// <summary>The page broke off and comes again.</summary>
        public void Forget()
        {
            _rows.Clear();
            IsBeyond = false;
        }

        /// <summary>The rows of the page that has come.</summary>
        public MirrorRow[] Drain()
        {
            MirrorRow[] rows = [.. _rows];
            _lastKey = rows.Length > 0 ? rows[^1].Key.ToArray() : _lastKey;
            _rows.Clear();
            return rows;
        }
    }
}
