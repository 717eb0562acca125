using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>Reads one watch and writes down what it saw: <c>+</c>, <c>~</c> or <c>-</c> before <c>cluster/namespace/name</c>.</summary>
public sealed class WatchReader : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly IAsyncEnumerator<FleetWatchBatch> _batches;
    private bool _isOpen;

    public WatchReader(SimulatedFleet fleet, FleetWatchQuery query) =>
        _batches = fleet.Reader.WatchAsync(query, _stop.Token).GetAsyncEnumerator(_stop.Token);

    public List<string> Seen { get; } = [];

    public List<string> Texts { get; } = [];

    public List<ClusterCoverage> Coverage { get; } = [];

    public List<string> Gone { get; } = [];

    public long Revision { get; private set; }

    /// <summary>Reads until a batch meets the condition.</summary>
    public async Task<FleetWatchBatch> ReadUntilAsync(Func<FleetWatchBatch, bool> enough)
    {
        _isOpen = true;
        while (true)
        {
            Assert.True(await _batches.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60)), "The watch ended. It saw: " + string.Join(' ', Seen));
            FleetWatchBatch batch = _batches.Current;
            foreach (FleetEvent change in batch.Events)
            {
                char sign = change.Type switch { ChangeType.Added => '+', ChangeType.Modified => '~', _ => '-' };
                Seen.Add($"{sign}{change.Item.Cluster}/{change.Item.Row.Namespace}/{change.Item.Row.Name}");
                Texts.Add(SimulatedFleet.Text(change.Item));
                Assert.True(change.Revision <= batch.Revision);
            }

            Coverage.AddRange(batch.Coverage);
            Gone.AddRange(batch.Gone);
            Revision = batch.Revision;
            if (enough(batch))
            {
                return batch;
            }

            Assert.True(batch.End == FleetWatchEnd.None, $"The watch ended: {batch.End}, {batch.EndMessage}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_isOpen)
        {
            await _batches.DisposeAsync();
        }

        _stop.Dispose();
    }
}
