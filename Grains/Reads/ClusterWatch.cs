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
internal sealed class ClusterWatch(IClusterReadSource source, ClusterWatchRequest request, TimeProvider time)
{
    private static readonly TimeSpan ShortestProgress = TimeSpan.FromMilliseconds(100);

    private readonly WatchBatch _batch = new(request.Projection);
    private ClusterCoverage? _told;
    private IWatchedSet? _set;

    /// <summary>Runs until it is cancelled or has sent a batch that ends it.</summary>
    public async IAsyncEnumerable<ClusterWatchBatch> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The first look at the present may be long, and whoever pulls may be a grain in its turn.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        ClusterMirror mirror = source.Mirror;
        mirror.Clock.Observe(request.Revision);
        HistoryCursor cursor;
        if (request.Since is { } since)
        {
            mirror.Clock.Observe(since);
            cursor = mirror.History.ReadAfter(since);
            _set = Open(out ClusterCoverage coverage);
            if (_set is not null && !_set.Resume(mirror, since, _batch, ref cursor))
            {
                yield return _batch.Take(since, coverage, end: WatchEnd.Expired);
                yield break;
            }

            if (Coverage(coverage) is { } first)
            {
                yield return _batch.Take(cursor.Stamp, first);
            }
        }
        else
        {
            _set = Open(out ClusterCoverage coverage);
            (MirrorSnapshot snapshot, long at) = TakeSnapshot(mirror);
            cursor = mirror.History.ReadAfter(at);
            foreach (MirrorRow row in _set?.Present(snapshot, cancellationToken) ?? [])
            {
                if (_batch.IsFull)
                {
                    yield return _batch.Take(0, Coverage(coverage));
                }

                _batch.Add(ChangeType.Added, row.Stamp, row);
            }

            _told = coverage;
            yield return _batch.Take(at, coverage, initialEnd: true);
        }

        TimeSpan every = request.ProgressEvery < ShortestProgress ? ShortestProgress : request.ProgressEvery;
        long leaveAt = request.Leave ? mirror.Clock.Now() : long.MaxValue;
        bool follows = false;
        while (true)
        {
            HistoryRead read = cursor.TryRead(out Change? change);
            if (read == HistoryRead.Change)
            {
                follows = true;
                _set ??= Reopen(change!.Resource);
                _set?.Apply(change!, _batch);
                if (_batch.IsFull)
                {
                    yield return _batch.Take(cursor.Stamp);
                    cancellationToken.ThrowIfCancellationRequested();
                }

                continue;
            }

            if (read == HistoryRead.Expired)
            {
                yield return _batch.Take(cursor.Stamp, end: follows ? WatchEnd.TooSlow : WatchEnd.Expired);
                yield break;
            }

            if (read == HistoryRead.Ended || (read == HistoryRead.CaughtUp && request.Leave && cursor.TryBookmark(out long seen) && seen >= leaveAt))
            {
                foreach (ClusterWatchBatch farewell in Farewell(mirror, cursor, cancellationToken))
                {
                    yield return farewell;
                }

                yield break;
            }

            follows = true;
            _set?.Settle(_batch);
            if (_batch.IsFull)
            {
                yield return _batch.Take(cursor.Stamp);
                continue;
            }

            if (cursor.TryBookmark(out long through))
            {
                ClusterCoverage? news = Coverage(QueryTarget.Resolve(source, request.Query.Kind, time.GetUtcNow()).Coverage);
                yield return _batch.Take(through, news);
                await WaitAsync(cursor, every, cancellationToken);
            }
        }
    }

    /// <summary>Everything that is there now as deleted, then the end.</summary>
    private IEnumerable<ClusterWatchBatch> Farewell(ClusterMirror mirror, HistoryCursor cursor, CancellationToken cancellationToken)
    {
        // What changes between here and the snapshot must not be lost: it is read from the history first.
        (MirrorSnapshot snapshot, long at) = TakeSnapshot(mirror);
        while (cursor.TryRead(out Change? change) == HistoryRead.Change && change!.Stamp <= at)
        {
            _set?.Apply(change, _batch);
            if (_batch.IsFull)
            {
                yield return _batch.Take(cursor.Stamp);
            }
        }

        foreach (MirrorRow row in _set?.Leaving(snapshot, cancellationToken) ?? [])
        {
            if (_batch.IsFull)
            {
                yield return _batch.Take(0);
            }

            _batch.Add(ChangeType.Deleted, at, row);
        }

        yield return _batch.Take(at, end: WatchEnd.Left);
    }

    /// <summary>The rows of the kind at one revision exactly: stamps are drawn under the gate.</summary>
    private (MirrorSnapshot Snapshot, long At) TakeSnapshot(ClusterMirror mirror)
    {
        lock (mirror.Gate)
        {
            return (_set is not null && mirror.TryGetKind(_set.Type.GroupResource, out KindTable? table) ? table.Snapshot : MirrorSnapshot.Empty, mirror.Clock.Now());
        }
    }

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
