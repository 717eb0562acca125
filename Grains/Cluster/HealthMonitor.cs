using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Grains.Cluster;

/// <summary>What is known of the health of one cluster's server. Immutable.</summary>
/// <param name="State">What shows.</param>
/// <param name="Version">Version of the server; empty until it was heard.</param>
/// <param name="ProbedAt">When the last probe ended; null before the first.</param>
internal sealed record HealthView(HealthState State, string Version, DateTimeOffset? ProbedAt);

/// <summary>Probes one cluster's server and keeps what shows of its health.</summary>
/// <remarks>One loop calls <see cref="RunAsync"/>; <see cref="Current"/> may be read from any thread.</remarks>
internal sealed partial class HealthMonitor
{
    private readonly string _cluster;
    private readonly KubeClient _client;
    private readonly HealthOptions _options;
    private readonly TimeProvider _time;
    private readonly ClusterMetrics _metrics;
    private readonly ILogger _logger;
    private HealthView _current;
    private int _sinceVersion;

    public HealthMonitor(string cluster, KubeClient client, HealthOptions options, TimeProvider time, ClusterMetrics metrics, ILogger logger)
    {
        _cluster = cluster;
        _client = client;
        _options = options;
        _time = time;
        _metrics = metrics;
        _logger = logger;
        _current = new HealthView(HealthState.Unknown(time.GetUtcNow()), "", null);
    }

    /// <summary>The latest view.</summary>
    public HealthView Current => Volatile.Read(ref _current);

    /// <summary>Called after every probe, on the loop's thread.</summary>
    public Action? Probed { get; init; }

    /// <summary>Set by who wants a probe before the next is due.</summary>
    public required WakeSignal Wake { get; init; }

    /// <summary>Takes over a probe and a version that a check has just made, so that the phase shows at once.</summary>
    /// <remarks>Only before <see cref="RunAsync"/>.</remarks>
    public void Seed(ProbeResult probe, string version) => Take(probe, version);

    /// <summary>Goes on from what another has found. The first probe comes at once all the same.</summary>
    /// <remarks>Only before <see cref="RunAsync"/>.</remarks>
    public void Begin(HealthState state, string version) => Volatile.Write(ref _current, new HealthView(state, version, null));

    /// <summary>Probes until stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            // Up to a tenth shorter: clusters that were started together drift apart. The first probe comes at once,
            // unless a check has just made one.
            if (Current.ProbedAt is not null)
            {
                await Wake.WaitAsync(_options.ProbeInterval * (1 - (Random.Shared.NextDouble() * 0.1)), stop);
            }

            await ProbeAsync(stop);
        }
    }

    /// <summary>Makes one probe.</summary>
    public async Task ProbeAsync(CancellationToken stop)
    {
        ProbeResult probe = await _client.ProbeAsync(_options.ProbeTimeout, stop);
        string version = Current.Version;
        if (probe.Error is null && (--_sinceVersion <= 0 || version.Length == 0 || Current.State.Phase != ClusterPhase.Online))
        {
            version = await ReadVersionAsync(stop) ?? version;
        }

        Take(probe, version);
    }

    private async Task<string?> ReadVersionAsync(CancellationToken stop)
    {
        try
        {
            string version = (await _client.GetVersionAsync(stop)).GitVersion;
            _sinceVersion = _options.VersionEvery;
            return version;
        }
        catch (KubeException e)
        {
            // The probe has just told that the server is well; its version is told another time.
            LogVersionUnknown(_logger, _cluster, e.Kind, e.Message);
            return null;
        }
    }

    private void Take(ProbeResult probe, string version)
    {
        DateTimeOffset now = _time.GetUtcNow();
        ProbeReading reading = ProbeReading.Of(probe, _options.SlowAfter);
        _metrics.Probed(_cluster, probe.Latency, probe.Outcome.ToString());
        if (reading.Fault is { } fault)
        {
            _metrics.ProbeFailed(_cluster, fault.Kind);
            LogProbeFailed(_logger, _cluster, fault.Kind, fault.Message);
        }

        HealthState next = Current.State.Next(reading, now, _options.DownAfter, _options.UpAfter);
        Volatile.Write(ref _current, new HealthView(next, version, now));
        Probed?.Invoke();
    }

    [LoggerMessage(4110, LogLevel.Debug, "Cluster {Cluster}: probe found {Kind}: {Message}", EventName = "ProbeFailed")]
    private static partial void LogProbeFailed(ILogger logger, string cluster, string kind, string message);

    [LoggerMessage(4111, LogLevel.Debug, "Cluster {Cluster}: its version could not be read, {Kind}: {Message}", EventName = "VersionUnknown")]
    private static partial void LogVersionUnknown(ILogger logger, string cluster, KubeErrorKind kind, string message);
}
