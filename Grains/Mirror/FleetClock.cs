namespace MultiCluster.Grains.Mirror;

/// <summary>Stamps changes of the whole process in one order that follows the wall clock: a hybrid logical clock.</summary>
/// <remarks>
/// A stamp is Unix time in milliseconds times 2^20 plus a counter, so it fits a positive <see cref="long"/> (at most 19 digits)
/// until the year 2248 and can be compared with stamps of other processes whose clocks are about right. It never goes back,
/// also when the wall clock does. Thread-safe and lock-free; one per process.
/// </remarks>
internal sealed class FleetClock(TimeProvider time)
{
    /// <summary>Bits of the counter: a million stamps per millisecond before the clock runs ahead of the wall.</summary>
    public const int CounterBits = 20;

    private long _last;

    /// <summary>A revision for reading: not below any stamp given out so far, and below every later one.</summary>
    public long Now()
    {
        while (true)
        {
            long last = Volatile.Read(ref _last);
            long now = Math.Max(last, Wall());
            if (now == last || Interlocked.CompareExchange(ref _last, now, last) == last)
            {
                return now;
            }
        }
    }

    /// <summary>A new stamp, above every stamp and every <see cref="Now"/> given out so far.</summary>
    public long Tick() => Tick(1);

    /// <summary>The first of <paramref name="count"/> consecutive new stamps.</summary>
    public long Tick(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        while (true)
        {
            long last = Volatile.Read(ref _last);
            long first = Math.Max(last + 1, Wall());
            if (Interlocked.CompareExchange(ref _last, first + count - 1, last) == last)
            {
                return first;
            }
        }
    }

    /// <summary>Takes notice of a stamp from elsewhere: later stamps lie above it.</summary>
    /// <returns>False when it lies more than a day ahead of our wall clock: then it is refused, since one wrong clock would drag all others along.</returns>
    public bool Observe(long stamp)
    {
        if (stamp > Wall() + ((long)TimeSpan.FromDays(1).TotalMilliseconds << CounterBits))
        {
            return false;
        }

        while (true)
        {
            long last = Volatile.Read(ref _last);
            if (stamp <= last || Interlocked.CompareExchange(ref _last, stamp, last) == last)
            {
                return true;
            }
        }
    }

    /// <summary>The wall time that a stamp stands for.</summary>
    public static DateTimeOffset TimeOf(long stamp) => DateTimeOffset.FromUnixTimeMilliseconds(stamp >> CounterBits);

    private long Wall() => time.GetUtcNow().ToUnixTimeMilliseconds() << CounterBits;
}
