using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Fleet;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>What every cluster of the process needs and none owns. Thread-safe; one per process.</summary>
internal sealed class ClusterServices(
    IOptions<HealthOptions> health,
    IOptions<MirrorOptions> mirror,
    IOptions<ReflectorOptions> reflectors,
    IOptions<FleetOptions> fleet,
    KubeClients clients,
    ConnectionVault vault,
    ConnectionCheck check,
    ListGate lists,
    FleetClock clock,
    ClusterMetrics metrics,
    HeapTidying tidying,
    LocalClusters clusters,
    TimeProvider time,
    ILoggerFactory loggers)
{
    public HealthOptions Health => health.Value;

    public MirrorOptions Mirror => mirror.Value;

    public ReflectorOptions Reflectors => reflectors.Value;

    public FleetOptions Fleet => fleet.Value;

    public KubeClients Clients => clients;

    public ConnectionVault Vault => vault;

    public ConnectionCheck Check => check;

    /// <summary>The gate for the lists of all clusters of this process.</summary>
    public ListGate Lists => lists;

    public FleetClock Clock => clock;

    public ClusterMetrics Metrics => metrics;

    public HeapTidying Tidying => tidying;

    /// <summary>The clusters that this process acts for.</summary>
    public LocalClusters Clusters => clusters;

    public TimeProvider Time => time;

    public ILoggerFactory Loggers => loggers;
}
