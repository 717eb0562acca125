using System.Diagnostics.Metrics;
using System.Security.Claims;
using Microsoft.Extensions.Options;

namespace MultiCluster.Gateway.Reads;

/// <summary>Counts the watches that are open, and refuses those beyond <see cref="WatchOptions"/>. Thread-safe; one per process.</summary>
internal sealed class WatchPlaces
{
    public const string MeterName = "MultiCluster.Gateway";

    // When a place becomes free nobody can say; soon enough for a reader that waits, too seldom to be a load.
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(10);

    private readonly WatchOptions _options;
    private readonly Counter<long> _refused;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _perUser = new(StringComparer.Ordinal);
    private int _taken;

    public WatchPlaces(IOptions<WatchOptions> options, IMeterFactory meters)
    {
        _options = options.Value;
        Meter meter = meters.Create(MeterName);
        meter.CreateObservableUpDownCounter("multicluster.watches.open", () => Volatile.Read(ref _taken), "{watch}", "Watches that clients have open.");
        _refused = meter.CreateCounter<long>("multicluster.watches.refused", "{watch}", "Watches refused because too many were open.");
    }

    /// <summary>Takes a place for one watch; dispose it when the watch has ended.</summary>
    /// <exception cref="TooManyWatchesException">There is none.</exception>
    public IDisposable Enter(ClaimsPrincipal user)
    {
        string name = user.Identity?.Name ?? "";
        lock (_gate)
        {
            int own = _perUser.GetValueOrDefault(name);
            if (own < _options.PerUser && _taken < _options.PerProcess)
            {
                _perUser[name] = own + 1;
                _taken++;
                return new Place(this, name);
            }

            // The user's own limit first: what one can do about it oneself.
            bool isOwn = own >= _options.PerUser;
            _refused.Add(1, new KeyValuePair<string, object?>("limit", isOwn ? "user" : "process"));
            throw new TooManyWatchesException(
                isOwn
                    ? FormattableString.Invariant($"User {name} has {own} watches open, as many as the setting Watches:PerUser allows. Close some, or have it raised, and try again.")
                    : FormattableString.Invariant($"The service has {_taken} watches open, as many as the setting Watches:PerProcess allows. Try again later, or have it raised."),
                RetryAfter);
        }
    }

    private void Leave(string name)
    {
        lock (_gate)
        {
            _taken--;
            if (--_perUser[name] == 0)
            {
                _perUser.Remove(name);
            }
        }
    }

    private sealed class Place(WatchPlaces places, string name) : IDisposable
    {
        private int _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0)
            {
                places.Leave(name);
            }
        }
    }
}
