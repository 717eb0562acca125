namespace MultiCluster.Grains.Cluster;

/// <summary>Lets one loop wait for a time or for somebody who has work for it. A signal that comes while it works is kept; several are one.</summary>
/// <remarks><see cref="Set"/> may be called from any thread, <see cref="WaitAsync"/> by one loop.</remarks>
internal sealed class WakeSignal(TimeProvider time)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _waiter;
    private bool _isSet;

    public void Set()
    {
        TaskCompletionSource? waiter;
        lock (_gate)
        {
            _isSet = true;
            waiter = _waiter;
        }

        waiter?.TrySetResult();
    }

    /// <summary>Waits until a signal or until the time has passed; a timeout is the normal case and costs no exception.</summary>
    public async Task WaitAsync(TimeSpan most, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_isSet)
            {
                _isSet = false;
                return;
            }

            _waiter = waiter;
        }

        try
        {
            using ITimer timer = time.CreateTimer(static state => ((TaskCompletionSource)state!).TrySetResult(), waiter, most, Timeout.InfiniteTimeSpan);
            using CancellationTokenRegistration stopping = stop.UnsafeRegister(static (state, token) => ((TaskCompletionSource)state!).TrySetCanceled(token), waiter);
            await waiter.Task;
        }
        finally
        {
            lock (_gate)
            {
                _waiter = null;
                _isSet = false;
            }
        }
    }
}
