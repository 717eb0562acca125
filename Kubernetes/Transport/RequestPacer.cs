namespace MultiCluster.Kubernetes.Transport;

/// <summary>A token bucket: so many requests a second in the long run, a burst after a quiet time.</summary>
/// <remarks>Thread-safe. A reservation is kept even when its request is cancelled: the error is small and on the server's side.</remarks>
internal sealed class RequestPacer(double perSecond, int burst, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly long _start = time.GetTimestamp();
    private double _tokens = burst;
    private double _filledAt;

    /// <summary>Takes a turn, or refuses at once when the turn is further away than the caller would wait.</summary>
    /// <param name="maxWait">Longest wait.</param>
    /// <param name="wait">How long to wait before sending; with a refusal, how long it would have been.</param>
    public bool TryReserve(TimeSpan maxWait, out TimeSpan wait)
    {
        lock (_gate)
        {
            double now = time.GetElapsedTime(_start).TotalSeconds;
            _tokens = Math.Min(burst, _tokens + ((now - _filledAt) * perSecond));
            _filledAt = now;
            double missing = 1 - _tokens;
            wait = missing <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(missing / perSecond);
            if (wait > maxWait)
            {
                return false;
            }

            _tokens -= 1;   // below zero: the debt is the queue
            return true;
        }
    }
}
