using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Tests.Reads;

/// <summary>A cluster whose facts the test sets.</summary>
internal sealed class ReadSource(ClusterMirror mirror) : IClusterReadSource
{
    public string Cluster => mirror.Cluster;

    public ClusterMirror Mirror => mirror;

    public ClusterPhase Phase { get; set; } = ClusterPhase.Online;

    public ClusterFault? Fault { get; set; }

    public ApiSurface? Surface { get; set; }

    public KubeClient? Client { get; set; }

    public KindStanding? Standing { get; set; }

    public KindStanding? StandingOf(string groupResource) => Standing;

    public Guid Registration => Guid.Empty;

    public TimeSpan ResumeWithin => TimeSpan.FromMinutes(5);

    public Task<string> ReadPastAsync(PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken) =>
        Task.FromException<string>(new KubeException(KubeErrorKind.Gone, "This cluster has no past."));
}
