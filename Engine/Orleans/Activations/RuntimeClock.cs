namespace MultiCluster.Engine.Actors;

/// <summary>Timestamps of the runtime's <see cref="TimeProvider"/>, and arithmetic on them.</summary>
internal sealed class RuntimeClock(TimeProvider time)
{
    private readonly double _perTick = (double)time.TimestampFrequency / TimeSpan.TicksPerSecond;

    public long Timestamp => time.GetTimestamp();

    /// <summary>The timestamp that much later; never for times that no clock reaches.</summary>
    public long After(TimeSpan delay) =>
        delay < TimeSpan.Zero || delay > TimeSpan.FromDays(3650) ? long.MaxValue : time.GetTimestamp() + (long)(delay.Ticks * _perTick);

    /// <summary>Whether that much time has passed between the timestamps.</summary>
    // Each timestamp is cut to a whole tick, so one may be missing between two that are exactly so far apart.
    public bool HasPassed(TimeSpan span, long from, long to) => to - from + 1 >= (long)(span.Ticks * _perTick);
}
