using System.Collections.Immutable;
using MultiCluster.Grains.Mirror;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Collects changes until a batch is large enough. Not thread-safe.</summary>
internal sealed class WatchBatch(Projection projection)
{
    // A batch waits in the reader's memory, once per cluster: 1,000 of these at their bound are 256 MiB.
    private const int MaxChanges = 500;
    private const int MaxBytes = 256 * 1024;

    private ImmutableArray<ObjectChange>.Builder _changes = ImmutableArray.CreateBuilder<ObjectChange>();
    private PayloadWriter _payload = new(0);

    /// <summary>Whether it should be sent before anything is added.</summary>
    public bool IsFull => _changes.Count >= MaxChanges || _payload.Length >= MaxBytes;

    /// <summary>Whether it holds nothing.</summary>
    public bool IsEmpty => _changes.Count == 0;

    /// <summary>Adds a change that shows a row.</summary>
    public void Add(ChangeType type, long stamp, MirrorRow row)
    {
        int start = _payload.Length;
        RowReading.Write(row, projection, _payload);
        _changes.Add(new ObjectChange(type, stamp, RowReading.RowOf(row, start, _payload.Length - start)));
    }

    /// <summary>Hands out what was collected and begins anew.</summary>
    public ClusterWatchBatch Take(long through, ClusterCoverage? coverage = null, bool initialEnd = false, WatchEnd end = WatchEnd.None, WatchPosition? position = null)
    {
        var batch = new ClusterWatchBatch
        {
            Through = through,
            Changes = _changes.DrainToImmutable(),
            Payload = _payload.Length == 0 ? [] : _payload.ToPayload(),
            Coverage = coverage,
            InitialEnd = initialEnd,
            End = end,
            Position = position,
        };
        _changes = ImmutableArray.CreateBuilder<ObjectChange>();
        _payload = new PayloadWriter(0);
        return batch;
    }
}
