using System.Diagnostics;
using System.Diagnostics.Metrics;
using MultiCluster.Clusters;

namespace MultiCluster.Grains.Cluster;

/// <summary>What the clusters of this process measure. Thread-safe; one per process.</summary>
internal sealed class ClusterMetrics
{
    public const string MeterName = "MultiCluster.Clusters";

    private readonly Histogram<double> _probeDuration;
    private readonly Counter<long> _probeFailures;
    private readonly Counter<long> _phaseChanges;
    private readonly Counter<long> _lists;
    private readonly Counter<long> _watchRestarts;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _events;
    private readonly UpDownCounter<long> _objects;
    private readonly UpDownCounter<long> _bytes;

    public ClusterMetrics(IMeterFactory meters)
    {
        Meter meter = meters.Create(MeterName);
        _probeDuration = meter.CreateHistogram<double>("multicluster.cluster.probe.duration", "s", "Time of one health probe.");
        _probeFailures = meter.CreateCounter<long>("multicluster.cluster.probe.failures", "{probe}", "Probes that did not find the cluster healthy.");
        _phaseChanges = meter.CreateCounter<long>("multicluster.cluster.phase.changes", "{change}", "Changes of the phase that shows.");
        _lists = meter.CreateCounter<long>("multicluster.mirror.relists", "{list}", "Whole lists taken, the first of each kind included.");
        _watchRestarts = meter.CreateCounter<long>("multicluster.mirror.watch.restarts", "{watch}", "Watches opened.");
        _failures = meter.CreateCounter<long>("multicluster.mirror.failures", "{failure}", "Lists and watches that failed.");
        _events = meter.CreateCounter<long>("multicluster.mirror.events", "{event}", "Changes taken over from watches.");
        _objects = meter.CreateUpDownCounter<long>("multicluster.mirror.objects", "{object}", "Objects in the mirrors.");
        _bytes = meter.CreateUpDownCounter<long>("multicluster.mirror.bytes", "By", "Compressed bytes in the mirrors.");
    }

    public void Probed(string cluster, TimeSpan latency, string outcome)
    {
        var tags = new TagList { { "cluster", cluster }, { "outcome", outcome } };
        _probeDuration.Record(latency.TotalSeconds, tags);
    }

    public void ProbeFailed(string cluster, string kind) => _probeFailures.Add(1, new TagList { { "cluster", cluster }, { "error", kind } });

    public void PhaseChanged(string cluster, ClusterPhase to) => _phaseChanges.Add(1, new TagList { { "cluster", cluster }, { "phase", to.ToString() } });

    public void Listed(string cluster, string resource) => _lists.Add(1, new TagList { { "cluster", cluster }, { "resource", resource } });

    public void WatchOpened(string cluster, string resource) => _watchRestarts.Add(1, new TagList { { "cluster", cluster }, { "resource", resource } });

    public void SyncFailed(string cluster, string kind) => _failures.Add(1, new TagList { { "cluster", cluster }, { "error", kind } });

    public void Changed(string cluster, long events) => _events.Add(events, new TagList { { "cluster", cluster } });

    /// <summary>Notes by how much the mirror of a cluster grew; report the same amounts back when it goes.</summary>
    public void Grew(string cluster, long objects, long bytes)
    {
        var tags = new TagList { { "cluster", cluster } };
        _objects.Add(objects, tags);
        _bytes.Add(bytes, tags);
    }
}
