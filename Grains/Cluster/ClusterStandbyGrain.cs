using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Configuration;
using Orleans.Runtime;

namespace MultiCluster.Grains.Cluster;

/// <summary>Has a mirror filled in this process, and lets it go when nobody comes for it.</summary>
internal sealed partial class ClusterStandbyGrain(ClusterServices services, IGrainFactory grains, ILogger<ClusterStandbyGrain> logger) : Grain, IClusterStandbyGrain
{
    // Whoever moves a cluster asks several times a second; who has not asked for this long has given up or is gone.
    private static readonly TimeSpan WaitsFor = TimeSpan.FromMinutes(1);

    private ClusterStandby? _standby;
    private IGrainTimer? _giveUp;

    public async Task<MoveReadiness> PrepareAsync(StandbyOrder order)
    {
        ArgumentNullException.ThrowIfNull(order);
        services.Clock.Observe(order.Revision);
        if (services.Clusters.IsLeaving)
        {
            return new MoveReadiness(false, order.Kinds.Length);
        }

        if (_standby is { } taken && !services.Clusters.Waits(taken))
        {
            _standby = null;   // its cluster came, and may have gone again: what that has now says nothing of this place
        }

        if (_standby is { } other && (other.Entry.Uid != order.Entry.Uid || other.Entry.Generation != order.Entry.Generation))
        {
            await LetGoAsync();
        }

        if (_standby is null)
        {
            if (!services.Vault.TryOpen(order.Connection, out ClusterConnection? connection, out _))
            {
                return new MoveReadiness(true, 0);   // whoever cannot read the credentials there cannot read them here: nothing to fill
            }

            _standby = ClusterStandby.Start(order.Entry, connection, grains.GetGrain<IFleetGrain>(IFleetGrain.Key), services, RuntimeIdentity);
            if (services.Clusters.Offer(_standby) is { } before)
            {
                services.Clusters.LetEnd(before.Session);
            }

            LogStarted(logger, order.Entry.Name, order.Kinds.Length);
        }

        _giveUp?.Dispose();
        _giveUp = this.RegisterGrainTimer(GiveUpAsync, new GrainTimerCreationOptions(WaitsFor, Timeout.InfiniteTimeSpan) { KeepAlive = true });
        return _standby.ReadinessFor(order.Kinds);
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => LetGoAsync().WaitAsync(cancellationToken);

    private Task GiveUpAsync(CancellationToken stop)
    {
        this.DeactivateOnIdle();
        return Task.CompletedTask;
    }

    private async Task LetGoAsync()
    {
        if (_standby is not { } standby)
        {
            return;
        }

        _standby = null;
        if (services.Clusters.Withdraw(standby))
        {
            LogLetGo(logger, standby.Entry.Name);
            await standby.Session.StopAsync(letGo: false);
        }
    }

    [LoggerMessage(4220, LogLevel.Debug, "Cluster {Cluster}: a standby fills {Kinds} kinds here.", EventName = "StandbyStarted")]
    private static partial void LogStarted(ILogger logger, string cluster, int kinds);

    [LoggerMessage(4221, LogLevel.Debug, "Cluster {Cluster}: its grain did not come; the standby is let go.", EventName = "StandbyLetGo")]
    private static partial void LogLetGo(ILogger logger, string cluster);
}
