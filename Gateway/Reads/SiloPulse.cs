using System.Collections.Immutable;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using Orleans;

namespace MultiCluster.Gateway.Reads;

/// <summary>Asks one cluster of every silo twice a second where it lives, so that the fleet does not go on showing what a lost silo has said last.</summary>
/// <remarks>
/// What a silo has reported stays in the fleet until another takes its clusters over, and the fleet may itself be lost with it. A silo that does
/// not answer is shown as lost (<see cref="FleetView.ShowLost"/>), and its clusters are asked one by one: whoever has to live elsewhere now comes
/// to life by that, whether or not anybody reads it. Where there is one silo, this does nothing.
/// </remarks>
internal sealed partial class SiloPulse : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    // A killed silo is refused at once; one that hangs says nothing. On a busy machine a healthy one has been seen to take a second.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    private readonly ClusterCalls _calls;
    private readonly FleetView _view;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private ImmutableDictionary<string, LostSilo> _lost = [];   // written under _gate
    private int _round;

    public SiloPulse(IGrainFactory grains, FleetView view, TimeProvider time, ILogger<SiloPulse> logger)
        : this(name => grains.GetGrain<IClusterGrain>(name), view, time, logger)
    {
    }

    /// <param name="clusters">Finds the grain of a cluster.</param>
    /// <param name="view">Tells which silos there are, and is told of those that are lost.</param>
    /// <param name="time">For pauses and deadlines.</param>
    /// <param name="logger">Log.</param>
    internal SiloPulse(Func<string, IClusterGrain> clusters, FleetView view, TimeProvider time, ILogger logger) =>
        // A call that fails is what is looked for, and is told of once for the silo instead of once for each cluster.
        (_calls, _view, _time, _logger) = (new ClusterCalls(clusters, time, NullLogger.Instance), view, time, logger);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                await LookAsync(stoppingToken);
                await Task.Delay(Interval, _time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }

    /// <summary>Looks once at every silo that a cluster has reported from.</summary>
    private async Task LookAsync(CancellationToken stop)
    {
        _round++;
        IGrouping<string, string>[] silos =
        [
            .. _view.Current.Clusters.Values
                .Where(c => c is { Enabled: true, Summary.Silo.Length: > 0 })
                .GroupBy(c => c.Summary!.Silo, c => c.Name, StringComparer.Ordinal),
        ];
        await Task.WhenAll(silos.Select(silo => LookAsync(silo.Key, [.. silo], stop)));
        foreach (string left in _lost.Keys.Except(silos.Select(s => s.Key), StringComparer.Ordinal))
        {
            Set(left, fault: null);   // all its clusters have been heard of from elsewhere
        }
    }

    private async Task LookAsync(string silo, string[] clusters, CancellationToken stop)
    {
        // Another one each time: a cluster may have trouble of its own.
        Sign first = (await AskAsync([clusters[_round % clusters.Length]], stop))[0];
        if (first.Silo == silo)
        {
            Set(silo, fault: null);
            return;
        }

        if (first.Fault is { Kind: ClusterCalls.MovingFault } refused)
        {
            Set(silo, refused);   // it is gone: said before the others are asked
        }

        // They have moved and have yet to say so, or must be brought to life elsewhere. A silo from which one answers is there.
        Sign[] all = await AskAsync(clusters, stop);
        if (all.Any(sign => sign.Silo == silo))
        {
            Set(silo, fault: null);
        }
        else if (all.FirstOrDefault(sign => sign.Fault is not null).Fault is { } fault)
        {
            Set(silo, fault);
        }
    }

    private async Task<Sign[]> AskAsync(string[] clusters, CancellationToken stop)
    {
        using var deadline = new CancellationTokenSource(Deadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        return await _calls.AskAllAsync(
            clusters, async (grain, _) => new Sign(await grain.LocateAsync(), null), coverage => new Sign(null, coverage.Fault), either.Token, stop);
    }

    /// <summary>Says that a silo is lost, or that it is not.</summary>
    private void Set(string silo, ClusterFault? fault)
    {
        lock (_gate)
        {
            if (fault is not null == _lost.ContainsKey(silo))
            {
                return;
            }

            _lost = fault is null ? _lost.Remove(silo) : _lost.Add(silo, new LostSilo(fault, _time.GetUtcNow()));
            _view.ShowLost(_lost);
        }

        if (fault is null)
        {
            LogOver(_logger, silo);
        }
        else
        {
            LogLost(_logger, silo, _view.Current.Clusters.Values.Count(c => c.Summary?.Silo == silo), fault.Kind);
        }
    }

    [LoggerMessage(5105, LogLevel.Warning, "Silo {Silo}: it does not answer ({Fault}); its {Count} clusters are shown as pending until it does, or until others have taken them over.", EventName = "SiloLost")]
    private static partial void LogLost(ILogger logger, string silo, int count, string fault);

    [LoggerMessage(5106, LogLevel.Information, "Silo {Silo}: it answers again, or its clusters live elsewhere.", EventName = "SiloLossOver")]
    private static partial void LogOver(ILogger logger, string silo);

    /// <summary>What a cluster said when it was asked where it lives: a silo, or why there was no answer.</summary>
    private readonly record struct Sign(string? Silo, ClusterFault? Fault);
}
