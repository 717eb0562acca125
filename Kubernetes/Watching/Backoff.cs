namespace MultiCluster.Kubernetes.Watching;

/// <summary>Growing waits with jitter, as client-go's reflector has them.</summary>
/// <remarks>Not thread-safe: one loop owns it.</remarks>
internal sealed class Backoff
{
    // After this long without trouble the next trouble is a new one.
    private static readonly TimeSpan ResetAfter = TimeSpan.FromMinutes(2);

    private readonly TimeSpan _first;
    private readonly TimeSpan _longest;
    private readonly TimeProvider _time;
    private readonly Func<double> _random;
    private TimeSpan _step;
    private TimeSpan _lastWait;
    private long? _lastCall;

    public Backoff(TimeSpan first, TimeSpan longest, TimeProvider time, Func<double> random)
    {
        (_first, _longest, _time, _random) = (first, longest, time, random);
        _step = first;
    }

    /// <summary>Things have gone well for long enough: the next trouble is a new one.</summary>
    public void Reset() => _step = _first;

    /// <summary>The next wait: between the step and twice the step, so that many reflectors do not return together.</summary>
    public TimeSpan Next()
    {
        if (_lastCall is { } last && _time.GetElapsedTime(last) > _lastWait + ResetAfter)
        {
            _step = _first;
        }

        _lastCall = _time.GetTimestamp();
        _lastWait = _step + (_step * _random());
        _step = _step * 2 < _longest ? _step * 2 : _longest;
        return _lastWait;
    }
}
