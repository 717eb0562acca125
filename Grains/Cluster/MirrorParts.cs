using Microsoft.Extensions.Logging;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>What the parts of one cluster's mirror share. Immutable; what it holds is thread-safe.</summary>
internal sealed record MirrorParts
{
    public required string Cluster { get; init; }

    public required KubeClient Client { get; init; }

    public required ClusterMirror Mirror { get; init; }

    public required MirrorOptions Options { get; init; }

    public required ReflectorOptions Reflectors { get; init; }

    public required TimeProvider Time { get; init; }

    public required ClusterMetrics Metrics { get; init; }

    public required HeapTidying Tidying { get; init; }

    public required ILoggerFactory Loggers { get; init; }

    public required ILogger Logger { get; init; }
}
