using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Configuration;

namespace MultiCluster.Grains.Cluster;

/// <summary>A mirror of a cluster that is filled before the cluster's grain comes to this process.</summary>
/// <remarks>Owned by the standby's grain until it is taken from <see cref="LocalClusters"/>, then by the cluster's. Its session reports to nobody until then.</remarks>
internal sealed class ClusterStandby
{
    private ClusterStandby(ClusterEntry entry, ClusterReads reads, ClusterSession session)
    {
        Entry = entry;
        Reads = reads;
        Session = session;
    }

    /// <summary>The registration that it stands by for.</summary>
    public ClusterEntry Entry { get; }

    public ClusterReads Reads { get; }

    public ClusterSession Session { get; }

    /// <summary>Opens the connection and starts to fill.</summary>
    public static ClusterStandby Start(ClusterEntry entry, ClusterConnection connection, IFleetGrain fleet, ClusterServices services, string silo)
    {
        var mirror = new ClusterMirror(entry.Name, services.Clock, services.Time, services.Mirror.BoundsFor(entry.Mirror));
        var reads = new ClusterReads(mirror, entry.Uid, services.Mirror.ResumeWithin, services.Time);
        var session = new ClusterSession(entry, connection, mirror, fleet, services, silo);
        reads.Attach(session);
        session.Start(seen: null, reports: false);
        return new ClusterStandby(entry, reads, session);
    }

    /// <summary>How far it is towards holding these kinds, and knowing how its server stands.</summary>
    public MoveReadiness ReadinessFor(ImmutableArray<string> kinds)
    {
        int waiting = kinds.Count(kind => Session.StandingOf(kind) is not { State: MirrorState.Synced });
        return new MoveReadiness(waiting == 0 && Session.Health.ProbedAt is not null, waiting);
    }
}
