namespace MultiCluster.Kubernetes.Watching;

/// <summary>Cancels the reading of a stream that has been silent for too long.</summary>
/// <remarks>
/// Hearing something only stores a timestamp; the timer moves itself when it fires early. So a busy stream pays nothing for it.
/// <see cref="Heard"/> and <see cref="Limit"/> belong to the reading loop; the timer runs on any thread.
/// </remarks>
internal sealed class SilenceGuard : IDisposable
{
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _cut;
    private readonly ITimer _timer;
    private long _heardAt;
    private long _limitTicks;
    private volatile bool _isSilent;

    public SilenceGuard(TimeSpan limit, TimeProvider time, CancellationToken stop)
    {
        _time = time;
        _limitTicks = limit.Ticks;
        _heardAt = time.GetTimestamp();
        _cut = CancellationTokenSource.CreateLinkedTokenSource(stop);
        _timer = time.CreateTimer(static guard => ((SilenceGuard)guard!).Check(), this, limit, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Cancelled when the stream is silent, or its owner stops.</summary>
    public CancellationToken Token => _cut.Token;

    /// <summary>Whether silence was the reason.</summary>
    public bool IsSilent => _isSilent;

    /// <summary>Longest silence from now on.</summary>
    public TimeSpan Limit
    {
        get => TimeSpan.FromTicks(Volatile.Read(ref _limitTicks));
        set
        {
            if (Interlocked.Exchange(ref _limitTicks, value.Ticks) != value.Ticks)
            {
                _ = _timer.Change(value, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public void Heard() => Volatile.Write(ref _heardAt, _time.GetTimestamp());

    /// <summary>Ends the reading for another reason than silence.</summary>
    public void Cut()
    {
        try
        {
            _cut.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The stream has ended already.
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        _cut.Dispose();
    }

    private void Check()
    {
        TimeSpan left = Limit - _time.GetElapsedTime(Volatile.Read(ref _heardAt));
        try
        {
            if (left > TimeSpan.Zero)
            {
                _ = _timer.Change(left, Timeout.InfiniteTimeSpan);
                return;
            }

            _isSilent = true;
            _cut.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The stream ended while the timer fired.
        }
    }
}
