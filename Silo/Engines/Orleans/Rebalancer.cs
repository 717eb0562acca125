using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Evens out what the silos carry, one cluster at a time: after a silo has joined, or when members have grown.</summary>
/// <remarks>Each silo moves only what it holds itself, and only while it is the one that carries most.</remarks>
internal sealed partial class Rebalancer(
    SiloBook book,
    ClusterMover mover,
    ILocalSiloDetails silo,
    IClusterMembershipService membership,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<Rebalancer> logger) : BackgroundService
{
    // Loads are measured every 5 s, and a silo that has just joined, or lost its neighbour, has other things to do first.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan BetweenMoves = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FillWithin = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lifetime.ApplicationStopping);
        try
        {
            bool hasMoved = false;
            while (true)
            {
                await Task.Delay(hasMoved ? BetweenMoves : Period * (0.75 + (Random.Shared.NextDouble() * 0.5)), time, stop.Token);
                hasMoved = await MoveOneAsync(stop.Token);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private async Task<bool> MoveOneAsync(CancellationToken stop)
    {
        SiloPage page = await book.ReadAsync();
        Dictionary<string, SiloAddress> staying = membership.CurrentSnapshot.Members.Values
            .Where(m => m.Status == SiloStatus.Active && !page.Leaving.Contains(m.SiloAddress.ToParsableString()))
            .ToDictionary(m => m.SiloAddress.ToParsableString(), m => m.SiloAddress, StringComparer.Ordinal);
        (string, string, double)[] clusters = [.. page.Silos
            .Where(g => SiloPage.ClusterOf(g.Key) is not null)
            .Select(g => (SiloPage.ClusterOf(g.Key)!, g.Value, page.LoadOf(g.Key)))];
        if (BalancePlan.Next(staying.Keys, clusters) is not { } move || move.From != silo.SiloAddress.ToParsableString())
        {
            return false;
        }

        bool hasMoved = await mover.MoveAsync(move.Cluster, staying[move.To], FillWithin, moveUnfilled: false, stop);
        if (hasMoved)
        {
            LogMoved(logger, move.Cluster, move.To);
        }

        return hasMoved;
    }

    [LoggerMessage(6150, LogLevel.Information, "Cluster {Cluster}: moved to silo {Silo}, which carries least.", EventName = "Rebalanced")]
    private static partial void LogMoved(ILogger logger, string cluster, string silo);
}
