using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Grains.Cluster;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Hosting;
using Npgsql;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Moves the clusters of a silo that is asked to stop to the others, before anything else stops.</summary>
internal sealed partial class HandOver(
    SiloLeases leases,
    LeaseKeeper lease,
    SiloBook book,
    ClusterMover mover,
    LocalClusters clusters,
    ILocalSiloDetails silo,
    IClusterMembershipService membership,
    SiloNetworkSettings settings,
    TimeProvider time,
    ILogger<HandOver> logger) : IHostedLifecycleService
{
    // Mirrors that are filled at the same time; their lists wait for each other anyway.
    private const int AtOnce = 8;

    // A mirror that takes longer is handed over as it is: the cluster shows what it lacks.
    private static readonly TimeSpan MostForOne = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AnnounceTimeout = TimeSpan.FromSeconds(2);

    // Without the database no cluster can go anywhere. Until it is back, or time is up, this silo answers for its clusters.
    private static readonly TimeSpan RetryEvery = TimeSpan.FromSeconds(1);

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (!lease.IsLost && settings.HandOverTimeout > TimeSpan.Zero)
            {
                await HandOverAsync(cancellationToken);
            }
        }
        finally
        {
            lease.BeginEnd();
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task HandOverAsync(CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(settings.HandOverTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            clusters.BeginLeave();
            long start = time.GetTimestamp();
            (int moved, int left) = await MoveWhenPossibleAsync(either.Token);
            LogHandedOver(logger, moved, left, time.GetElapsedTime(start));
            await clusters.EndedAsync().WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            LogNotInTime(logger, clusters.Names.Length, settings.HandOverTimeout);
        }
    }

    private async Task<(int Moved, int Left)> MoveWhenPossibleAsync(CancellationToken stop)
    {
        int movedBefore = 0;
        bool isTold = false;
        while (true)
        {
            try
            {
                await leases.AnnounceLeaveAsync(silo.SiloAddress.ToParsableString(), stop).WaitAsync(AnnounceTimeout, time, stop);
                (int moved, int left, bool isAlone) = await MoveAllAsync(stop);
                movedBefore += moved;

                // One that was on its way here when this silo began to leave may have come meanwhile.
                if ((left == 0 && clusters.Names.IsEmpty) || isAlone || lease.IsLost)
                {
                    return (movedBefore, left);
                }
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or OrleansException)
            {
                if (clusters.Names.IsEmpty || !Others().Any())
                {
                    return (movedBefore, clusters.Names.Length);   // nothing to hand over, or nobody who could take it
                }

                if (!isTold)
                {
                    LogWaitsForDatabase(logger, e.Message, settings.HandOverTimeout);
                    isTold = true;
                }
            }

            await Task.Delay(RetryEvery * (0.5 + Random.Shared.NextDouble()), time, stop);
        }
    }

    private async Task<(int Moved, int Left, bool IsAlone)> MoveAllAsync(CancellationToken stop)
    {
        SiloPage page = await book.ReadAsync();
        SiloAddress[] others = [.. Others().Where(other => !page.Leaving.Contains(other.ToParsableString()))];
        if (others.Length == 0)
        {
            return (0, clusters.Names.Length, true);
        }

        // The heaviest first, each to whoever carries least by then.
        Dictionary<string, double> carried = page.Carried();
        List<(string Cluster, SiloAddress Target)> plan = [];
        foreach (string cluster in clusters.Names.OrderByDescending(c => page.LoadOf($"cluster/{c}")).ThenBy(c => c, StringComparer.Ordinal))
        {
            SiloAddress target = ClusterLoad.Lightest(others, s => carried.GetValueOrDefault(s.ToParsableString()));
            carried[target.ToParsableString()] = carried.GetValueOrDefault(target.ToParsableString()) + page.LoadOf($"cluster/{cluster}");
            plan.Add((cluster, target));
        }

        int moved = 0;
        await Parallel.ForEachAsync(plan, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = stop }, async (one, token) =>
        {
            if (await mover.MoveAsync(one.Cluster, one.Target, MostForOne, moveUnfilled: true, token))
            {
                Interlocked.Increment(ref moved);
            }
        });
        return (moved, plan.Count - moved, false);
    }

    private IEnumerable<SiloAddress> Others() => membership.CurrentSnapshot.Members.Values
        .Where(member => member.Status == SiloStatus.Active && !member.SiloAddress.Equals(silo.SiloAddress))
        .Select(member => member.SiloAddress);

    [LoggerMessage(6140, LogLevel.Information, "{Moved} clusters were handed over in {Time}; {Left} are left to whoever asks for them.", EventName = "HandedOver")]
    private static partial void LogHandedOver(ILogger logger, int moved, int left, TimeSpan time);

    [LoggerMessage(6141, LogLevel.Warning, "{Left} clusters were not handed over within {Timeout} (SiloNetwork:HandOverTimeout); others take them over and list them anew.", EventName = "HandOverLate")]
    private static partial void LogNotInTime(ILogger logger, int left, TimeSpan timeout);

    [LoggerMessage(6142, LogLevel.Warning, "This silo stops, and cannot hand its clusters over without the database ({Reason}); it answers for them until the database is back, for {Timeout} at most (SiloNetwork:HandOverTimeout).", EventName = "HandOverWaits")]
    private static partial void LogWaitsForDatabase(ILogger logger, string reason, TimeSpan timeout);
}
