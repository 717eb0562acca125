using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Reads;
using Orleans.Runtime;
using Orleans.Runtime.Messaging;

namespace MultiCluster.Gateway.Reads;

/// <summary>Asks clusters, and turns everything that can go wrong on the way into coverage.</summary>
/// <remarks>
/// A call that finds no silo is tried again: while a cluster moves, and while a silo that is not its own ends, the way to it is refused for a
/// moment. Of a cluster whose silo is known to be lost, or that was refused for as long before, that is no use; of the former the answer is not
/// waited for either. Thread-safe.
/// </remarks>
/// <param name="clusters">Finds the grain of a cluster.</param>
/// <param name="lossOf">What is wrong with the silo of a cluster, where that is known to be lost (<see cref="FleetSnapshot.LossOf"/>).</param>
/// <param name="time">For pauses.</param>
/// <param name="logger">Log.</param>
internal sealed partial class ClusterCalls(Func<string, IClusterGrain> clusters, Func<string, ClusterFault?> lossOf, TimeProvider time, ILogger logger)
{
    /// <summary>Most clusters that one request asks at the same time. Far above the cores, because an answer may come from another machine or from a slow member.</summary>
    public const int MaxParallel = 128;

    /// <summary>Kind of the fault of a cluster whose silo was lost, until its grain lives on another.</summary>
    public const string MovingFault = "Moving";

    /// <summary>Kind of the fault of a cluster from which no answer came in time.</summary>
    public const string TimeoutFault = "Timeout";

    /// <summary>What is wrong with the clusters of a silo that says nothing.</summary>
    public static readonly ClusterFault SilentSilo = new(
        TimeoutFault, "The part of this service that holds the cluster has said nothing for some seconds. If that lasts, another takes the cluster over. Ask again in a few seconds.");

    // A silo that ended in order leaves calls to its last places refused until the others have heard of its end; they look every second or so.
    private static readonly TimeSpan DefaultPatience = TimeSpan.FromSeconds(2);

    // Whoever lost its silo may live elsewhere already and have yet to say so; then it answers at once, but for the start of its grain.
    private static readonly TimeSpan PatienceWithLost = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private const int LongestPause = 4;   // times the first

    // A question that was under way to a silo when that was lost is answered by nobody, and nobody says so. A mirror answers within
    // milliseconds; one that has been silent for this long is asked again beside the first question, and the first answer counts.
    private static readonly TimeSpan DefaultAskAgainAfter = TimeSpan.FromSeconds(1.2);
    private const int MostAtOnce = 4;

    // How often it is looked meanwhile whether the silo is known to be lost.
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(200);

    // Clusters that were refused to the end of our patience and have not answered since: what was no move the last time is hardly one now.
    private readonly ConcurrentDictionary<string, byte> _refused = new(StringComparer.Ordinal);

    /// <summary>For how long a call is tried again that finds no silo, since it was first found so; 2 s by default.</summary>
    public TimeSpan Patience { get; init; } = DefaultPatience;

    /// <summary>After which silence a question is asked again beside the first; 1.2 s by default.</summary>
    public TimeSpan AskAgainAfter { get; init; } = DefaultAskAgainAfter;

    /// <summary>Whether the silo of a cluster is known to be lost.</summary>
    public bool IsLost(string cluster) => lossOf(cluster) is not null;

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
        long begun = time.GetTimestamp();
        long? failedAt = null;
        bool isMoving = false;
        for (int tried = 1; ; tried++)
        {
            try
            {
                // A grain that does not listen to its token must not hold up the answer either.
                T answer = await (fromMirror ? FirstAnswerAsync(cluster, call, IsEnough, deadline) : call(Grain(cluster), deadline)).WaitAsync(deadline);
                if (!_refused.IsEmpty)
                {
                    _refused.TryRemove(cluster, out _);
                }

                return answer;
            }
            catch (OperationCanceledException) when (caller.IsCancellationRequested)
            {
                throw;
            }
            catch (Exception e) when (deadline.IsCancellationRequested)
            {
                return failed(Without(cluster, isMoving || IsLoss(e)));
            }
            catch (Exception e) when (IsLoss(e) || e is TimeoutException)
            {
                isMoving |= IsLoss(e);
                failedAt ??= time.GetTimestamp();
                if (IsEnough())
                {
                    if (isMoving)
                    {
                        _refused.TryAdd(cluster, 0);
                    }

                    LogCallFailed(logger, isMoving || IsLost(cluster) ? LogLevel.Debug : LogLevel.Warning, e, cluster);   // a lost silo is told of once, by the pulse
                    return failed(Without(cluster, isMoving));
                }
            }
            catch (Exception e)
            {
                LogCallFailed(logger, LogLevel.Warning, e, cluster);
                return failed(Unavailable(cluster));
            }

            try
            {
                await Task.Delay(FirstPause * (Math.Min(tried, LongestPause) * (0.5 + Random.Shared.NextDouble())), time, deadline);
            }
            catch (OperationCanceledException) when (!caller.IsCancellationRequested)
            {
                return failed(Without(cluster, isMoving));
            }
        }

        bool IsEnough() =>
            (failedAt is { } at && time.GetElapsedTime(at) > (_refused.ContainsKey(cluster) ? PatienceWithLost : Patience)) || (time.GetElapsedTime(begun) > PatienceWithLost && IsLost(cluster));
    }

    /// <summary>Asks, and asks again while there is no answer and it is not enough.</summary>
    /// <exception cref="TimeoutException">It was enough before there was an answer.</exception>
    private async Task<T> FirstAnswerAsync<T>(string cluster, Func<IClusterGrain, CancellationToken, Task<T>> call, Func<bool> isEnough, CancellationToken deadline)
    {
        Task<T> first = call(Grain(cluster), deadline);
        if (first.IsCompleted)
        {
            return await first;
        }

        using var answered = CancellationTokenSource.CreateLinkedTokenSource(deadline);
        long begun = time.GetTimestamp();
        List<Task<T>> asked = [first];
        try
        {
            while (true)
            {
                Task pause = Task.Delay(LookEvery, time, answered.Token);
                Task done = await Task.WhenAny([.. asked, pause]);
                if (done != pause)
                {
                    return await (Task<T>)done;
                }

                deadline.ThrowIfCancellationRequested();
                if (isEnough())
                {
                    throw new TimeoutException($"Nothing is heard of cluster {cluster}, and its silo is lost or was not found.");
                }

                if (asked.Count < MostAtOnce && time.GetElapsedTime(begun) > AskAgainAfter * asked.Count)
                {
                    asked.Add(call(Grain(cluster), answered.Token));
                }
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

    // Refused is lost for sure, whatever else is known; a silo that says nothing may be back in a moment.
    private ClusterCoverage Without(string cluster, bool isMoving) =>
        isMoving ? Moving(cluster)
        : lossOf(cluster) is not { } loss ? TimedOut(cluster)
        : loss.Kind == MovingFault ? Moving(cluster)
        : new ClusterCoverage { Cluster = cluster, State = CoverageState.Timeout, Fault = loss };

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
        Fault = new ClusterFault(TimeoutFault, "No answer within the deadline. Ask again, with a longer deadline, or leave the cluster out."),
    };

    /// <summary>Coverage of a cluster of which a watch hears nothing.</summary>
    public static ClusterCoverage Silent(string cluster) => new()
    {
        Cluster = cluster,
        State = CoverageState.Timeout,
        Fault = new ClusterFault(TimeoutFault, "Nothing is heard of the cluster at the moment; the watch asks for it again and goes on from where it was."),
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
