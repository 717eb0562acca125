using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using MultiCluster.Fleet;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>What all pumps of one watch share. Thread-safe.</summary>
internal sealed partial class SubscriptionContext(
    ClusterCalls calls, FleetClock clock, TimeProvider time, FleetWatchQuery query, TimeSpan progressEvery, ILogger logger) : IDisposable
{
    public static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan MaxBackoff = TimeSpan.FromSeconds(5);

    // What a reader that takes nothing costs: batches have some 256 KiB, and beside these a watch holds what each cluster has under way
    // (UnderWay) and what is being written. Everything else waits in the mirrors' histories, which is there for all. With 64 batches, and
    // the hundred that a stream of a grain fetches unasked, 200 such readers of large objects held 4 GB.
    private const int InboxBatches = 4;

    /// <summary>Batches of one cluster that are fetched at once.</summary>
    public const int UnderWay = 2;

    // Clusters that stream their present state at the same time. The others follow, so that 1,000 clusters do not wait with a full batch each.
    private const int PresentAtOnce = 16;

    /// <summary>How long a full inbox may stay full before the reader is cut off.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Channel<SubscriptionNews> _inbox = Channel.CreateBounded<SubscriptionNews>(
        new BoundedChannelOptions(InboxBatches) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly CancellationTokenSource _tooSlow = new();

    public ClusterCalls Calls => calls;

    public FleetClock Clock => clock;

    public TimeProvider Time => time;

    public ObjectQuery Query => query.Objects;

    public Projection Projection => query.Projection;

    public TimeSpan ProgressEvery => progressEvery;

    public SemaphoreSlim PresentTurns { get; } = new(PresentAtOnce);

    public ChannelReader<SubscriptionNews> Inbox => _inbox.Reader;

    /// <summary>Fires when the reader has let the inbox stand full for too long.</summary>
    public CancellationToken TooSlow => _tooSlow.Token;

    /// <summary>Delivers to the watch; waits while its inbox is full.</summary>
    public async ValueTask DeliverAsync(SubscriptionNews news, CancellationToken stop)
    {
        if (_inbox.Writer.TryWrite(news))
        {
            return;
        }

        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        try
        {
            await _inbox.Writer.WriteAsync(news, either.Token);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            await _tooSlow.CancelAsync();
            throw;
        }
    }

    public async Task WaitAsync(TimeSpan backoff, CancellationToken stop) =>
        await Task.Delay(backoff * (0.5 + (Random.Shared.NextDouble() * 0.5)), time, stop);   // at random, so that clusters do not come back in step

    public static TimeSpan Next(TimeSpan backoff) => TimeSpan.FromTicks(Math.Min(backoff.Ticks * 2, MaxBackoff.Ticks));

    public void Lost(Exception error, string cluster) => LogLost(logger, ClusterCalls.IsLoss(error) ? LogLevel.Debug : LogLevel.Warning, error, cluster);   // a lost silo is told of once, by the pulse

    public void Dispose()
    {
        PresentTurns.Dispose();
        _tooSlow.Dispose();
    }

    [LoggerMessage(EventId = 5103, Message = "Cluster {Cluster}: the stream of a fleet watch broke; it is opened again from where it was.", EventName = "ClusterWatchLost")]
    private static partial void LogLost(ILogger logger, LogLevel level, Exception error, string cluster);
}
