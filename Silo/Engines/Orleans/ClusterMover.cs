using System.Data.Common;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using Orleans;
using Orleans.Core.Internal;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace MultiCluster.Silo.Engines;

/// <summary>Moves a cluster of this silo to another without a gap: its mirror is filled there before its grain follows.</summary>
/// <remarks>Thread-safe; one move of a cluster at a time.</remarks>
/// <param name="clusters">Clusters of this silo.</param>
/// <param name="grains">Finds grains.</param>
/// <param name="reachDatabase">Ends well where the database answers.</param>
/// <param name="time">For pauses and deadlines.</param>
/// <param name="logger">Log.</param>
internal sealed partial class ClusterMover(LocalClusters clusters, IGrainFactory grains, Func<Task> reachDatabase, TimeProvider time, ILogger<ClusterMover> logger)
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(100);

    // A call that is not answered within this is lost; the move is given up or goes on without.
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan DatabaseTimeout = TimeSpan.FromSeconds(1);

    // From one memory to another: a million objects take less.
    private static readonly TimeSpan CopyWithin = TimeSpan.FromSeconds(30);

    /// <summary>Moves it.</summary>
    /// <param name="cluster">Its name.</param>
    /// <param name="target">Where to.</param>
    /// <param name="fillWithin">How long the mirror there may take to be as good as the one here.</param>
    /// <param name="moveUnfilled">Whether the cluster goes even if it does not get that good.</param>
    /// <param name="stop">Ends the attempt.</param>
    /// <returns>Whether it has left this silo.</returns>
    public async Task<bool> MoveAsync(string cluster, SiloAddress target, TimeSpan fillWithin, bool moveUnfilled, CancellationToken stop)
    {
        // It travels with the calls below, and says where the standby and then the grain itself are placed.
        RequestContext.Set(IPlacementDirector.PlacementHintKey, target);
        try
        {
            IClusterGrain grain = grains.GetGrain<IClusterGrain>(cluster);
            string standby = $"{cluster}@{target.ToParsableString()}";
            if (!await FillAsync(grain, standby, fillWithin, copies: false, stop))
            {
                if (!moveUnfilled)
                {
                    return false;
                }

                // The member does not give it out in time: what is known here is better than nothing.
                await FillAsync(grain, standby, CopyWithin, copies: true, stop);
            }

            // A grain that has left here can come to life nowhere without the database. While that is away it stays, and answers.
            await reachDatabase().WaitAsync(DatabaseTimeout, time, stop);
            await grain.AsReference<IGrainManagementExtension>().MigrateOnIdle(stop).AsTask().WaitAsync(CallTimeout, time, stop);
            return await HasLeftAsync(cluster, stop);
        }
        catch (Exception e) when (!stop.IsCancellationRequested && e is TimeoutException or OrleansException or DbException)
        {
            LogMoveFailed(logger, cluster, target, e.Message);
            return false;
        }
        finally
        {
            RequestContext.Remove(IPlacementDirector.PlacementHintKey);
        }
    }

    private async Task<bool> FillAsync(IClusterGrain grain, string standby, TimeSpan within, bool copies, CancellationToken stop)
    {
        long start = time.GetTimestamp();
        while (true)
        {
            MoveReadiness readiness = await grain.PrepareMoveAsync(standby, copies).WaitAsync(CallTimeout, time, stop);
            if (readiness.IsReady)
            {
                return true;
            }

            if (time.GetElapsedTime(start) > within)
            {
                LogNotFilled(logger, grain.GetPrimaryKeyString(), readiness.Waiting, within);
                return false;
            }

            await Task.Delay(AskEvery, time, stop);
        }
    }

    private async Task<bool> HasLeftAsync(string cluster, CancellationToken stop)
    {
        long start = time.GetTimestamp();
        while (clusters.Names.Contains(cluster))
        {
            if (time.GetElapsedTime(start) > CallTimeout)
            {
                return false;
            }

            await Task.Delay(AskEvery / 5, time, stop);
        }

        return true;
    }

    [LoggerMessage(6130, LogLevel.Warning, "Cluster {Cluster}: could not be moved to {Silo} and stays here for now: {Reason}", EventName = "MoveFailed")]
    private static partial void LogMoveFailed(ILogger logger, string cluster, SiloAddress silo, string reason);

    [LoggerMessage(6131, LogLevel.Warning, "Cluster {Cluster}: {Waiting} kinds were not filled at its new place within {Within}.", EventName = "MoveNotFilled")]
    private static partial void LogNotFilled(ILogger logger, string cluster, int waiting, TimeSpan within);
}
