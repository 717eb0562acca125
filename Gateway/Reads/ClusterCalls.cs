using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>Asks clusters, and turns everything that can go wrong on the way into coverage.</summary>
internal sealed partial class ClusterCalls(Func<string, IClusterGrain> clusters, ILogger logger)
{
    /// <summary>Most clusters that one request asks at the same time. Far above the cores, because an answer may come from another machine or from a slow member.</summary>
    public const int MaxParallel = 128;

    /// <summary>The grain of a cluster.</summary>
    public IClusterGrain Grain(string cluster) => clusters(cluster);

    /// <summary>One call. It never fails: where the cluster does, <paramref name="failed"/> makes the answer of its coverage.</summary>
    /// <param name="cluster">Name of the cluster.</param>
    /// <param name="call">What to ask.</param>
    /// <param name="failed">Makes the answer that stands for no answer.</param>
    /// <param name="deadline">Ends with the request's deadline.</param>
    /// <param name="caller">The caller's own cancellation, which is thrown.</param>
    public async Task<T> AskAsync<T>(
        string cluster, Func<IClusterGrain, CancellationToken, Task<T>> call, Func<ClusterCoverage, T> failed, CancellationToken deadline, CancellationToken caller)
    {
        try
        {
            // A grain that does not listen to its token must not hold up the answer either.
            return await call(Grain(cluster), deadline).WaitAsync(deadline);
        }
        catch (OperationCanceledException) when (caller.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception e) when (e is TimeoutException || deadline.IsCancellationRequested)
        {
            return failed(TimedOut(cluster));
        }
        catch (Exception e)
        {
            LogCallFailed(logger, e, cluster);
            return failed(Unavailable(cluster));
        }
    }

    /// <summary>Asks many clusters at the same time and waits for all, in their order.</summary>
    public async Task<T[]> AskAllAsync<T>(
        IReadOnlyList<string> names,
        Func<IClusterGrain, CancellationToken, Task<T>> call,
        Func<ClusterCoverage, T> failed,
        CancellationToken deadline,
        CancellationToken caller)
    {
        var answers = new T[names.Count];
        if (names.Count == 1)
        {
            answers[0] = await AskAsync(names[0], call, failed, deadline, caller);
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
                answers[at] = await AskAsync(names[at], call, failed, deadline, caller);
            }
        }
    }

    /// <summary>Coverage of a cluster that did not answer in time.</summary>
    public static ClusterCoverage TimedOut(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Timeout,
        Fault = new ClusterFault("Timeout", "No answer within the deadline. Ask again, with a longer deadline, or leave the cluster out."),
    };

    /// <summary>Coverage of a cluster whose grain could not be reached.</summary>
    public static ClusterCoverage Unavailable(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Failed,
        Fault = new ClusterFault("Unavailable", "This service could not reach its own part for the cluster; that usually passes within seconds. Ask again."),
    };

    [LoggerMessage(5102, LogLevel.Warning, "Cluster {Cluster}: its grain failed to answer a read; the answer goes on without it.", EventName = "ClusterReadFailed")]
    private static partial void LogCallFailed(ILogger logger, Exception error, string cluster);
}
