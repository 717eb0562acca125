using MultiCluster.Reads;

namespace MultiCluster.Grains.Tests.Cluster;

/// <summary>Follows one watch of one cluster and remembers what it said.</summary>
internal sealed class WatchReader : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new(FleetHost.Patience);
    private readonly Lock _gate = new();
    private readonly List<string> _changes = [];
    private readonly Task _reading;
    private TaskCompletionSource _more = New();
    private Exception? _failure;

    public WatchReader(FleetHost host, string cluster, string kind, long? since)
        => _reading = ReadAsync(host, cluster, new ClusterWatchRequest
        {
            Query = new ObjectQuery { Kind = kind },
            Since = since,
            Revision = host.Clock.Now(),
            ProgressEvery = TimeSpan.FromMilliseconds(200),
        });

    public bool InitialEnd { get; private set; }

    public WatchEnd End { get; private set; }

    public List<string> Changes
    {
        get
        {
            lock (_gate)
            {
                return [.. _changes];
            }
        }
    }

    public async Task UntilAsync(Func<WatchReader, bool> wanted)
    {
        while (true)
        {
            Task more;
            lock (_gate)
            {
                more = _more.Task;
            }

            if (wanted(this))
            {
                return;
            }

            if (_failure is not null || _reading.IsCompleted)
            {
                throw new InvalidOperationException($"The watch ended with {End}; it said: {string.Join(", ", Changes)}.", _failure);
            }

            await more.WaitAsync(FleetHost.Patience);
        }
    }

    /// <summary>Ends when the watch has.</summary>
    public Task EndedAsync() => _reading.WaitAsync(FleetHost.Patience);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading.WaitAsync(FleetHost.Patience);
        _stop.Dispose();
    }

    private async Task ReadAsync(FleetHost host, string cluster, ClusterWatchRequest request)
    {
        try
        {
            await foreach (ClusterWatchBatch batch in host.Cluster(cluster).WatchAsync(request, _stop.Token).WithCancellation(_stop.Token))
            {
                lock (_gate)
                {
                    _changes.AddRange(batch.Changes.Select(change => $"{change.Type} {change.Row.Name}"));
                    InitialEnd |= batch.InitialEnd;
                    End = batch.End;
                }

                Tell();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The test has ended.
        }
        catch (Exception e)
        {
            _failure = e;
        }
        finally
        {
            Tell();
        }
    }

    private void Tell()
    {
        TaskCompletionSource more;
        lock (_gate)
        {
            more = _more;
            _more = New();
        }

        more.TrySetResult();
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
