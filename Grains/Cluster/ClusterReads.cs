using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>What readers see of one registration, from its first moment until its departure is forgotten.</summary>
/// <remarks>
/// Outlives the sessions: a cluster that is switched off and on again is read through the same mirror and history, so that
/// watches go on. The grain attaches and detaches in its turns; everything else may be read from any thread.
/// </remarks>
internal sealed class ClusterReads : IClusterReadSource
{
    private ClusterSession? _session;
    private ClusterStanding? _idle;
    private ApiSurface? _lastSurface;

    public ClusterReads(ClusterMirror mirror, Guid registration, TimeSpan resumeWithin, TimeProvider time)
    {
        Mirror = mirror;
        Registration = registration;
        ResumeWithin = resumeWithin;
        Reader = new ClusterReader(this, time);
    }

    /// <summary>Answers reads.</summary>
    public ClusterReader Reader { get; }

    public string Cluster => Mirror.Cluster;

    public Guid Registration { get; }

    public TimeSpan ResumeWithin { get; }

    public ClusterMirror Mirror { get; }

    /// <summary>Where the cluster stands while no session runs; null while one does.</summary>
    public ClusterStanding? Idle => Volatile.Read(ref _idle);

    public ClusterPhase Phase => Standing?.Phase ?? ClusterPhase.Pending;

    public ClusterFault? Fault => Standing?.Fault;

    public ApiSurface? Surface => Session?.View.Surface ?? Volatile.Read(ref _lastSurface);

    public KubeClient? Client => Session?.Client;

    private ClusterSession? Session => Volatile.Read(ref _session);

    private ClusterStanding? Standing => Session?.Standing ?? Idle;

    public KindStanding? StandingOf(string groupResource) => Session?.StandingOf(groupResource);

    public Task<string> ReadPastAsync(PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken) =>
        Session?.ReadPastAsync(list, token, take, cancellationToken)
        ?? Task.FromException<string>(new KubeException(KubeErrorKind.Unauthorized, "The cluster is switched off, or its credentials cannot be read."));

    /// <summary>A session runs from now on.</summary>
    public void Attach(ClusterSession session)
    {
        Volatile.Write(ref _session, session);
        Volatile.Write(ref _idle, null);
    }

    /// <summary>No session runs any more; kinds are still resolved by what the last one knew.</summary>
    public void Detach(ClusterStanding idle)
    {
        Volatile.Write(ref _lastSurface, Surface);
        Volatile.Write(ref _idle, idle);
        Volatile.Write(ref _session, null);
    }
}

/// <summary>What is kept of a cluster that left, so that watches learn of each object that went with it.</summary>
/// <param name="Reads">Reads over its frozen mirror.</param>
/// <param name="LeftAt">Fleet revision that none of its changes is later than.</param>
internal sealed record DepartedReads(ClusterReads Reads, long LeftAt);
