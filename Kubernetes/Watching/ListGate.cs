using System.Diagnostics.CodeAnalysis;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>Bounds how many lists run at once.</summary>
public interface IListGate
{
    /// <summary>Waits for a place; disposing the answer gives it back.</summary>
    ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken);
}

/// <summary>A gate with so many places, given in the order they are asked for. Thread-safe.</summary>
/// <remarks>
/// Nobody keeps a place longer than the time that is given: a list that trickles or hangs goes on without one, and the place goes
/// to the next, so that no server can stop the lists of others by answering slowly.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore has no wait handle, so there is nothing to dispose; places may come back after their gate's owner is gone.")]
public sealed class ListGate : IListGate
{
    private readonly SemaphoreSlim _places;
    private readonly TimeSpan _most;
    private readonly TimeProvider _time;

    /// <summary>Makes a gate.</summary>
    /// <param name="places">How many lists may run at once; at least 1.</param>
    /// <param name="most">How long a list may keep its place; infinite to let it until its end.</param>
    /// <param name="time">Clock; null for the system's.</param>
    public ListGate(int places, TimeSpan most, TimeProvider? time = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(places, 1);
        _places = new SemaphoreSlim(places);
        _most = most;
        _time = time ?? TimeProvider.System;
    }

    /// <summary>Places that nobody holds.</summary>
    public int Free => _places.CurrentCount;

    /// <inheritdoc/>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        return new Place(_places, _most, _time);
    }

    private sealed class Place : IDisposable
    {
        private readonly SemaphoreSlim _places;
        private readonly ITimer? _timer;
        private int _returned;

        public Place(SemaphoreSlim places, TimeSpan most, TimeProvider time)
        {
            _places = places;
            _timer = most == Timeout.InfiniteTimeSpan
                ? null
                : time.CreateTimer(static place => ((Place)place!).Return(), this, most, Timeout.InfiniteTimeSpan);
        }

        public void Dispose()
        {
            _timer?.Dispose();
            Return();
        }

        private void Return()
        {
            if (Interlocked.Exchange(ref _returned, 1) == 0)
            {
                _ = _places.Release();
            }
        }
    }
}
