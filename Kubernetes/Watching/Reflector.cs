using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>Keeps a sink up to date with one kind of one cluster: a list, then watches, through every failure, until it is stopped.</summary>
/// <remarks>
/// <para>For one object, changes arrive in order and states may be skipped; after a gap the list is delivered anew and the sink
/// applies it as a difference. <see cref="RunAsync"/> calls the sink from one loop, on whatever thread the data arrives.</para>
/// <para>What follows a failure is decided by <see cref="WatchRecovery"/> alone. The loop never ends by itself: it ends when its token is
/// cancelled, or with the exception of a sink that fails other than by <see cref="FormatException"/>.</para>
/// <para><see cref="Status"/>, <see cref="RetryNow"/> and the event may be used from any thread.</para>
/// </remarks>
public sealed partial class Reflector
{
    // client-go's numbers.
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(800);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(30);

    // A kind that is gone comes back when somebody installs it again; the first tries are for a CRD that is just being made.
    private static readonly TimeSpan LongestSlowBackoff = TimeSpan.FromMinutes(5);

    // A server that was silent and is back has forgotten what it was asked; one that is merely slow is given this long.
    private static readonly TimeSpan Impatience = TimeSpan.FromSeconds(2);

    // A try that lasted this long was a success before it failed.
    private static readonly TimeSpan GoodWhile = TimeSpan.FromMinutes(1);

    private readonly string _cluster;
    private readonly KubeClient _client;
    private readonly ResourceType _resource;
    private readonly IReflectorSink _sink;
    private readonly ReflectorOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff;
    private readonly Backoff _resyncBackoff;
    private readonly Backoff _slowBackoff;
    private readonly ReflectorRequests _requests;
    private readonly Lock _statusGate = new();
    private ReflectorStatus _status;
    private long _lastHeard;   // UTC ticks; 0 before anything was heard
    private TaskCompletionSource? _retry;
    private CancellationTokenSource? _opening;   // under _statusGate, as the two below
    private long _openingSince;
    private bool _skipsPause;
    private int _running;
    private int _failuresBefore;
    private KubeErrorKind? _alikeKind;
    private long _goodSince;

    /// <summary>Makes a reflector; nothing happens before <see cref="RunAsync"/>.</summary>
    /// <param name="cluster">Name of the cluster for the log.</param>
    /// <param name="client">Client of the cluster; its clock is used.</param>
    /// <param name="resource">Kind to mirror.</param>
    /// <param name="sink">Receives everything.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="logger">Log; null for none.</param>
    public Reflector(
        string cluster, KubeClient client, ResourceType resource, IReflectorSink sink, ReflectorOptions? options = null, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentNullException.ThrowIfNull(sink);
        _cluster = cluster;
        _client = client;
        _resource = resource;
        _sink = sink;
        _options = options ?? new ReflectorOptions();
        _logger = logger ?? NullLogger.Instance;
        _time = client.Time;
        _backoff = new Backoff(FirstBackoff, LongestBackoff, _time, _options.Random);
        _resyncBackoff = new Backoff(FirstBackoff, LongestBackoff, _time, _options.Random);
        _slowBackoff = new Backoff(FirstBackoff, LongestSlowBackoff, _time, _options.Random);
        _requests = new ReflectorRequests(resource, _options);
        _status = new ReflectorStatus(ReflectorPhase.Idle, _time.GetUtcNow());
        _takeItem = TakeItem;
    }

    /// <summary>Told after each change of phase, error or completeness; not for single events. Handlers must not throw or block.</summary>
    public event Action<ReflectorStatus>? StatusChanged;

    /// <summary>The kind that is mirrored.</summary>
    public ResourceType Resource => _resource;

    /// <summary>What it is doing now.</summary>
    public ReflectorStatus Status
    {
        get
        {
            lock (_statusGate)
            {
                return Present_NeedsLock();
            }
        }
    }

    /// <summary>Ends the wait after a failure, or for an answer that should have come long ago, for a caller who knows that the server is back.</summary>
    /// <remarks>Without such a wait it does nothing.</remarks>
    public void RetryNow()
    {
        lock (_statusGate)
        {
            _ = _retry?.TrySetResult();
            if (_opening is { } opening && _time.GetElapsedTime(_openingSince) > Impatience)
            {
                _skipsPause = true;
                _ = opening.CancelAsync();   // in the lock, so that it is not disposed before
            }
        }
    }

    /// <summary>Lists and watches until cancelled.</summary>
    /// <param name="stop">Ends it; the task then completes without an exception.</param>
    /// <exception cref="InvalidOperationException">It runs already.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        if (Interlocked.Exchange(ref _running, 1) == 1)
        {
            throw new InvalidOperationException($"The reflector of {_resource.GroupResource} runs already.");
        }

        try
        {
            await LoopAsync(stop);
        }
        catch (Exception e) when (stop.IsCancellationRequested && IsOfServer(e, CancellationToken.None))
        {
            // The owner asked for it; what a connection says that breaks at the same moment is no news.
        }
        finally
        {
            Publish(status => status with { Phase = ReflectorPhase.Idle });
            Volatile.Write(ref _running, 0);
        }
    }

    private async Task LoopAsync(CancellationToken stop)
    {
        // Nothing of an earlier run is trusted: its sink may be another's by now.
        _revision = Revision.None;
        _listNewest = _listWhole = _listPlain = _wentBack = false;
        var step = NextStep.List;
        (Attempt, Ending)? last = null;
        int repeats = 0;
        OpenWatch? begun = null;
        while (true)
        {
            if (stop.IsCancellationRequested)
            {
                await DropAsync(begun);
                return;
            }

            long start = _time.GetTimestamp();
            Outcome outcome = step == NextStep.Watch ? await WatchAsync(begun, stop) : await ListAsync(stop);
            begun = outcome.Begun;
            if (stop.IsCancellationRequested)
            {
                continue;
            }

            bool lasted = _time.GetElapsedTime(start) >= GoodWhile;
            if (lasted && outcome.Attempt == Attempt.Watch)
            {
                _backoff.Reset();
                _resyncBackoff.Reset();
            }

            bool again = last == (outcome.Attempt, outcome.Ending) && !lasted;
            repeats = again ? repeats + 1 : 0;
            last = (outcome.Attempt, outcome.Ending);
            Recovery recovery = WatchRecovery.For(outcome.Attempt, outcome.Ending, repeats);
            step = Follow(step, recovery);
            // Every kind that begins at the same time hears it; once a server is enough for the log.
            if (recovery.RefusesWatchList && _client.Features.RefuseWatchList())
            {
                LogWatchListRefused(_logger, _cluster, _resource.GroupResource);
            }

            // A server that says it lacks the feature has not failed.
            if (!recovery.RefusesWatchList || outcome.Ending != Ending.Invalid)
            {
                Report(outcome, step);
            }

            if (recovery.Pause != Pause.None)
            {
                await PauseAsync(recovery.Pause, outcome, stop);
            }
        }
    }

    /// <summary>Turns a decision into the state of the next attempt.</summary>
    private NextStep Follow(NextStep step, Recovery recovery)
    {
        switch (recovery.Next)
        {
            case NextStep.Watch:
                _listNewest = _listWhole = _listPlain = false;
                return NextStep.Watch;
            case NextStep.SameAgain:
                return step;
            case NextStep.ListNewest:
                _listNewest = true;
                return NextStep.List;
            case NextStep.ListWhole:
                _listWhole = true;
                return NextStep.List;
            case NextStep.ListPlain:
                _listPlain = true;
                return NextStep.List;
            case NextStep.List:
                return NextStep.List;
            default:
                throw new UnreachableException($"No step {recovery.Next}.");
        }
    }

    /// <summary>Opens a stream; whoever knows that the server is back can end the wait for its headers.</summary>
    private async Task<KubeStream> OpenAsync(KubeRequest request, CancellationToken cancellationToken)
    {
        using var opening = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        lock (_statusGate)
        {
            _opening = opening;
            _openingSince = _time.GetTimestamp();
        }

        try
        {
            return await _client.OpenAsync(request, opening.Token);
        }
        finally
        {
            lock (_statusGate)
            {
                _opening = null;
            }
        }
    }

    private async Task PauseAsync(Pause pause, Outcome outcome, CancellationToken stop)
    {
        lock (_statusGate)
        {
            bool skips = _skipsPause;
            _skipsPause = false;
            if (skips)
            {
                return;
            }
        }

        Backoff backoff = pause switch
        {
            Pause.Slow => _slowBackoff,
            Pause.Resync => _resyncBackoff,
            _ => _backoff,
        };
        TimeSpan wait = backoff.Next();
        if (outcome.Error?.RetryAfter is { } asked && asked > wait)
        {
            // A server's wish is followed, but no server sends us away for hours.
            wait = asked < LongestSlowBackoff ? asked : LongestSlowBackoff;
        }

        var retry = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task elapsed = Task.Delay(wait, _time, timer.Token);
        lock (_statusGate)
        {
            _retry = retry;
        }

        Publish(status => status with { Phase = ReflectorPhase.BackingOff });
        _ = await Task.WhenAny(elapsed, retry.Task);
        lock (_statusGate)
        {
            _retry = null;
        }

        await timer.CancelAsync();
        stop.ThrowIfCancellationRequested();
    }

    private void Report(Outcome outcome, NextStep next)
    {
        bool good = outcome is { Ending: Ending.Listed or Ending.Closed, Error: null };
        _wentBack |= outcome.Ending is Ending.WentBack or Ending.RevisionAhead;
        if (good)
        {
            RememberFailures();
            _failuresBefore = outcome.Ending == Ending.Closed ? 0 : _failuresBefore;
            Publish(status => status with { Error = null, FailingSince = null, Failures = 0, Vanished = false });
            return;
        }

        KubeError? failure = outcome.Error;
        int alike = failure is null ? 0 : failure.Kind == _alikeKind ? Status.FailuresAlike + 1 : 1;
        _alikeKind = failure?.Kind ?? _alikeKind;
        int before = _failuresBefore > 0 && _time.GetElapsedTime(_goodSince) < GoodWhile ? _failuresBefore : 0;
        Publish(status => status with
        {
            Error = failure ?? status.Error,
            FailingSince = failure is null ? status.FailingSince : status.FailingSince ?? _time.GetUtcNow(),
            Failures = failure is null ? status.Failures : Math.Max(status.Failures, before) + 1,
            FailuresAlike = failure is null ? status.FailuresAlike : alike,
            Vanished = outcome.Ending == Ending.Vanished,
        });

        string kind = _resource.GroupResource;
        switch (outcome.Ending)
        {
            case Ending.Broken or Ending.Silent or Ending.ClosedAtOnce:
                LogStreamEnded(_logger, _cluster, kind, outcome.Ending, _revision.ToString(), next);
                break;
            case Ending.WentBack when _client.Features.NoticeRestore():
                LogWentBack(_logger, _cluster, kind, outcome.Error?.Message ?? "");
                break;
            case Ending.Expired or Ending.PageExpired or Ending.RevisionAhead or Ending.WentBack:
                LogListingAgain(_logger, _cluster, kind, outcome.Ending, _revision.ToString());
                break;
            default:
                LogFailed(_logger, _cluster, kind, outcome.Attempt, outcome.Ending, outcome.Error?.Message ?? "");
                break;
        }
    }

    /// <summary>A list or an opened watch is a success for now; a failure that follows before anything came of it goes on with the count.</summary>
    /// <remarks>Without this a server that lists well and breaks every watch at once would look well for ever, one failure at a time.</remarks>
    private void RememberFailures()
    {
        if (Status.Failures is > 0 and int failures)
        {
            _failuresBefore = failures;
            _goodSince = _time.GetTimestamp();
        }
    }

    private void Heard() => Volatile.Write(ref _lastHeard, _time.GetUtcNow().Ticks);

    private void Publish(Func<ReflectorStatus, ReflectorStatus> change)
    {
        ReflectorStatus published;
        lock (_statusGate)
        {
            ReflectorStatus next = change(_status);
            if (next == _status)
            {
                return;
            }

            _status = next.Phase == _status.Phase ? next : next with { Since = _time.GetUtcNow() };
            published = Present_NeedsLock();
        }

        StatusChanged?.Invoke(published);
    }

    private ReflectorStatus Present_NeedsLock()
    {
        long heard = Volatile.Read(ref _lastHeard);
        return _status with
        {
            LastHeard = heard == 0 ? null : new DateTimeOffset(heard, TimeSpan.Zero),
            ResourceVersion = _shownRevision,
        };
    }

    /// <summary>How one attempt ended.</summary>
    private readonly record struct Outcome(Attempt Attempt, Ending Ending, KubeError? Error = null)
    {
        /// <summary>The stream of a list that goes on as the watch; whoever watches next owns it.</summary>
        public OpenWatch? Begun { get; init; }
    }
}
