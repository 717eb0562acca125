using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>A timer whose ticks are items of its activation's mailbox, so that they are turns and never overlap.</summary>
internal abstract partial class GrainTimer : MailItem, IGrainTimer
{
    private readonly Lock _gate = new();
    private readonly GrainActivation _activation;
    private readonly CancellationTokenSource _ended = new();
    private readonly GrainTimerCreationOptions _options;
    private readonly ITimer _timer;
    private TimeSpan _dueTime;
    private TimeSpan _period;
    private bool _changed;
    private bool _ticking;

    protected GrainTimer(GrainActivation activation, GrainTimerCreationOptions options)
    {
        _activation = activation;
        _options = options;

        // The tick must not carry the call context of whoever made the timer.
        using AsyncFlowControl? suppressed = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
        _timer = activation.Runtime.Time.CreateTimer(
            static self => ((GrainTimer)self!).OnDue(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public override bool AlwaysInterleaves => _options.Interleave;

    public override bool KeepsAlive => _options.KeepAlive;

    public void Change(TimeSpan dueTime, TimeSpan period)
    {
        ThrowIfNoTimerTakes(dueTime, nameof(dueTime));
        ThrowIfNoTimerTakes(period, nameof(period));
        lock (_gate)
        {
            (_dueTime, _period, _changed) = (dueTime, period, true);
            if (!_ticking)
            {
                Arm_NeedsLock();
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_ended.IsCancellationRequested)
            {
                return;
            }

            _timer.Dispose();
        }

        _activation.Remove(this);
        _ended.Cancel();
    }

    public override void Start(GrainActivation activation)
    {
        Task tick;
        try
        {
            tick = _ended.IsCancellationRequested ? Task.CompletedTask : TickAsync(_ended.Token);
        }
        catch (Exception e)
        {
            tick = Task.FromException(e);
        }

        if (tick.IsCompletedSuccessfully)
        {
            OnTicked(wasLong: false);
        }
        else
        {
            _ = FinishAsync(tick);
        }
    }

    public override void Reject(Exception cause)
    {
    }

    public override void OnActivationGone(ActorRuntime runtime)
    {
    }

    protected abstract Task TickAsync(CancellationToken token);

    private static void ThrowIfNoTimerTakes(TimeSpan time, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan((long)time.TotalMilliseconds, -1, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)time.TotalMilliseconds, uint.MaxValue - 1, name);
    }

    private void OnDue()
    {
        lock (_gate)
        {
            if (_ticking || _ended.IsCancellationRequested)
            {
                return;
            }

            _ticking = true;
        }

        _activation.TryPost(this);
    }

    private async Task FinishAsync(Task tick)
    {
        try
        {
            await tick;
        }
        catch (OperationCanceledException) when (_ended.IsCancellationRequested)
        {
            // The timer has ended: the tick did as it was told.
        }
        catch (Exception e)
        {
            LogTickFailed(_activation.Runtime.Logger, e, _activation.GrainId);
        }

        OnTicked(wasLong: true);
    }

    private void OnTicked(bool wasLong)
    {
        lock (_gate)
        {
            _ticking = false;
            if (!_ended.IsCancellationRequested)
            {
                Arm_NeedsLock();
            }
        }

        _activation.OnFinished(this, wasLong);
    }

    private void Arm_NeedsLock()
    {
        TimeSpan next = _changed ? _dueTime : _period;
        _changed = false;
        _timer.Change(next, Timeout.InfiniteTimeSpan);
    }

    [LoggerMessage(7003, LogLevel.Warning, "A timer tick of grain {Grain} failed; the timer goes on.", EventName = "GrainTimerTickFailed")]
    private static partial void LogTickFailed(ILogger logger, Exception exception, GrainId grain);
}

/// <inheritdoc/>
internal sealed class GrainTimer<TState>(
    GrainActivation activation, Func<TState, CancellationToken, Task> callback, TState state, GrainTimerCreationOptions options)
    : GrainTimer(activation, options)
{
    protected override Task TickAsync(CancellationToken token) => callback(state, token);
}
