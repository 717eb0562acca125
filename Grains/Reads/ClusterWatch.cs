using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>One watch over one cluster: the present or the past since a revision, then every change as the query sees it.</summary>
/// <remarks>
/// Pulls from the history of the mirror, so that a reader that pauses holds up nobody; when the history has moved on past it, it is
/// told so and the watch ends. States of an object come in order, none twice unless the watch resumes.
/// </remarks>
internal sealed partial class ClusterWatch(IClusterReadSource source, ClusterWatchRequest request, TimeProvider time)
{
    private static readonly TimeSpan ShortestProgress = TimeSpan.FromMilliseconds(100);

    private readonly WatchBatch _batch = new(request.Projection);
    private readonly WatchTrail _trail = new(source.Registration, source.Mirror.History.Id);
    private readonly TimeSpan _progressEvery = request.ProgressEvery < ShortestProgress ? ShortestProgress : request.ProgressEvery;
    private ClusterCoverage? _told;
    private IWatchedSet? _set;
    private HistoryCursor _cursor = null!;   // set by the beginning
    private long _settled;

    private ClusterMirror Mirror => source.Mirror;

    /// <summary>Runs until it is cancelled or has sent a batch that ends it.</summary>
    public async IAsyncEnumerable<ClusterWatchBatch> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The first look at the present may be long, and whoever pulls may be a grain in its turn.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        Mirror.Clock.Observe(request.Revision);
        WatchPosition? position = request.Position;
        if (position is null && request.Since is { } revision && revision < Mirror.History.BeganAt)
        {
            position = Recall(revision);
            if (position is null)
            {
                yield return _batch.Take(revision, end: WatchEnd.Expired);
                yield break;
            }
        }

        if ((position?.Stamp ?? request.Since) is not { } since)
        {
            foreach (ClusterWatchBatch batch in Present(cancellationToken))
            {
                yield return batch;
            }
        }
        else if (position is not null && !IsInHistory(position))
        {
            Mirror.Clock.Observe(since);
            await foreach (ClusterWatchBatch batch in BridgeAsync(position, cancellationToken))
            {
                yield return batch;
                if (batch.End != WatchEnd.None)
                {
                    yield break;
                }
            }
        }
        else
        {
            Mirror.Clock.Observe(since);
            foreach (ClusterWatchBatch batch in Resume(since, position, cancellationToken))
            {
                yield return batch;
                if (batch.End != WatchEnd.None)
                {
                    yield break;
                }
            }
        }

        await foreach (ClusterWatchBatch batch in FollowAsync(cancellationToken))
        {
            yield return batch;
        }
    }

    /// <summary>Whether everything after a position is in the history of this activation.</summary>
    private bool IsInHistory(WatchPosition position) =>
        position.Registration == source.Registration && position.History == Mirror.History.Id && position.Stamp >= Mirror.History.OldestStamp;

    private IEnumerable<ClusterWatchBatch> Present(CancellationToken cancellationToken)
    {
        _set = Open(out ClusterCoverage coverage);
        MirrorMoment moment = Capture();
        _trail.Begin([new MemberPoint(0, null)]);
        return Show(moment, null, coverage, cancellationToken);
    }

    /// <summary>Tells the objects of a moment, those behind a key where others were told before, and goes on from there.</summary>
    private IEnumerable<ClusterWatchBatch> Show(MirrorMoment moment, ObjectKey? behind, ClusterCoverage coverage, CancellationToken cancellationToken)
    {
        byte[] start = behind is { } known ? WatchTrail.Bytes(known) : [];
        ObjectKey? last = behind;
        foreach (MirrorRow row in _set?.Present(moment, cancellationToken) ?? [])
        {
            if (start.Length > 0 && row.Key.SequenceCompareTo(start) <= 0)
            {
                continue;
            }

            if (_batch.IsFull)
            {
                Reach(moment);
                yield return _batch.Take(0, Coverage(coverage), position: last is { } through ? _trail.AtOnlyThrough(through, moment.Stamp) : null);
            }

            _batch.Add(ChangeType.Added, row.Stamp, row);
            last = WatchTrail.KeyOf(row);
        }

        Reach(moment);
        _cursor = Mirror.History.ReadAfter(moment.Stamp);
        _settled = moment.Stamp;
        _told = coverage;
        yield return _batch.Take(moment.Stamp, coverage, initialEnd: true, position: _trail.At(moment.Stamp));
    }

    /// <summary>Goes on after a revision that the history still reaches.</summary>
    private IEnumerable<ClusterWatchBatch> Resume(long since, WatchPosition? position, CancellationToken cancellationToken)
    {
        _set = Open(out ClusterCoverage coverage);
        _trail.Begin(position?.Points ?? []);
        _cursor = Mirror.History.ReadAfter(since);
        _settled = since;
        ObjectKey? through = position?.PresentThrough;
        byte[] key = through is { } told ? WatchTrail.Bytes(told) : [];
        if (_set is OwnedSet owned)
        {
            MirrorMoment moment = Capture();
            if (!owned.Resume(Mirror, since, moment, key, _batch))
            {
                yield return _batch.Take(since, coverage, end: WatchEnd.Expired);
                yield break;
            }

            if (through is not null)
            {
                foreach (ClusterWatchBatch batch in Show(moment, through, coverage, cancellationToken))
                {
                    yield return batch;
                }

                yield break;
            }

            Reach(moment);
            _cursor = Mirror.History.ReadAfter(moment.Stamp);
            _settled = moment.Stamp;
        }
        else if (_set is not null && through is { } seen)
        {
            MirrorMoment moment = Capture();
            while (_cursor.TryRead(out Change? change) is var read && read != HistoryRead.CaughtUp && read != HistoryRead.Ended)
            {
                if (read == HistoryRead.Expired)
                {
                    yield return _batch.Take(since, coverage, end: WatchEnd.Expired);
                    yield break;
                }

                if (change!.Stamp > moment.Stamp)
                {
                    break;
                }

                if (change.Resource.GroupResource != _set.Type.GroupResource)
                {
                    continue;
                }

                _trail.Follow(change);
                if (change.Row.Key.SequenceCompareTo(key) <= 0)
                {
                    _set.Apply(change, _batch);
                }

                if (_batch.IsFull && !_trail.IsBetween)
                {
                    yield return _batch.Take(0, position: _trail.AtOnlyThrough(seen, _cursor.Stamp));
                }
            }

            foreach (ClusterWatchBatch batch in Show(moment, through, coverage, cancellationToken))
            {
                yield return batch;
            }

            yield break;
        }
        else if (_set is null && position is { Points: not [{ Version: 0 }] })
        {
            // What was shown is of a kind that is no longer there, and only its own objects could say that they went.
            yield return _batch.Take(since, coverage, end: WatchEnd.Expired);
            yield break;
        }

        if (Coverage(coverage) is { } first)
        {
            yield return _batch.Take(_settled, first, initialEnd: through is not null, position: _trail.At(_settled));
        }
    }

    private async IAsyncEnumerable<ClusterWatchBatch> FollowAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long leaveAt = request.Leave ? Mirror.Clock.Now() : long.MaxValue;
        bool follows = false;
        while (true)
        {
            HistoryRead read = _cursor.TryRead(out Change? change);
            if (read == HistoryRead.Change)
            {
                follows = true;
                _set ??= Reopen(change!.Resource);
                if (_set is not null)
                {
                    _set.Apply(change!, _batch);
                    if (change!.Resource.GroupResource == _set.Type.GroupResource)
                    {
                        _trail.Follow(change);
                    }
                }

                if (_batch.IsFull && !_trail.IsBetween)
                {
                    yield return TakeOnTheWay();
                    cancellationToken.ThrowIfCancellationRequested();
                }

                continue;
            }

            if (read == HistoryRead.Expired)
            {
                yield return _batch.Take(_cursor.Stamp, end: follows ? WatchEnd.TooSlow : WatchEnd.Expired);
                yield break;
            }

            if (read == HistoryRead.Ended || (read == HistoryRead.CaughtUp && request.Leave && _cursor.TryBookmark(out long seen) && seen >= leaveAt))
            {
                foreach (ClusterWatchBatch farewell in Farewell(cancellationToken))
                {
                    yield return farewell;
                }

                yield break;
            }

            follows = true;
            _set?.Settle(_batch);
            if (_batch.IsFull)
            {
                yield return TakeOnTheWay();
                continue;
            }

            if (_cursor.TryBookmark(out long through, ReachPresent))
            {
                _settled = through;
                ClusterCoverage? news = Coverage(QueryTarget.Resolve(source, request.Query.Kind, time.GetUtcNow()).Coverage);
                yield return _batch.Take(through, news, position: _trail.At(through));
                await WaitAsync(_cursor, _progressEvery, cancellationToken);
            }
        }
    }

    /// <summary>What was collected so far, in the middle of the changes.</summary>
    private ClusterWatchBatch TakeOnTheWay()
    {
        if (_set is { DependsOnOthers: true })
        {
            // What changes of others lead to is told when the watch has caught up; whoever goes on must go on from before them.
            _trail.Begin([]);
            return _batch.Take(_settled, position: _trail.At(_settled));
        }

        return _batch.Take(_cursor.Stamp, position: _trail.At(_cursor.Stamp));
    }

    /// <summary>Everything that is there now as deleted, then the end.</summary>
    private IEnumerable<ClusterWatchBatch> Farewell(CancellationToken cancellationToken)
    {
        // What changes between here and the moment must not be lost: it is read from the history first.
        MirrorMoment moment = Capture();
        while (_cursor.TryRead(out Change? change) == HistoryRead.Change && change!.Stamp <= moment.Stamp)
        {
            _set?.Apply(change, _batch);
            if (_batch.IsFull)
            {
                yield return _batch.Take(_settled);
            }
        }

        foreach (MirrorRow row in _set?.Leaving(moment, cancellationToken) ?? [])
        {
            if (_batch.IsFull)
            {
                yield return _batch.Take(0);
            }

            _batch.Add(ChangeType.Deleted, moment.Stamp, row);
        }

        yield return _batch.Take(moment.Stamp, end: WatchEnd.Left);
    }

    /// <summary>What the watch needs to know of the cluster, at one revision exactly.</summary>
    private MirrorMoment Capture() => Mirror.Capture(_set is { DependsOnOthers: true } ? null : _set?.Type.GroupResource ?? "");

    /// <summary>Everything of a moment was told.</summary>
    private void Reach(MirrorMoment moment) =>
        _trail.Reach(_set is null ? new MemberPoint(0, null) : moment.PointOf(_set.Type.GroupResource), Owners(moment.VersionOf));

    /// <summary>Everything was told; called under the gate.</summary>
    private void ReachPresent()
    {
        MemberPoint point = _set is not null && Mirror.TryGetKind(_set.Type.GroupResource, out KindTable? shown) ? shown.Point : new MemberPoint(0, null);
        _trail.Reach(point, Owners(VersionOf));

        long VersionOf(string groupResource) => Mirror.TryGetKind(groupResource, out KindTable? table) ? table.MemberVersion : 0;
    }

    private ImmutableArray<MemberKindVersion> Owners(Func<string, long> versionOf) =>
        _set is { Others.Count: > 0 } set ? [.. set.Others.Select(other => new MemberKindVersion(other, versionOf(other)))] : [];

    private IWatchedSet? Open(out ClusterCoverage coverage)
    {
        QueryTarget target = QueryTarget.Resolve(source, request.Query.Kind, time.GetUtcNow());
        coverage = target.Coverage;
        ResourceType? type = target.Type;
        if (type is null && source.Phase == ClusterPhase.Disabled && (request.Leave || request.Since is not null))
        {
            // Nothing of a cluster that is switched off is shown, but whoever saw it before must be told that it goes.
            type = source.Surface?.Find(request.Query.Kind);
        }

        // A kind that is served but not mirrored yet may be so soon; a version that is not mirrored never will.
        bool isForeign = target.Type is not null && target.Table is null && source.Mirror.TryGetKind(target.Type.GroupResource, out _);
        if (type is null || isForeign)
        {
            return null;
        }

        CompiledQuery? query = CompiledQuery.Compile(request.Query, type, out ReadFailure? failure);
        IWatchedSet? set = null;
        if (query is not null)
        {
            set = request.Query.Owner is { } owner
                ? OwnedSet.Open(source, query, owner, time, out failure)
                : new PlainSet(query, time);
        }

        if (failure is not null)
        {
            coverage = coverage with { State = failure.State, Fault = failure.Fault };
        }

        return set;
    }

    /// <summary>Looks again whether the kind is served, when a change of a kind that may be it comes by.</summary>
    private IWatchedSet? Reopen(ResourceType changed) =>
        source.Surface?.Find(request.Query.Kind)?.GroupResource == changed.GroupResource ? Open(out _) : null;

    /// <summary>The coverage, where it says something new.</summary>
    private ClusterCoverage? Coverage(ClusterCoverage now)
    {
        // A failure of the query itself stays what it was; the age alone is no news.
        if (_told is { } told && ((told.State == now.State && told.Fault == now.Fault) || told.Fault?.Kind == ClusterFault.InvalidRequest))
        {
            return null;
        }

        return _told = now;
    }

    private async Task WaitAsync(HistoryCursor cursor, TimeSpan atMost, CancellationToken cancellationToken)
    {
        using var progress = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using ITimer timer = time.CreateTimer(static state => ((CancellationTokenSource)state!).Cancel(), progress, atMost, Timeout.InfiniteTimeSpan);
        try
        {
            await cursor.WaitAsync(progress.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Nothing happened for as long as the reader wants to wait without a word.
        }
    }
}
