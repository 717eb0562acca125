using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>One watch over many clusters: follows the fleet as well, so that clusters join and leave it.</summary>
/// <remarks>
/// <para>The revision that it hands out is the least of what each cluster has been followed through, and of what has been heard of the fleet:
/// whoever resumes from it finds every later change in the histories of the clusters, and every cluster that it has not seen in full
/// among those that joined later. Where that cannot be kept (the history of a cluster is lost, or one left and came back in
/// between), the watch ends as expired; it never goes on with a gap.</para>
/// <para>Everything here runs in the reader's own pulls: while nobody pulls, pumps wait, and nothing grows.</para>
/// </remarks>
internal sealed class FleetWatch : IAsyncDisposable
{
    // A batch for the reader: what is waiting, up to this.
    private const int MaxEvents = 4096;
    private const int MaxBytes = 256 << 10;

    // The fleet changes with every summary; a look at it walks over all clusters.
    private static readonly TimeSpan FleetLookEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan LeaveWithin = TimeSpan.FromSeconds(30);

    private readonly FleetView _view;
    private readonly FleetClock _clock;
    private readonly TimeProvider _time;
    private readonly FleetWatchQuery _query;
    private readonly SelectedClusters _selection;
    private readonly long? _since;
    private readonly SubscriptionContext _context;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, ClusterSubscription> _subscriptions = new(StringComparer.Ordinal);
    private readonly List<Task> _pumps = [];
    private readonly TimeSpan _askAgain;
    private readonly TimeSpan _silence;
    private readonly List<FleetEvent> _events = [];
    private readonly List<ClusterCoverage> _coverage = [];
    private readonly List<string> _gone = [];
    private FleetSnapshot _fleet = FleetSnapshot.Empty;
    private FleetWatchEnd _end;
    private string? _endMessage;
    private bool _initialDue;

    public FleetWatch(
        ClusterCalls calls, FleetView view, FleetClock clock, TimeProvider time, FleetWatchQuery query, SelectedClusters selection, long? since, ILogger logger)
    {
        _view = view;
        _clock = clock;
        _time = time;
        _query = query;
        _selection = selection;
        _since = since;
        _initialDue = since is null;

        // A progress message per cluster and second is nothing for ten clusters and a load for thousands.
        TimeSpan progress = TimeSpan.FromSeconds(Math.Clamp(view.Current.Clusters.Count / 100.0, 1, Math.Min(10, query.BookmarkEvery.TotalSeconds)));
        _askAgain = (2 * progress) + TimeSpan.FromMilliseconds(300);   // its silo hangs, or the one on the way to it, round which calls lead by then
        _silence = _askAgain + TimeSpan.FromSeconds(1);
        _context = new SubscriptionContext(calls, clock, time, query, progress, logger);
    }

    public async IAsyncEnumerable<FleetWatchBatch> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using CancellationTokenRegistration stopping = cancellationToken.Register(static stop => ((CancellationTokenSource)stop!).Cancel(), _stop);
        Follow(_view.Current, first: true);
        long started = _time.GetTimestamp();
        long lastBatch = started;
        long lastLook = started;
        long lastCheck = started;
        long resume = Resume();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Task changed = _view.Changed();
            if (!ReferenceEquals(_fleet, _view.Current) && _time.GetElapsedTime(lastLook) >= FleetLookEvery && _end == FleetWatchEnd.None)
            {
                Follow(_view.Current, first: false);
                lastLook = _time.GetTimestamp();
            }

            Drain();
            if (_gone.Count > 0 && _end == FleetWatchEnd.None)
            {
                // One that came back while its leave was under way is followed from now on, and holds the revision back
                // until it has told its present state. The fleet itself may say nothing new for long.
                Follow(_fleet, first: false);
            }

            if (_time.GetElapsedTime(lastCheck) >= CheckEvery)
            {
                Check();
                lastCheck = _time.GetTimestamp();
            }

            bool initialEnd = _initialDue && _end == FleetWatchEnd.None && IsPresent(_time.GetElapsedTime(started));
            TimeSpan untilBookmark = _query.BookmarkEvery - _time.GetElapsedTime(lastBatch);
            if (_events.Count > 0 || _coverage.Count > 0 || _gone.Count > 0 || initialEnd || _end != FleetWatchEnd.None || untilBookmark <= TimeSpan.Zero)
            {
                long now = _end == FleetWatchEnd.None ? Resume() : resume;
                _initialDue &= !initialEnd;
                yield return Take(resume, now, initialEnd);
                if (_end != FleetWatchEnd.None)
                {
                    yield break;
                }

                resume = now;
                lastBatch = _time.GetTimestamp();
                continue;
            }

            await WaitAsync(changed, started, lastLook, untilBookmark, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await Task.WhenAll(_pumps);
        }
        catch (OperationCanceledException)
        {
            // The way pumps end.
        }

        _context.Dispose();
        _stop.Dispose();
    }

    /// <summary>Brings the subscriptions in line with the fleet.</summary>
    private void Follow(FleetSnapshot fleet, bool first)
    {
        _fleet = fleet;
        if (first && _since is { } since)
        {
            Resubscribe(fleet, since);
        }

        foreach (ClusterEntry entry in _selection.In(fleet))
        {
            if (_end != FleetWatchEnd.None)
            {
                return;
            }

            _subscriptions.TryGetValue(entry.Name, out ClusterSubscription? known);
            if (!entry.Enabled)
            {
                if (known is null && first)
                {
                    _coverage.Add(FleetCoverage.Disabled(entry.Name));
                }

                continue;
            }

            if (known is null || (known.IsEnded && (known.Uid != entry.Uid || known.LeavingSince is not null)))
            {
                Subscribe(entry, first);
            }
        }

        foreach (ClusterSubscription subscription in _subscriptions.Values)
        {
            if (subscription.IsEnded || subscription.LeavingSince is not null)
            {
                continue;
            }

            if (!fleet.Clusters.TryGetValue(subscription.Cluster, out ClusterEntry? entry) || entry.Uid != subscription.Uid)
            {
                // The grain ends the stream itself once everything is told.
                BeginLeave(subscription, fleet.Departures.Where(d => d.Uid == subscription.Uid).Select(d => d.LeftAt).FirstOrDefault());
            }
            else if (!entry.Enabled || !_selection.Matches(entry))
            {
                BeginLeave(subscription, entry.SelectionChangedAt);
                subscription.Leave();
            }
            else if (fleet.LossOf(entry.Name) is { Kind: ClusterCalls.MovingFault } && entry.Summary!.Silo is var lost && subscription.LostSilo != lost)
            {
                // A stream from a silo that is lost only falls silent; in a large fleet that takes longer to notice than what is known here.
                subscription.LostSilo = lost;
                Tell(subscription, ClusterCalls.Moving(subscription.Cluster));
                subscription.Interrupt();
            }
        }
    }

    /// <summary>Until its leave is told, whoever resumes must come from before it, so as to hear of it again.</summary>
    private void BeginLeave(ClusterSubscription subscription, long at)
    {
        subscription.LeavingSince = _time.GetTimestamp();
        subscription.ResumeBefore = at > 0 ? at : subscription.Resume + 1;
    }

    /// <summary>Finds out what a reader that comes back may have missed of the fleet itself.</summary>
    private void Resubscribe(FleetSnapshot fleet, long since)
    {
        foreach (ClusterEntry entry in fleet.Ordered)
        {
            if (entry.JoinedAt <= since && entry.SelectionChangedAt > since && (_selection.ByLabels || !entry.Enabled || _selection.Matches(entry)))
            {
                Expire($"The labels of cluster {entry.Name}, or whether it is enabled, changed after the revision, so it is not known whether the watch had its objects.");
                return;
            }
        }

        foreach (Departure left in fleet.Departures)
        {
            if (left.LeftAt <= since || !_selection.MayHaveMatched(left.Name))
            {
                continue;
            }

            if (fleet.Clusters.ContainsKey(left.Name) || _subscriptions.ContainsKey(left.Name))
            {
                Expire($"Cluster {left.Name} left and came back after the revision.");
                return;
            }

            Start(new ClusterSubscription(left.Name, left.Uid, since, since) { LeavingSince = _time.GetTimestamp(), ResumeBefore = left.LeftAt });
        }
    }

    private void Subscribe(ClusterEntry entry, bool first)
    {
        long appeared = Math.Max(entry.JoinedAt, entry.SelectionChangedAt);
        if (first && _since is { } since && entry.JoinedAt <= since)
        {
            Start(new ClusterSubscription(entry.Name, entry.Uid, since, since));
        }
        else if (first && _since is null)
        {
            Start(new ClusterSubscription(entry.Name, entry.Uid, null, 0));
        }
        else
        {
            // Until all of it is told, whoever resumes must come from before it appeared.
            Start(new ClusterSubscription(entry.Name, entry.Uid, null, Math.Max(1, appeared - 1)));
        }
    }

    private void Start(ClusterSubscription subscription)
    {
        _subscriptions[subscription.Cluster] = subscription;
        subscription.Pump = Task.Run(() => subscription.RunAsync(_context, _stop.Token));
        _pumps.RemoveAll(static pump => pump.IsCompletedSuccessfully);
        _pumps.Add(subscription.Pump);
    }

    private void Drain()
    {
        if (_context.TooSlow.IsCancellationRequested)
        {
            End(FleetWatchEnd.TooSlow, "The reader was too slow. Resume from the last revision, or list again.");
            return;
        }

        int bytes = 0;
        while (_end == FleetWatchEnd.None && _events.Count < MaxEvents && bytes < MaxBytes && _context.Inbox.TryRead(out SubscriptionNews news))
        {
            // What an ended subscription still had under way is told already, or is another's to tell.
            if (news.From.IsEnded)
            {
                continue;
            }

            if (news.Trouble is { } trouble)
            {
                Tell(news.From, trouble);
            }

            if (news.Batch is { } batch)
            {
                bytes += batch.Payload.Length;
                Take(news.From, batch, news.Through);
            }
        }
    }

    private void Take(ClusterSubscription from, ClusterWatchBatch batch, long through)
    {
        if (batch is { End: WatchEnd.Left, Coverage.Fault.Kind: ClusterFault.NotRegistered } && from.HasShown)
        {
            Expire($"Cluster {from.Cluster} left, and which objects went with it can no longer be told.");
            return;
        }

        from.HasShown |= !batch.Changes.IsEmpty;
        if (batch.Coverage is { } coverage)
        {
            if (coverage is { State: CoverageState.Failed, Fault.Kind: ClusterFault.InvalidRequest })
            {
                FleetCoverage.ThrowIfInvalid([coverage]);
            }

            Tell(from, coverage);
        }
        else if (from.Told?.Fault?.Kind is "Unavailable" or ClusterCalls.MovingFault || from.Told?.State == CoverageState.Timeout)
        {
            Tell(from, new ClusterCoverage { Cluster = from.Cluster, State = CoverageState.Ok });   // it answers again; what it says of itself comes with its next news
        }

        foreach (ObjectChange change in batch.Changes)
        {
            ObjectRow row = change.Row;
            _events.Add(new FleetEvent(change.Type, new FleetItem(from.Cluster, row, batch.Payload.AsMemory(row.Offset, row.Length)), change.Stamp, 0));
        }

        if (batch.InitialEnd)
        {
            from.IsPresent = true;
        }

        if (through > 0 && from.IsPresent)
        {
            from.Resume = Math.Max(from.Resume, through);
        }

        switch (batch.End)
        {
            case WatchEnd.None:
                break;
            case WatchEnd.Left when batch.Coverage?.Fault?.Kind == ClusterFault.NotRegistered:
                // Nothing was shown (see above). As long as the fleet knows the cluster, its grain will, too.
                from.IsTooEarly = true;
                break;
            case WatchEnd.Left:
                // One that we did not send away has left before the fleet tells us; until it does, there is nothing to come back to.
                from.IsEnded = true;
                _gone.Add(from.Cluster);
                break;
            case WatchEnd.TooSlow:
                End(FleetWatchEnd.TooSlow, $"The reader was too slow for the history of cluster {from.Cluster}. List again.");
                break;
            default:
                Expire($"The history of cluster {from.Cluster} does not reach back to the revision.");
                break;
        }
    }

    /// <summary>Looks for clusters that have fallen silent, cannot take leave, or were asked too early.</summary>
    private void Check()
    {
        foreach (ClusterSubscription subscription in _subscriptions.Values.ToArray())
        {
            if (subscription.IsEnded || _end != FleetWatchEnd.None)
            {
                continue;
            }

            if (subscription.IsTooEarly && subscription.LeavingSince is not null)
            {
                subscription.IsEnded = true;
                _gone.Add(subscription.Cluster);
            }
            else if (subscription.IsTooEarly)
            {
                Start(new ClusterSubscription(subscription.Cluster, subscription.Uid, null, subscription.Resume) { Told = subscription.Told });
            }
            else if (subscription.LeavingSince is { } leaving && _time.GetElapsedTime(leaving) > LeaveWithin)
            {
                Expire($"Cluster {subscription.Cluster} left, and which objects went with it can no longer be told.");
            }
            else if (subscription.SilentSince is > 0 and var silent)
            {
                // The silo on the way may be the one that is lost: asked again first, and called silent if that does not help either.
                if (_time.GetElapsedTime(subscription.QuietSince) > _silence && subscription.Told?.Fault?.Kind != ClusterCalls.MovingFault)
                {
                    Tell(subscription, ClusterCalls.Silent(subscription.Cluster));
                }

                if (_time.GetElapsedTime(silent) > (subscription.IsPresent ? _askAgain : _silence))
                {
                    subscription.Interrupt();
                }
            }
        }
    }

    private bool IsPresent(TimeSpan elapsed)
    {
        if (_subscriptions.Values.All(static s => s.IsPresent || s.IsEnded))
        {
            return true;
        }

        if (elapsed < _query.Deadline)
        {
            return false;
        }

        foreach (ClusterSubscription late in _subscriptions.Values.Where(static s => !s.IsPresent && !s.IsEnded).OrderBy(static s => s.Cluster, StringComparer.Ordinal))
        {
            Tell(late, ClusterCalls.TimedOut(late.Cluster));
        }

        return true;
    }

    private void Tell(ClusterSubscription about, ClusterCoverage coverage)
    {
        if (about.Told is { } told && told.State == coverage.State && told.Fault == coverage.Fault)
        {
            return;
        }

        about.Told = coverage;
        _coverage.Add(coverage);
    }

    private FleetWatchBatch Take(long before, long now, bool initialEnd)
    {
        for (int i = 0; i < _events.Count; i++)
        {
            _events[i] = _events[i] with { Revision = i == _events.Count - 1 ? now : Math.Min(before, now) };
        }

        var batch = new FleetWatchBatch
        {
            Events = [.. _events],
            Coverage = [.. _coverage],
            Gone = [.. _gone],
            Revision = now,
            InitialEnd = initialEnd,
            End = _end,
            EndMessage = _endMessage,
        };
        _events.Clear();
        _coverage.Clear();
        _gone.Clear();
        return batch;
    }

    private long Resume()
    {
        long least = _fleet.Through > 0 ? _fleet.Through : _clock.Now();
        foreach (ClusterSubscription subscription in _subscriptions.Values)
        {
            if (!subscription.IsEnded)
            {
                least = Math.Min(least, Math.Min(subscription.Resume, subscription.ResumeBefore - 1));
            }
        }

        return least;
    }

    private async Task WaitAsync(Task changed, long started, long lastLook, TimeSpan untilBookmark, CancellationToken cancellationToken)
    {
        TimeSpan wait = untilBookmark < CheckEvery ? untilBookmark : CheckEvery;
        if (_initialDue && _query.Deadline - _time.GetElapsedTime(started) is var untilDeadline && untilDeadline > TimeSpan.Zero && untilDeadline < wait)
        {
            wait = untilDeadline;
        }

        Task? look = changed;
        if (!ReferenceEquals(_fleet, _view.Current))
        {
            // A change is there already and only waits for the next look.
            TimeSpan untilLook = FleetLookEvery - _time.GetElapsedTime(lastLook);
            wait = untilLook < wait ? untilLook : wait;
            look = null;
        }

        if (wait <= TimeSpan.Zero)
        {
            return;
        }

        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task news = _context.Inbox.WaitToReadAsync(timer.Token).AsTask();
        Task late = Task.Delay(wait, _time, timer.Token);
        await (look is null ? Task.WhenAny(news, late) : Task.WhenAny(news, look, late));
        await timer.CancelAsync();
    }

    private void Expire(string why) => End(FleetWatchEnd.Expired, $"{why} List again.");

    private void End(FleetWatchEnd end, string message)
    {
        if (_end == FleetWatchEnd.None)
        {
            _end = end;
            _endMessage = message;
        }
    }
}
