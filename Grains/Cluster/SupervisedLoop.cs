using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;

namespace MultiCluster.Grains.Cluster;

/// <summary>One background loop of a cluster: started once, begun anew after a bug, awaited at the end.</summary>
/// <remarks>
/// The body handles every failure it expects; what comes out of it is a bug. Then the loop is marked with a fault, which
/// degrades its own cluster and no other, and starts over after 1 second, doubling to 1 minute and back after 5 good minutes.
/// Runs on the thread pool. <see cref="Fault"/> may be read from any thread; start and stop it from one.
/// </remarks>
internal sealed partial class SupervisedLoop : IAsyncDisposable
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxBackoff = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan WellAfter = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan GoodFor = TimeSpan.FromMinutes(5);

    private readonly string _cluster;
    private readonly string _name;
    private readonly Func<CancellationToken, Task> _body;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _run;
    private ClusterFault? _fault;
    private long _runsSince;

    private SupervisedLoop(string cluster, string name, Func<CancellationToken, Task> body, TimeProvider time, ILogger logger)
    {
        _cluster = cluster;
        _name = name;
        _body = body;
        _time = time;
        _logger = logger;

        // Leaves the scheduler of the grain that starts it: what the loop does must not take turns from reads.
        _run = Task.Run(RunAsync);
    }

    /// <summary>What the loop does, for people.</summary>
    public string Name => _name;

    /// <summary>Set from the moment the loop breaks until it has run well again for half a minute.</summary>
    public ClusterFault? Fault => Volatile.Read(ref _runsSince) is var since && since != 0 && _time.GetElapsedTime(since) > WellAfter
        ? null
        : Volatile.Read(ref _fault);

    /// <summary>Starts a loop that runs until it is disposed or its body returns.</summary>
    public static SupervisedLoop Start(string cluster, string name, Func<CancellationToken, Task> body, TimeProvider time, ILogger logger)
        => new(cluster, name, body, time, logger);

    /// <summary>Asks the loop to end, without waiting.</summary>
    public void RequestStop() => _stopping.Cancel();

    /// <summary>Ends the loop and waits until it has.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _run;
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        CancellationToken stop = _stopping.Token;
        TimeSpan backoff = FirstBackoff;
        while (!stop.IsCancellationRequested)
        {
            long started = _time.GetTimestamp();
            Volatile.Write(ref _runsSince, started);
            try
            {
                await _body(stop);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (stop.IsCancellationRequested)
            {
                // What a stopping host takes away under the loop's hands is no fault of the loop, and nobody waits for it any more.
                LogEndedWithError(_logger, e, _cluster, _name);
                return;
            }
            catch (Exception e)
            {
                if (_time.GetElapsedTime(started) > GoodFor)
                {
                    backoff = FirstBackoff;
                }

                Volatile.Write(ref _runsSince, 0);
                Volatile.Write(ref _fault, new ClusterFault(ClusterFault.Internal, $"The {_name} loop broke and starts over; the log has the details."));
                LogLoopBroke(_logger, e, _cluster, _name, backoff);
            }

            try
            {
                await Task.Delay(backoff, _time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            backoff = TimeSpan.FromTicks(Math.Min(backoff.Ticks * 2, MaxBackoff.Ticks));
        }
    }

    [LoggerMessage(4101, LogLevel.Debug, "Cluster {Cluster}: the {Loop} loop ended with an error while it was stopped.", EventName = "LoopEndedWithError")]
    private static partial void LogEndedWithError(ILogger logger, Exception exception, string cluster, string loop);

    [LoggerMessage(4100, LogLevel.Error, "Cluster {Cluster}: the {Loop} loop broke; it starts over in {Backoff}.", EventName = "LoopBroke")]
    private static partial void LogLoopBroke(ILogger logger, Exception exception, string cluster, string loop, TimeSpan backoff);
}
