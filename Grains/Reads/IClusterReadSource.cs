using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Reads;

/// <summary>How the mirror stands with one kind.</summary>
/// <param name="State">State.</param>
/// <param name="Fault">What keeps it from being in step; null where nothing does.</param>
/// <param name="HeardAt">When it was last heard of; null where it never was.</param>
internal readonly record struct KindStanding(MirrorState State, ClusterFault? Fault, DateTimeOffset? HeardAt);

/// <summary>What a <see cref="ClusterReader"/> asks of the cluster it reads.</summary>
/// <remarks>Every member is read from any thread at any time and must answer at once from what is known.</remarks>
internal interface IClusterReadSource
{
    /// <summary>Name of the cluster.</summary>
    string Cluster { get; }

    /// <summary>The registration that it is read under.</summary>
    Guid Registration { get; }

    /// <summary>How long a watch that comes from another activation may wait for the mirror to be whole again.</summary>
    TimeSpan ResumeWithin { get; }

    /// <summary>Its mirror. A cluster that is removed keeps the frozen one for as long as watches may resume from before.</summary>
    ClusterMirror Mirror { get; }

    /// <summary>Where it stands; <see cref="ClusterPhase.Disabled"/> hides everything.</summary>
    ClusterPhase Phase { get; }

    /// <summary>Why it is not online; null where it is.</summary>
    ClusterFault? Fault { get; }

    /// <summary>What it serves, as far as it was ever read; null before.</summary>
    ApiSurface? Surface { get; }

    /// <summary>For live reads; null where there are no usable credentials.</summary>
    KubeClient? Client { get; }

    /// <summary>How the mirror stands with a kind; null where it does not mirror it.</summary>
    KindStanding? StandingOf(string groupResource);

    /// <summary>Asks the member for what was there at an earlier version, as the mirror would have taken it in. See <see cref="PastReads.ReadPastPageAsync"/>.</summary>
    Task<string> ReadPastAsync(PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken);
}
