using System.Collections.Immutable;
using System.Security.Cryptography;
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
    private readonly Lock _gate = new();
    private ProtectedConnection _connection;   // under _gate

    private ClusterStandby(StandbyOrder order, ClusterReads reads, ClusterSession session)
    {
        _connection = order.Connection;
        Reads = reads;
        Session = session;
    }

    /// <summary>The registration that it stands by for, as far as it has heard of its changes.</summary>
    public ClusterEntry Entry => Session.Entry;

    public ClusterReads Reads { get; }

    public ClusterSession Session { get; }

    /// <summary>Whether it holds what the cluster's grain held, whatever the member says.</summary>
    public bool IsCopy { get; private init; }

    /// <summary>Opens the connection and starts to fill.</summary>
    public static ClusterStandby Start(StandbyOrder order, ClusterConnection connection, IFleetGrain fleet, ClusterServices services, string silo)
    {
        (ClusterReads reads, ClusterSession session) = Open(order, connection, fleet, services, silo);
        session.Start(seen: null, reports: false);
        return new ClusterStandby(order, reads, session);
    }

    /// <summary>Takes over what another mirror of the cluster holds, and goes on from there as soon as the member lets it.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="OrleansException">The other is lost.</exception>
    public static async Task<ClusterStandby> CopyAsync(
        StandbyOrder order, ClusterConnection connection, IFleetGrain fleet, ClusterServices services, string silo, IAsyncEnumerable<MirrorPiece> pieces,
        Action<string, FormatException> refused, CancellationToken cancellationToken)
    {
        (ClusterReads reads, ClusterSession session) = Open(order, connection, fleet, services, silo);
        bool isFilled = false;
        try
        {
            if (await MirrorCopy.FillAsync(reads.Mirror, pieces, refused, cancellationToken) is { } seed)
            {
                session.Seed(seed);
            }

            isFilled = true;
        }
        finally
        {
            if (!isFilled)
            {
                await session.StopAsync(letGo: false);
            }
        }

        session.Start(seen: null, reports: false);
        return new ClusterStandby(order, reads, session) { IsCopy = true };
    }

    /// <summary>Takes over what a user has changed of the registration meanwhile, as the session that it stands by for has. What is filled stays.</summary>
    /// <returns>False where it is another registration, one that is switched off, or its credentials cannot be used: then it is of no use.</returns>
    /// <remarks>The standby's grain and the cluster's may come at the same time; what is older changes nothing.</remarks>
    public bool TryUpdate(ClusterEntry entry, ProtectedConnection connection, ConnectionVault vault)
    {
        lock (_gate)
        {
            if (entry.Uid != Entry.Uid || !entry.Enabled)
            {
                return false;
            }

            if (entry.Generation <= Entry.Generation)
            {
                return true;
            }

            if (!connection.Ciphertext.AsSpan().SequenceEqual(_connection.Ciphertext))
            {
                if (!vault.TryOpen(connection, out ClusterConnection? opened, out _))
                {
                    return false;
                }

                try
                {
                    Session.Replace(opened);
                }
                catch (CryptographicException)
                {
                    return false;   // the cluster's own session says so, wherever it is opened
                }

                _connection = connection;
            }

            Session.Update(entry);
            return true;
        }
    }

    /// <summary>How far it is towards holding these kinds, and knowing how its server stands.</summary>
    /// <remarks>A copy is as good as what it was taken from, unless the member has come back to that meanwhile.</remarks>
    public MoveReadiness ReadinessFor(ImmutableArray<string> kinds)
    {
        int waiting = kinds.Count(kind => !Session.Follows(kind));
        return new MoveReadiness(waiting == 0 && (IsCopy || Session.Health.ProbedAt is not null), waiting);
    }

    private static (ClusterReads Reads, ClusterSession Session) Open(StandbyOrder order, ClusterConnection connection, IFleetGrain fleet, ClusterServices services, string silo)
    {
        ClusterEntry entry = order.Entry;
        var mirror = new ClusterMirror(entry.Name, services.Clock, services.Time, services.Mirror.BoundsFor(entry.Mirror));
        var reads = new ClusterReads(mirror, entry.Uid, services.Mirror.ResumeWithin, services.Time);
        var session = new ClusterSession(entry, connection, mirror, fleet, services, silo);
        session.Seed(order.Health);
        reads.Attach(session);
        return (reads, session);
    }
}
