using System.Diagnostics;
using System.Threading.Channels;
using Grpc.Core;
using MultiCluster.Benchmarks.Events;
using MultiCluster.V1;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Watches all pods of a fleet and notes when it has read each change.</summary>
internal sealed class FleetWatcher : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<((string Cluster, long Revision) Change, long At)> _read = Channel.CreateUnbounded<((string Cluster, long Revision) Change, long At)>();
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _watching;

    private FleetWatcher(FleetClient client) => _watching = WatchAsync(client);

    /// <summary>Starts one that has read the present.</summary>
    public static async Task<FleetWatcher> StartAsync(FleetClient client)
    {
        var watcher = new FleetWatcher(client);
        await watcher._synced.Task.WaitAsync(Patience);
        return watcher;
    }

    /// <summary>The next so many changes, once they have all been read.</summary>
    public async Task<List<((string Cluster, long Revision) Change, long At)>> ReadAsync(int count)
    {
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        List<((string Cluster, long Revision) Change, long At)> changes = new(count);
        while (changes.Count < count)
        {
            changes.Add(await _read.Reader.ReadAsync(patience.Token));
        }

        return changes;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }

    private async Task WatchAsync(FleetClient client)
    {
        try
        {
            using AsyncServerStreamingCall<WatchResponse> call = client.Resources.Watch(
                new WatchRequest { Query = new ObjectQuery { Kind = "pods" } }, client.Admin, cancellationToken: _stop.Token);
            while (await call.ResponseStream.MoveNext(_stop.Token))
            {
                WatchResponse message = call.ResponseStream.Current;
                if (message.Type == WatchResponse.Types.Type.Modified)
                {
                    _read.Writer.TryWrite(((message.Object.Cluster, EventLatency.RevisionIn(message.Object.Json.Span)), Stopwatch.GetTimestamp()));
                }
                else if (message.Type == WatchResponse.Types.Type.Synced)
                {
                    _synced.TrySetResult();
                }
            }

            End(new InvalidOperationException("The watch ended."));
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            End(e);
        }
    }

    private void End(Exception reason)
    {
        _synced.TrySetException(reason);
        _read.Writer.TryComplete(reason);
    }
}
