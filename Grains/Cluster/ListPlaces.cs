using Microsoft.Extensions.Options;

namespace MultiCluster.Grains.Cluster;

/// <summary>The places for first lists that all clusters of this process share.</summary>
/// <remarks>
/// Thread-safe. Places are given in the order they are asked for; since a cluster asks for no more than
/// <see cref="MirrorOptions.ListsPerCluster"/> at a time, a cluster with many kinds never stands before all others. Nobody
/// keeps a place longer than <see cref="MirrorOptions.ListPlaceTimeout"/>: a server that trickles or hangs goes on with
/// its list, and the place goes to the next.
/// </remarks>
internal sealed class ListPlaces(IOptions<MirrorOptions> options, TimeProvider time) : IDisposable
{
    private readonly SemaphoreSlim _places = new(options.Value.ListsPerProcess);
    private readonly TimeSpan _most = options.Value.ListPlaceTimeout;

    /// <summary>Places that nobody holds.</summary>
    public int Free => _places.CurrentCount;

    /// <summary>Waits for a place; disposing the answer gives it back.</summary>
    public async Task<IDisposable> TakeAsync(CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        return new Place(this, time, _most);
    }

    public void Dispose() => _places.Dispose();

    private sealed class Place : IDisposable
    {
        private readonly ListPlaces _owner;
        private readonly ITimer _timer;
        private int _returned;

        public Place(ListPlaces owner, TimeProvider time, TimeSpan most)
        {
            _owner = owner;
            _timer = time.CreateTimer(static place => ((Place)place!).Return(), this, most, Timeout.InfiniteTimeSpan);
        }

        public void Dispose()
        {
            _timer.Dispose();
            Return();
        }

        private void Return()
        {
            if (Interlocked.Exchange(ref _returned, 1) == 0)
            {
                _owner._places.Release();
            }
        }
    }
}
