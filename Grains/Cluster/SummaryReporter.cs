using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;

namespace MultiCluster.Grains.Cluster;

/// <summary>Tells the fleet how one cluster stands: when something has changed, at most once an interval, and as a heartbeat.</summary>
/// <remarks>One loop calls <see cref="RunAsync"/>; <see cref="ReportNow"/> may be called from any thread.</remarks>
internal sealed partial class SummaryReporter
{
    // A fleet that does not answer within this is asked again with the next report, which says the same or better.
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    private readonly ClusterSession _session;
    private readonly IFleetGrain _fleet;
    private readonly ClusterServices _services;
    private readonly ILogger _logger;
    private readonly WakeSignal _wake;
    private ClusterSummary? _reported;
    private bool _isAsked;
    private long _reportedAt;
    private long _events;
    private long _eventsAt;
    private double _rate;
    private (long Objects, long Bytes) _measured;

    public SummaryReporter(ClusterSession session, IFleetGrain fleet, ClusterServices services, ILogger logger)
    {
        _session = session;
        _fleet = fleet;
        _services = services;
        _logger = logger;
        _wake = new WakeSignal(services.Time);
        _eventsAt = _reportedAt = services.Time.GetTimestamp();
    }

    /// <summary>What the fleet was last told; null before the first time.</summary>
    public ClusterSummary? Reported => Volatile.Read(ref _reported);

    /// <summary>Something changed that should not wait for the next round.</summary>
    public void ReportNow() => _wake.Set();

    /// <summary>The fleet wants to hear of it, whether or not anything has changed.</summary>
    public void ReportAgain()
    {
        Volatile.Write(ref _isAsked, true);
        _wake.Set();
    }

    /// <summary>Reports until stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            await ReportAsync(stop);

            // The pause comes first and a wake-up after it: what changes at once is told at once, what changes all the time once an interval.
            await Task.Delay(_services.Fleet.ReportInterval, _services.Time, stop);
            if (!IsDue(Measure()))
            {
                await _wake.WaitAsync(_services.Fleet.ReportInterval, stop);
            }
        }
    }

    /// <summary>Takes what was measured out of the metrics; the mirror is no longer counted.</summary>
    public void Forget()
    {
        _services.Metrics.Grew(_session.Entry.Name, -_measured.Objects, -_measured.Bytes);
        _measured = default;
    }

    private async Task ReportAsync(CancellationToken stop)
    {
        ClusterSummary summary = Measure();
        if (!IsDue(summary))
        {
            return;
        }

        try
        {
            // A stamp of the fleet's clock lies above all that an earlier activation has sent, wherever that was.
            Volatile.Write(ref _isAsked, false);
            summary = summary with { Sequence = _services.Clock.Tick() };
            if (!await _fleet.ReportAsync(summary).WaitAsync(CallTimeout, _services.Time, stop))
            {
                LogUnknownToFleet(_logger, summary.Name, summary.Uid);
                await _fleet.AdmitAsync(_session.Entry with { Summary = summary }).WaitAsync(CallTimeout, _services.Time, stop);
            }

            Volatile.Write(ref _reported, summary);
            _reportedAt = _services.Time.GetTimestamp();
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogReportFailed(_logger, e, summary.Name);
        }
    }

    private bool IsDue(ClusterSummary summary)
        => _reported is null || Volatile.Read(ref _isAsked) || !IsSame(_reported, summary) || _services.Time.GetElapsedTime(_reportedAt) >= _services.Fleet.Heartbeat;

    private ClusterSummary Measure()
    {
        DateTimeOffset now = _services.Time.GetUtcNow();
        ClusterStanding standing = _session.Standing;
        MirrorSummary mirror = _session.Mirror.ReadSummary();
        MeasureRate();
        _services.Metrics.Grew(_session.Entry.Name, mirror.Objects - _measured.Objects, mirror.RetainedBytes - _measured.Bytes);
        _measured = (mirror.Objects, mirror.RetainedBytes);

        int syncing = 0;
        int failing = 0;
        int stale = 0;
        DateTimeOffset? oldest = null;
        MirrorView view = _session.View;
        foreach (KindMirror kind in view.Mirrored.Values)
        {
            KindStanding reading = kind.Read(now);
            syncing += reading.State == MirrorState.Syncing ? 1 : 0;
            failing += reading.State == MirrorState.Failed ? 1 : 0;
            stale += reading.State == MirrorState.Stale ? 1 : 0;
            oldest = reading.HeardAt is { } heard && (oldest is null || heard < oldest) ? heard : oldest;
        }

        return new ClusterSummary
        {
            Name = _session.Entry.Name,
            Uid = _session.Entry.Uid,
            Generation = _session.Entry.Generation,
            Phase = standing.Phase,
            Fault = standing.Fault,
            Since = standing.Since,
            Version = _session.Health.Version,
            NodesReady = mirror.ReadyNodes,
            Nodes = mirror.Nodes,
            Allocatable = AmountsOf(mirror.Allocatable, mirror.Allocatable.Pods),
            Requested = AmountsOf(mirror.Requested, mirror.OccupyingPods),
            PodsByPhase = mirror.PodsByPhase,
            Objects = mirror.Objects,
            Bytes = mirror.RetainedBytes,
            Kinds = view.Mirrored.Count,
            KindsSyncing = syncing,
            KindsFailing = failing,
            KindsStale = stale,
            HeardAt = oldest,
            ChangesPerSecond = _rate,
            Silo = _session.Silo,
        };
    }

    private static ResourceAmounts AmountsOf(Kubernetes.Json.ResourceAmounts amounts, long pods)
        => new(amounts.CpuMilli, amounts.MemoryBytes, pods, amounts.Gpus);

    private void MeasureRate()
    {
        TimeSpan span = _services.Time.GetElapsedTime(_eventsAt);
        if (span < _services.Fleet.ReportInterval)
        {
            return;
        }

        long events = _session.View.Mirrored.Values.Sum(kind => kind.Events);
        long grown = Math.Max(0, events - _events);   // a kind that went takes its count along
        _rate = Math.Round(grown / span.TotalSeconds, 2);
        _services.Metrics.Changed(_session.Entry.Name, grown);
        _events = events;
        _eventsAt = _services.Time.GetTimestamp();
    }

    // Times and rates change with every look; alone they are news for the heartbeat only.
    private static bool IsSame(ClusterSummary one, ClusterSummary other)
        => one with { PodsByPhase = other.PodsByPhase, HeardAt = null, ChangesPerSecond = 0, Sequence = 0 }
            == other with { HeardAt = null, ChangesPerSecond = 0, Sequence = 0 }
            && one.PodsByPhase.SequenceEqual(other.PodsByPhase);

    [LoggerMessage(4150, LogLevel.Warning, "Cluster {Cluster}: the fleet does not know {Uid}; admitting it again.", EventName = "UnknownToFleet")]
    private static partial void LogUnknownToFleet(ILogger logger, string cluster, Guid uid);

    [LoggerMessage(4151, LogLevel.Warning, "Cluster {Cluster}: the fleet did not take the summary; trying again with the next.", EventName = "ReportFailed")]
    private static partial void LogReportFailed(ILogger logger, Exception exception, string cluster);
}
