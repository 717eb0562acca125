namespace MultiCluster.Fleet;

/// <summary>A hybrid logical clock: the source of fleet revisions.</summary>
/// <remarks>
/// A revision is a positive number of at most 19 digits: milliseconds since 1970 in the upper bits, a counter in the lower
/// <see cref="CounterBits"/>. Revisions of one clock only grow, even when the wall clock steps back. Clocks of different
/// processes are held together by <see cref="Observe"/>: who receives a revision observes it before it looks at its own state,
/// and from then on stamps everything later than it. That makes this promise true: a state that was read after
/// observing R holds every change stamped up to R, and whatever it does not hold will be stamped later than R.
/// One instance per process. Thread-safe, without locks.
/// </remarks>
public sealed class FleetClock(TimeProvider time)
{
    /// <summary>Bits of the counter: a million revisions per millisecond before the clock runs ahead of the wall.</summary>
    public const int CounterBits = 20;

    // A revision from further ahead than this is not from a clock that drifts, but made up; taking it over would push every
    // later revision out of the range in which times can be read from it.
    private static readonly TimeSpan MaxAhead = TimeSpan.FromDays(1);

    private long _last;

    /// <summary>A revision not earlier than any given out or observed before. Everything stamped from now on is later.</summary>
    public long Now() => Advance(0);

    /// <summary>A revision later than any given out or observed before: the stamp of one change.</summary>
    public long Tick() => Advance(1);

    /// <summary>The first of <paramref name="count"/> consecutive new revisions.</summary>
    public long Tick(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return Advance(count) - count + 1;
    }

    /// <summary>Takes note of another process's revision. False where it lies so far in the future that it is refused.</summary>
    public bool Observe(long revision)
    {
        if (revision > Physical(time.GetUtcNow() + MaxAhead))
        {
            return false;
        }

        long seen = Volatile.Read(ref _last);
        while (revision > seen)
        {
            long found = Interlocked.CompareExchange(ref _last, revision, seen);
            if (found == seen)
            {
                break;
            }

            seen = found;
        }

        return true;
    }

    /// <summary>Wall time of a revision, to the millisecond.</summary>
    public static DateTimeOffset TimeOf(long revision) => DateTimeOffset.FromUnixTimeMilliseconds(revision >> CounterBits);

    /// <summary>The first revision of a point in time.</summary>
    public static long Physical(DateTimeOffset at) => Math.Max(0, at.ToUnixTimeMilliseconds()) << CounterBits;

    private long Advance(int step)
    {
        while (true)
        {
            long seen = Volatile.Read(ref _last);
            long wall = Physical(time.GetUtcNow());
            long next = step == 0 ? Math.Max(wall, seen) : Math.Max(wall, seen + 1) + step - 1;
            if (next == seen || Interlocked.CompareExchange(ref _last, next, seen) == seen)
            {
                return next;
            }
        }
    }
}
