using Microsoft.Extensions.Logging;

namespace MultiCluster.Grains.Cluster;

/// <summary>Compacts the managed heap once after large first lists, since nothing else would in a process that then falls silent.</summary>
/// <remarks>
/// <para>A first list leaves as much behind as it keeps: buffers, half-filled regions, the budget of the youngest generation. The collector
/// gives that back when it runs next, but a mirror whose clusters are quiet allocates next to nothing, so it may not run for hours.</para>
/// <para>Compacting stops all threads for about a millisecond per MiB that lives. Hence it waits until lists have been quiet for
/// <see cref="Quiet"/>, comes at most once in <see cref="Interval"/> and only when the mirrors have grown by a quarter of the heap,
/// and never for heaps above a limit, in which what would be won is small beside what is held. Thread-safe; one per process.</para>
/// </remarks>
internal sealed partial class HeapTidying : IDisposable
{
    /// <summary>How long no list must have brought anything new.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);

    /// <summary>Longest wait for quiet: a fleet that joins cluster by cluster need not wait for its last.</summary>
    public static readonly TimeSpan MostPatience = TimeSpan.FromSeconds(30);

    /// <summary>Shortest time between two compactions.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <summary>Growth below which it is not worth a pause: the rows of some 18,000 pods.</summary>
    public const long LeastGrowth = 8 << 20;

    private readonly Lock _gate = new();
    private readonly long _limit;
    private readonly TimeProvider _time;
    private readonly IManagedHeap _heap;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private long _grown;
    private long? _waitingSince;
    private long? _last;

    /// <param name="limit">Largest heap, in bytes, that is compacted; 0 for none.</param>
    /// <param name="time">Clock.</param>
    /// <param name="heap">What is compacted.</param>
    /// <param name="logger">Log.</param>
    public HeapTidying(long limit, TimeProvider time, IManagedHeap heap, ILogger logger)
    {
        _limit = limit;
        _time = time;
        _heap = heap;
        _logger = logger;
        _timer = time.CreateTimer(static me => ((HeapTidying)me!).Due(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A list was taken over.</summary>
    /// <param name="grown">By how many bytes its table has grown; nothing happens for lists that brought nothing new.</param>
    public void Listed(long grown)
    {
        if (grown <= 0 || _limit == 0)
        {
            return;
        }

        lock (_gate)
        {
            _grown += grown;
            long size = _heap.Size;
            if (_grown < Math.Max(LeastGrowth, size / 4) || size > _limit)
            {
                return;
            }

            _waitingSince ??= _time.GetTimestamp();
            TimeSpan patience = MostPatience - _time.GetElapsedTime(_waitingSince.Value);
            TimeSpan wait = patience < Quiet ? Max(patience, TimeSpan.Zero) : Quiet;
            TimeSpan rest = _last is { } last ? Interval - _time.GetElapsedTime(last) : TimeSpan.Zero;
            _timer.Change(Max(wait, rest), Timeout.InfiniteTimeSpan);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Due()
    {
        long before;
        lock (_gate)
        {
            _grown = 0;
            _waitingSince = null;
            _last = _time.GetTimestamp();
            before = _heap.Size;
            if (before > _limit)
            {
                return;
            }
        }

        long start = _time.GetTimestamp();
        _heap.Compact();
        LogCompacted(_logger, before >> 20, _heap.Size >> 20, (long)_time.GetElapsedTime(start).TotalMilliseconds);
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    [LoggerMessage(4160, LogLevel.Debug, "Heap compacted after first lists: {Before} MiB before, {After} MiB after, in {Milliseconds} ms.", EventName = "HeapCompacted")]
    private static partial void LogCompacted(ILogger logger, long before, long after, long milliseconds);
}

/// <summary>The heap that <see cref="HeapTidying"/> looks after.</summary>
internal interface IManagedHeap
{
    /// <summary>Bytes in use, what nobody needs any more included.</summary>
    long Size { get; }

    /// <summary>Drops what nobody needs, closes the gaps, and gives free memory back to the system.</summary>
    void Compact();
}

/// <summary>The heap of this process.</summary>
internal sealed class ProcessHeap : IManagedHeap
{
    public long Size => GC.GetTotalMemory(forceFullCollection: false);

    // The gentler modes keep the memory that they free as a budget for allocations that a quiet mirror does not make.
    public void Compact() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
}
