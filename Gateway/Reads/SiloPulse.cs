using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using Orleans;

namespace MultiCluster.Gateway.Reads;

/// <summary>Asks some clusters of every silo twice a second where they live, so that the fleet does not go on showing what a lost silo has said last.</summary>
/// <remarks>
/// What a silo has reported stays in the fleet until another takes its clusters over, and the fleet may itself be lost with it. A silo that does
/// not answer is shown as lost (<see cref="FleetView.ShowLost"/>), and its clusters are asked one by one: whoever has to live elsewhere now comes
/// to life by that, whether or not anybody reads it. Where there is one silo, this does nothing.
/// </remarks>
internal sealed partial class SiloPulse : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    // A killed silo is refused at once, unless the call was under way to it; one that hangs says nothing. On a busy machine a healthy one has been seen to take a second.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(1.5);

    // While a cluster moves, and when a silo on the way to it has ended, it is refused for less as a rule. The readers' own patience waits for what is found here.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(600);

    // A call that was under way to a silo when that was killed is answered by nobody; one that is made afterwards is refused at once.
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMilliseconds(400);

    private const int Sample = 3;

    private readonly ClusterCalls _calls;
    private readonly FleetView _view;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<string, byte> _quiet = new(StringComparer.Ordinal);   // silos that said nothing at the last look
    private readonly Lock _gate = new();
    private ImmutableDictionary<string, LostSilo> _lost = [];   // written under _gate

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
        (_calls, _view, _time, _logger) = (new ClusterCalls(clusters, static _ => null, time, NullLogger.Instance) { Patience = Patience, AskAgainAfter = AskAgainAfter }, view, time, logger);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Dictionary<string, Task> looks = new(StringComparer.Ordinal);
        try
        {
            for (int round = 0; ; round++)
            {
                Dictionary<string, string[]> silos = _view.Current.Clusters.Values
                    .Where(c => c is { Enabled: true, Summary.Silo.Length: > 0 })
                    .GroupBy(c => c.Summary!.Silo, c => c.Name, StringComparer.Ordinal)
                    .ToDictionary(g => g.Key, g => g.ToArray(), StringComparer.Ordinal);
                foreach (string gone in looks.Keys.Where(s => !silos.ContainsKey(s) && looks[s].IsCompleted).ToArray())
                {
                    looks.Remove(gone);
                    Set(gone, fault: null);   // all its clusters have been heard of from elsewhere
                }

                // One that hangs does not hold up the look at the others.
                foreach ((string silo, string[] clusters) in silos.Where(s => !looks.TryGetValue(s.Key, out Task? look) || look.IsCompleted))
                {
                    looks[silo] = TryLookAsync(silo, clusters, round, stoppingToken);
                }

                await Task.Delay(Interval, _time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await Task.WhenAll(looks.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TryLookAsync(string silo, string[] clusters, int round, CancellationToken stop)
    {
        try
        {
            await LookAsync(silo, clusters, round, stop);
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogLookFailed(_logger, e, silo);   // what a silo can do to a call is an answer; this is a mistake of ours, and the next look comes
        }
    }

    /// <summary>Looks once at one silo.</summary>
    private async Task LookAsync(string silo, string[] clusters, int round, CancellationToken stop)
    {
        // Others each time, and some: a cluster, and the way to it, may have trouble of its own. A silo from which one answers is there.
        string[] sample = [.. Enumerable.Range(round, Math.Min(Sample, clusters.Length)).Select(i => clusters[i % clusters.Length])];
        List<Sign> signs = [];
        await foreach (Task<Sign[]> answered in Task.WhenEach(sample.Select(cluster => AskAsync([cluster], stop))))
        {
            Sign sign = (await answered)[0];
            if (sign.Silo == silo)
            {
                Set(silo, fault: null);
                return;
            }

            signs.Add(sign);
        }

        // Refused is sure; silence is, if it lasts, since a busy machine makes it too.
        if (Refusal(signs) is { } refused)
        {
            Set(silo, refused);
        }
        else if (Lack(signs) is { } silence && !_quiet.TryAdd(silo, 0))
        {
            Set(silo, OfSilo(silence));
        }

        // They have moved and have yet to say so, or must be brought to life elsewhere.
        Sign[] all = await AskAsync(clusters, stop);
        if (all.Any(sign => sign.Silo == silo))
        {
            Set(silo, fault: null);
        }
        else if (Refusal(all) is { } late)
        {
            Set(silo, late);
        }
        else if (Lack(all) is { } lasting && !_quiet.TryAdd(silo, 0))
        {
            Set(silo, OfSilo(lasting));   // three seconds without a word from any of them
        }
    }

    /// <summary>Why nobody has answered; null where somebody has: a silo whose clusters live elsewhere has left in order, and the way to the last of them may be refused meanwhile.</summary>
    private static ClusterFault? Lack(IReadOnlyCollection<Sign> signs) => signs.All(s => s.Silo is null) ? signs.FirstOrDefault().Fault : null;

    // What one cluster is said to lack tells its reader to wait longer, which does not help where a silo hangs.
    private static ClusterFault OfSilo(ClusterFault silence) => silence.Kind == ClusterCalls.TimeoutFault ? ClusterCalls.SilentSilo : silence;

    private static ClusterFault? Refusal(IReadOnlyCollection<Sign> signs) => Lack(signs) is null ? null : signs.FirstOrDefault(s => s.Fault?.Kind == ClusterCalls.MovingFault).Fault;

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
        if (fault is null)
        {
            _quiet.TryRemove(silo, out _);
        }

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

    [LoggerMessage(5107, LogLevel.Error, "Silo {Silo}: looking whether it answers failed for a reason that is not its own; it is looked at again in half a second. Please report it.", EventName = "SiloLookFailed")]
    private static partial void LogLookFailed(ILogger logger, Exception error, string silo);

    [LoggerMessage(5106, LogLevel.Information, "Silo {Silo}: it answers again, or its clusters live elsewhere.", EventName = "SiloLossOver")]
    private static partial void LogOver(ILogger logger, string silo);

    /// <summary>What a cluster said when it was asked where it lives: a silo, or why there was no answer.</summary>
    private readonly record struct Sign(string? Silo, ClusterFault? Fault);
}
