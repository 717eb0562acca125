using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Reads;
using Orleans.Runtime;
using Orleans.Runtime.Messaging;

namespace MultiCluster.Gateway.Reads;

/// <summary>Asks clusters, and turns everything that can go wrong on the way into coverage.</summary>
internal sealed partial class ClusterCalls(Func<string, IClusterGrain> clusters, TimeProvider time, ILogger logger)
{
    /// <summary>Most clusters that one request asks at the same time. Far above the cores, because an answer may come from another machine or from a slow member.</summary>
    public const int MaxParallel = 128;

    /// <summary>Kind of the fault of a cluster whose silo was lost, until its grain lives on another.</summary>
    public const string MovingFault = "Moving";

    // Whoever lost its silo lives elsewhere a moment after the loss is known; before, every try ends the same way.
    // With five the answers of a fleet whose silo was killed named that after 3.1 s (median of 20); with three after 0.6 s.
    private const int MostTries = 3;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    // A question that was under way to a silo when that was lost is answered by nobody, and nobody says so. A mirror answers within
    // milliseconds; one that has been silent for this long is asked again beside the first question, and the first answer counts.
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(1.2);
    private const int MostAtOnce = 3;

    /// <summary>The grain of a cluster.</summary>
    public IClusterGrain Grain(string cluster) => clusters(cluster);

    /// <summary>One call. It never fails: where the cluster does, <paramref name="failed"/> makes the answer of its coverage.</summary>
    /// <param name="cluster">Name of the cluster.</param>
    /// <param name="call">What to ask.</param>
    /// <param name="failed">Makes the answer that stands for no answer.</param>
    /// <param name="deadline">Ends with the request's deadline.</param>
    /// <param name="caller">The caller's own cancellation, which is thrown.</param>
    /// <param name="fromMirror">Whether the answer needs no member: such a question may be asked twice.</param>
    public async Task<T> AskAsync<T>(
        string cluster,
        Func<IClusterGrain, CancellationToken, Task<T>> call,
        Func<ClusterCoverage, T> failed,
        CancellationToken deadline,
        CancellationToken caller,
        bool fromMirror = true)
    {
        bool isMoving = false;
        for (int tried = 1; ; tried++)
        {
            try
            {
                // A grain that does not listen to its token must not hold up the answer either.
                return await (fromMirror ? FirstAnswerAsync(cluster, call, deadline) : call(Grain(cluster), deadline)).WaitAsync(deadline);
            }
            catch (OperationCanceledException) when (caller.IsCancellationRequested)
            {
                throw;
            }
            catch (Exception e) when (deadline.IsCancellationRequested)
            {
                return failed(isMoving || IsLoss(e) ? Moving(cluster) : TimedOut(cluster));
            }
            catch (Exception e) when ((IsLoss(e) || e is TimeoutException) && tried < MostTries)
            {
                isMoving |= IsLoss(e);
            }
            catch (Exception e)
            {
                LogCallFailed(logger, IsLoss(e) ? LogLevel.Debug : LogLevel.Warning, e, cluster);   // a lost silo is told of once, by the pulse
                return failed(CoverageOf(e, cluster));
            }

            try
            {
                await Task.Delay(FirstPause * (tried * (0.5 + Random.Shared.NextDouble())), time, deadline);
            }
            catch (OperationCanceledException) when (!caller.IsCancellationRequested)
            {
                return failed(isMoving ? Moving(cluster) : TimedOut(cluster));
            }
        }
    }

    /// <summary>Asks, and asks again while there is no answer.</summary>
    private async Task<T> FirstAnswerAsync<T>(string cluster, Func<IClusterGrain, CancellationToken, Task<T>> call, CancellationToken deadline)
    {
        Task<T> first = call(Grain(cluster), deadline);
        if (first.IsCompleted)
        {
            return await first;
        }

        using var answered = CancellationTokenSource.CreateLinkedTokenSource(deadline);
        List<Task<T>> asked = [first];
        try
        {
            while (true)
            {
                Task pause = asked.Count < MostAtOnce ? Task.Delay(AskAgainAfter, time, answered.Token) : Task.Delay(Timeout.InfiniteTimeSpan, time, answered.Token);
                Task done = await Task.WhenAny([.. asked, pause]);
                if (done != pause)
                {
                    return await (Task<T>)done;
                }

                deadline.ThrowIfCancellationRequested();
                asked.Add(call(Grain(cluster), answered.Token));
            }
        }
        finally
        {
            await answered.CancelAsync();
            foreach (Task<T> late in asked)
            {
                // Whoever comes late is not listened to, but its failure must not count as one that nobody has seen.
                _ = late.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }
        }
    }

    /// <summary>Asks many clusters at the same time and waits for all, in their order.</summary>
    public async Task<T[]> AskAllAsync<T>(
        IReadOnlyList<string> names,
        Func<IClusterGrain, CancellationToken, Task<T>> call,
        Func<ClusterCoverage, T> failed,
        CancellationToken deadline,
        CancellationToken caller,
        bool fromMirror = true)
    {
        var answers = new T[names.Count];
        if (names.Count == 1)
        {
            answers[0] = await AskAsync(names[0], call, failed, deadline, caller, fromMirror);
            return answers;
        }

        // A worker takes the next cluster when it is done with one: a slow cluster costs one place, not a whole round.
        int next = -1;
        var workers = new Task[Math.Min(names.Count, MaxParallel)];
        for (int i = 0; i < workers.Length; i++)
        {
            workers[i] = WorkAsync();
        }

        await Task.WhenAll(workers);
        return answers;

        async Task WorkAsync()
        {
            for (int at = Interlocked.Increment(ref next); at < names.Count; at = Interlocked.Increment(ref next))
            {
                answers[at] = await AskAsync(names[at], call, failed, deadline, caller, fromMirror);
            }
        }
    }

    /// <summary>Coverage of a cluster whose grain failed in this way.</summary>
    public static ClusterCoverage CoverageOf(Exception error, string cluster) =>
        IsLoss(error) ? Moving(cluster) : error is TimeoutException ? TimedOut(cluster) : Unavailable(cluster);

    /// <summary>Coverage of a cluster whose silo was lost.</summary>
    public static ClusterCoverage Moving(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Syncing,
        Fault = new ClusterFault(MovingFault, "The part of this service that held the cluster was lost or restarted; another takes it over and reads it anew. Ask again in a few seconds."),
    };

    /// <summary>Whether it says that the silo of a grain, or the one on the way to it, is lost, or that its activation ended under the call.</summary>
    public static bool IsLoss(Exception error) => error is OrleansMessageRejectionException or ConnectionFailedException or EnumerationAbortedException;

    /// <summary>Coverage of a cluster that did not answer in time.</summary>
    public static ClusterCoverage TimedOut(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Timeout,
        Fault = new ClusterFault("Timeout", "No answer within the deadline. Ask again, with a longer deadline, or leave the cluster out."),
    };

    /// <summary>Coverage of a cluster of which a watch hears nothing.</summary>
    public static ClusterCoverage Silent(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Timeout,
        Fault = new ClusterFault("Timeout", "Nothing is heard of the cluster at the moment; the watch asks for it again and goes on from where it was."),
    };

    /// <summary>Coverage of a cluster whose grain could not be reached.</summary>
    public static ClusterCoverage Unavailable(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Failed,
        Fault = new ClusterFault("Unavailable", "This service could not reach its own part for the cluster; that usually passes within seconds. Ask again."),
    };

    [LoggerMessage(EventId = 5102, Message = "Cluster {Cluster}: its grain failed to answer a read; the answer goes on without it.", EventName = "ClusterReadFailed")]
    private static partial void LogCallFailed(ILogger logger, LogLevel level, Exception error, string cluster);
}
