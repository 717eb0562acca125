using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Configuration;
using Orleans.Runtime;

namespace MultiCluster.Grains.Cluster;

/// <summary>Has a mirror filled in this process, and lets it go when nobody comes for it.</summary>
internal sealed partial class ClusterStandbyGrain(ClusterServices services, IGrainFactory grains, ILogger<ClusterStandbyGrain> logger) : Grain, IClusterStandbyGrain, IDisposable
{
    // Whoever moves a cluster asks several times a second; who has not asked for this long has given up or is gone.
    private static readonly TimeSpan WaitsFor = TimeSpan.FromMinutes(1);

    private readonly StandbyCopying _copying = new(services.Time);
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

        if (_standby is { } other && ((order.Copies && !other.IsCopy) || !other.TryUpdate(order.Entry, order.Connection, services.Vault)))
        {
            await LetGoAsync();
        }

        GiveUpLater();
        if (_standby is null)
        {
            if (!services.Vault.TryOpen(order.Connection, out ClusterConnection? connection, out _))
            {
                return new MoveReadiness(true, 0);   // whoever cannot read the credentials there cannot read them here: nothing to fill
            }

            if (order.Copies)
            {
                if (await CopiedAsync(order, connection) is not { } copy)
                {
                    return new MoveReadiness(false, order.Kinds.Length);
                }

                _standby = copy;
            }
            else
            {
                _standby = ClusterStandby.Start(order, connection, Fleet, services, RuntimeIdentity);
            }

            if (services.Clusters.Offer(_standby) is { } before)
            {
                services.Clusters.LetEnd(before.Session);
            }

            LogStarted(logger, order.Entry.Name, order.Kinds.Length, order.Copies);
        }

        return _standby.ReadinessFor(order.Kinds);
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => LetGoAsync().WaitAsync(cancellationToken);

    private IFleetGrain Fleet => grains.GetGrain<IFleetGrain>(IFleetGrain.Key);

    /// <summary>The copy, once it is whole; null until then.</summary>
    private async Task<ClusterStandby?> CopiedAsync(StandbyOrder order, ClusterConnection connection)
    {
        ClusterStandby? copy = await _copying.TakeAsync(stop => CopyAsync(order, connection, stop));
        if (copy is not null && !copy.TryUpdate(order.Entry, order.Connection, services.Vault))
        {
            await copy.Session.StopAsync(letGo: false);   // begun for what the cluster was before
            return null;
        }

        return copy;
    }

    private async Task<ClusterStandby?> CopyAsync(StandbyOrder order, ClusterConnection connection, CancellationToken stop)
    {
        string cluster = order.Entry.Name;
        try
        {
            IAsyncEnumerable<MirrorPiece> pieces = grains.GetGrain<IClusterGrain>(cluster).CopyAsync(stop).WithBatchSize(MirrorCopy.UnderWay);
            return await ClusterStandby.CopyAsync(
                order, connection, Fleet, services, RuntimeIdentity, pieces, (kind, e) => LogRefused(logger, e, cluster, kind), stop);
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogCopyFailed(logger, e, cluster);
            return null;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private void GiveUpLater()
    {
        _giveUp?.Dispose();
        _giveUp = this.RegisterGrainTimer(GiveUpAsync, new GrainTimerCreationOptions(WaitsFor, Timeout.InfiniteTimeSpan) { KeepAlive = true });
    }

    public void Dispose() => _copying.Dispose();

    private Task GiveUpAsync(CancellationToken stop)
    {
        this.DeactivateOnIdle();
        return Task.CompletedTask;
    }

    private async Task LetGoAsync()
    {
        await _copying.CancelAsync();
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

    [LoggerMessage(4220, LogLevel.Debug, "Cluster {Cluster}: a standby fills {Kinds} kinds here; copied from the mirror that it stands by for: {Copied}.", EventName = "StandbyStarted")]
    private static partial void LogStarted(ILogger logger, string cluster, int kinds, bool copied);

    [LoggerMessage(4222, LogLevel.Warning, "Cluster {Cluster}: what its mirror holds could not be copied here; trying again while somebody waits for it.", EventName = "CopyFailed")]
    private static partial void LogCopyFailed(ILogger logger, Exception exception, string cluster);

    [LoggerMessage(4223, LogLevel.Warning, "Cluster {Cluster}: {Kind} did not fit into the mirror here and are listed anew.", EventName = "CopyRefused")]
    private static partial void LogRefused(ILogger logger, Exception exception, string cluster, string kind);

    [LoggerMessage(4221, LogLevel.Debug, "Cluster {Cluster}: its grain did not come; the standby is let go.", EventName = "StandbyLetGo")]
    private static partial void LogLetGo(ILogger logger, string cluster);
}
