using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>How an activation starts and ends. Everything here runs as turns.</summary>
internal sealed partial class GrainActivation
{
    private void BeginActivate()
    {
        AssertTurn();
        RequestContext.Snapshot = _waiting.First?.Context;
        _ = ActivateAsync();   // reports its own failures to the waiting callers
    }

    private async Task ActivateAsync()
    {
        try
        {
            _scope = Runtime.Services.CreateAsyncScope();
            GrainInstance = Class.Create(this);
            if (GrainInstance is ILifecycleParticipant<IGrainLifecycle> participant)
            {
                participant.Participate(_lifecycle);
            }

            if (GrainInstance is IGrainBase grain)
            {
                _lifecycle.Subscribe(
                    nameof(IGrainBase.OnActivateAsync),
                    GrainLifecycleStage.Activate,
                    grain.OnActivateAsync,
                    token => grain.OnDeactivateAsync(_reason, token));
            }

            TimeSpan limit = Runtime.Collection.ActivationTimeout;
            using var timeout = new CancellationTokenSource(limit, Runtime.Time);
            try
            {
                await _lifecycle.StartAsync(timeout.Token).WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException e) when (timeout.IsCancellationRequested)
            {
                throw new TimeoutException($"Grain {GrainId} did not start within {limit}.", e);
            }
        }
        catch (Exception e)
        {
            LogActivationFailed(Runtime.Logger, e, GrainId);
            await EndAsync(e);
            return;
        }

        lock (_gate)
        {
            _phase = _reason.ReasonCode == DeactivationReasonCode.None ? Phase.Active : Phase.Draining;
            _lastUsed = Runtime.Clock.Timestamp;
            _pumpQueued = true;
        }

        _scheduler.QueueClean(PumpTurn, this);
    }

    private async Task DeactivateAsync()
    {
        AssertTurn();
        try
        {
            StopTimers();
            using var timeout = new CancellationTokenSource(Runtime.Collection.DeactivationTimeout, Runtime.Time);
            await CloseSessionsAsync(timeout.Token);
            await _lifecycle.StopAsync(e => LogDeactivationFailed(Runtime.Logger, e, GrainId), timeout.Token);
        }
        catch (Exception e)
        {
            LogDeactivationFailed(Runtime.Logger, e, GrainId);
        }

        await EndAsync(failure: null);
    }

    private async Task EndAsync(Exception? failure)
    {
        StopTimers();
        try
        {
            if (GrainInstance is IAsyncDisposable asyncDisposable)
            {
                await asyncDisposable.DisposeAsync();
            }
            else if (GrainInstance is IDisposable disposable && !Class.IsObserver)
            {
                disposable.Dispose();
            }

            if (_scope is { } scope)
            {
                await scope.DisposeAsync();
            }
        }
        catch (Exception e)
        {
            LogDeactivationFailed(Runtime.Logger, e, GrainId);
        }

        List<MailItem> left = [];
        lock (_gate)
        {
            _phase = Phase.Dead;
            while (_waiting.First is { } item)
            {
                _waiting.Remove(item);
                left.Add(item);
            }
        }

        // Out of the directory first: what is sent on must meet the next life, not this one.
        Runtime.Directory.Remove(this);
        foreach (MailItem item in left)
        {
            if (failure is null)
            {
                item.OnActivationGone(Runtime);
            }
            else
            {
                item.Reject(failure);
            }
        }

        _deactivated.TrySetResult();
    }

    private void StopTimers()
    {
        IDisposable[] timers;
        lock (_gate)
        {
            timers = _timers?.ToArray() ?? [];
            _timers = null;
        }

        foreach (IDisposable timer in timers)
        {
            timer.Dispose();
        }
    }

    private async Task CloseSessionsAsync(CancellationToken token)
    {
        StreamSession[] sessions;
        lock (_gate) { sessions = _sessions?.ToArray() ?? []; }
        await Task.WhenAll(sessions.Select(s => s.Close())).WaitAsync(token);
    }

    [LoggerMessage(7001, LogLevel.Warning, "Grain {Grain} could not start; its callers get the error.", EventName = "GrainActivationFailed")]
    private static partial void LogActivationFailed(ILogger logger, Exception exception, GrainId grain);

    [LoggerMessage(7002, LogLevel.Warning, "Grain {Grain} did not end cleanly; it is gone all the same.", EventName = "GrainDeactivationFailed")]
    private static partial void LogDeactivationFailed(ILogger logger, Exception exception, GrainId grain);
}
