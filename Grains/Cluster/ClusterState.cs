using MultiCluster.Clusters;
using MultiCluster.Fleet;

namespace MultiCluster.Grains.Cluster;

/// <summary>What one cluster keeps on disk. Credentials rest here in encrypted form only.</summary>
[GenerateSerializer, Alias("multicluster.cluster-state")]
internal sealed class ClusterState
{
    /// <summary>The registration, without its summary; null where there is none.</summary>
    [Id(0)] public ClusterEntry? Entry { get; set; }

    /// <summary>Server and credentials.</summary>
    [Id(1)] public ProtectedConnection? Connection { get; set; }

    /// <summary>What the last checks found.</summary>
    [Id(2)] public ConnectionChecks Checks { get; set; } = new();

    /// <summary>True from the moment a removal is decided until the fleet has dismissed the cluster: a crash between finds it and goes on.</summary>
    [Id(3)] public bool Leaving { get; set; }
}
