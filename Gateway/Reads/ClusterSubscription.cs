using MultiCluster.Clusters;
using MultiCluster.Reads;
using Orleans.Runtime;

namespace MultiCluster.Gateway.Reads;

/// <summary>One cluster's part in a fleet watch: keeps a stream from its grain open, over losses, until it ends or is stopped.</summary>
/// <remarks>
/// The fields above the line belong to the watch's loop; the pump touches only those below it. The pump delivers into the watch's inbox and
/// waits while that is full, so that a slow reader is felt here and not in the mirror, which the grain's end of the stream reads by itself.
/// </remarks>
internal sealed class ClusterSubscription(string cluster, Guid uid, long? since, long resume)
{
    /// <summary>Name of the cluster.</summary>
    public string Cluster => cluster;

    /// <summary>Registration that it is about.</summary>
    public Guid Uid => uid;

    /// <summary>Revision that is safe to resume from, as far as this cluster has a say; 0 where there is none yet.</summary>
    public long Resume { get; set; } = resume;

    /// <summary>Whether the present state is complete, or was never asked for.</summary>
    public bool IsPresent { get; set; } = since is not null;

    /// <summary>Whether the reader may have objects of it.</summary>
    public bool HasShown { get; set; } = since is not null;

    /// <summary>When its leave began; null while it stays.</summary>
    public long? LeavingSince { get; set; }

    /// <summary>Revision of its leave while it leaves: nobody may resume from there or later before all of it is told.</summary>
    public long ResumeBefore { get; set; } = long.MaxValue;

    /// <summary>Whether the grain did not know its cluster yet, of which the fleet knew: it is asked again.</summary>
    public bool IsTooEarly { get; set; }

    /// <summary>The silo of which its stream was given up because that is lost; another loss is of another.</summary>
    public string? LostSilo { get; set; }

    /// <summary>Whether it has come to its end.</summary>
    public bool IsEnded { get; set; }

    /// <summary>Last coverage that the reader was told.</summary>
    public ClusterCoverage? Told { get; set; }

    /// <summary>The pump; completes when the stream has ended for good.</summary>
    public Task Pump { get; set; } = Task.CompletedTask;

    // ---- shared with the pump ----

    private readonly Lock _gate = new();
    private CancellationTokenSource? _attempt;
    private bool _leave;
    private long _silentSince;
    private long _quietSince;

    /// <summary>Since when the pump waits for the grain; 0 while it does not.</summary>
    public long SilentSince => Volatile.Read(ref _silentSince);

    /// <summary>When the last news was passed on, over all streams; before the first, when the pump began. It means something only while <see cref="SilentSince"/> does.</summary>
    public long QuietSince => Volatile.Read(ref _quietSince);

    /// <summary>Asks the cluster to take leave: everything that matches comes out as deleted.</summary>
    public void Leave()
    {
        lock (_gate)
        {
            _leave = true;
            _attempt?.Cancel();
        }
    }

    /// <summary>Gives up the stream that is open; the pump opens another.</summary>
    public void Interrupt()
    {
        lock (_gate)
        {
            _attempt?.Cancel();
        }
    }

    /// <summary>Runs until the stream has ended for good or is stopped. Throws nothing but cancellation.</summary>
    public async Task RunAsync(SubscriptionContext context, CancellationToken stop)
    {
        long? from = since;
        WatchPosition? position = null;
        bool isPresent = since is not null;
        TimeSpan backoff = SubscriptionContext.FirstBackoff;
        long? lostSince = null;
        Volatile.Write(ref _quietSince, context.Time.GetTimestamp());
        while (true)
        {
            long asked = context.Clock.Now();
            bool holdsTurn = false;
            using CancellationTokenSource attempt = Begin(stop, out bool leave);
            if (leave && from is null)
            {
                from = asked;   // nothing was told yet, so nothing from before can be missing
            }

            try
            {
                if (!isPresent && !leave)
                {
                    await context.PresentTurns.WaitAsync(attempt.Token);
                    holdsTurn = true;
                    asked = context.Clock.Now();
                }

                var request = new ClusterWatchRequest
                {
                    Query = context.Query,
                    Since = from,
                    Revision = asked,
                    ProgressEvery = context.ProgressEvery,
                    Projection = context.Projection,
                    Leave = leave,
                    Position = position,
                };
                var stream = new PatientStream<ClusterWatchBatch>(
                    context.Calls.Grain(cluster).WatchAsync(request, attempt.Token).WithBatchSize(SubscriptionContext.UnderWay).GetAsyncEnumerator(attempt.Token), context.Time);
                await using (stream)
                {
                    while (await NextAsync(stream, context, attempt.Token))
                    {
                        ClusterWatchBatch batch = stream.Current;
                        (backoff, lostSince) = (SubscriptionContext.FirstBackoff, null);
                        await context.DeliverAsync(new SubscriptionNews(this, batch, batch.Through, null), stop);
                        Volatile.Write(ref _quietSince, context.Time.GetTimestamp());
                        if (batch.End != WatchEnd.None)
                        {
                            return;
                        }

                        position = batch.Position ?? position;
                        from = position?.Stamp ?? from;
                        isPresent |= batch.InitialEnd;
                        if (isPresent && holdsTurn)
                        {
                            context.PresentTurns.Release();
                            holdsTurn = false;
                        }
                    }
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested || context.TooSlow.IsCancellationRequested)
            {
                throw;
            }
            catch (OperationCanceledException) when (attempt.IsCancellationRequested)
            {
                // Interrupted to take leave, or because the grain was silent for too long.
            }
            catch (Exception e) when (ClusterCalls.IsLoss(e) && IsYoung(ref lostSince, context))
            {
                // The grain has gone elsewhere, as a rule to where its mirror is filled already, and the way to it may be refused for a moment; worth a word is only what lasts.
                await context.WaitAsync(e is EnumerationAbortedException ? SubscriptionContext.FirstBackoff / 10 : SubscriptionContext.FirstBackoff, stop);
            }
            catch (Exception e)
            {
                context.Lost(e, cluster);
                await context.DeliverAsync(new SubscriptionNews(this, null, 0, ClusterCalls.CoverageOf(e, cluster)), stop);
                await context.WaitAsync(backoff, stop);
                backoff = SubscriptionContext.Next(backoff);
            }
            finally
            {
                Volatile.Write(ref _silentSince, 0);
                if (holdsTurn)
                {
                    context.PresentTurns.Release();
                }

                End();
            }
        }
    }

    /// <summary>Whether the loss of a grain may still be nothing but its move.</summary>
    private bool IsYoung(ref long? since, SubscriptionContext context)
    {
        since ??= context.Time.GetTimestamp();
        return context.Time.GetElapsedTime(since.Value) < context.Calls.Patience && !context.Calls.IsLost(cluster);
    }

    private async ValueTask<bool> NextAsync(PatientStream<ClusterWatchBatch> stream, SubscriptionContext context, CancellationToken attempt)
    {
        Volatile.Write(ref _silentSince, context.Time.GetTimestamp());
        bool any = await stream.MoveNextAsync(attempt);
        Volatile.Write(ref _silentSince, 0);
        return any ? true : throw new InvalidOperationException("The stream ended without saying why.");
    }

    private CancellationTokenSource Begin(CancellationToken stop, out bool leave)
    {
        var attempt = CancellationTokenSource.CreateLinkedTokenSource(stop);
        lock (_gate)
        {
            _attempt = attempt;
            leave = _leave;
        }

        return attempt;
    }

    private void End()
    {
        lock (_gate)
        {
            _attempt = null;
        }
    }
}

/// <summary>What a pump tells the watch.</summary>
/// <param name="From">Whose news it is.</param>
/// <param name="Batch">Changes; null where there is only trouble.</param>
/// <param name="Through">Revision that the cluster has been followed through; 0 where it cannot be said.</param>
/// <param name="Trouble">What is wrong; null where nothing is.</param>
internal readonly record struct SubscriptionNews(ClusterSubscription From, ClusterWatchBatch? Batch, long Through, ClusterCoverage? Trouble);
