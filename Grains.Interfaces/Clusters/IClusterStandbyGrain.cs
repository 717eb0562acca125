using System.Collections.Immutable;
using MultiCluster.Fleet;

namespace MultiCluster.Clusters;

/// <summary>Fills a second mirror of a cluster in another process, for the cluster's grain to move to without a gap.</summary>
/// <remarks>
/// The key is the caller's choice, one for each attempt. The grain must be placed where the cluster shall live. What it has filled is
/// taken over by the cluster's grain when that is activated in the same process, and let go when nobody asks for it for a minute.
/// It reads the member, or takes over what the cluster's grain holds where the member is away; it answers no reads and reports to nobody.
/// </remarks>
[Alias("multicluster.cluster-standby")]
public interface IClusterStandbyGrain : IGrainWithStringKey
{
    /// <summary>Starts to fill the mirror, where that has not begun, and tells how far it is. Ask again until it is ready.</summary>
    [Alias("prepare")]
    Task<MoveReadiness> PrepareAsync(StandbyOrder order);
}

/// <summary>What a standby needs to know.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.standby-order")]
public sealed record StandbyOrder
{
    /// <summary>The registration.</summary>
    [Id(0)] public required ClusterEntry Entry { get; init; }

    /// <summary>Server and credentials, encrypted.</summary>
    [Id(1)] public required ProtectedConnection Connection { get; init; }

    /// <summary>The kinds that must be in step before the standby is as good as the mirror that it stands by for, by group-resource.</summary>
    [Id(2)] public ImmutableArray<string> Kinds { get; init; } = [];

    /// <summary>Fleet revision of the order: what the standby stamps is later.</summary>
    [Id(3)] public required long Revision { get; init; }

    /// <summary>Whether the mirror is filled with what the cluster's grain holds (<see cref="IClusterGrain.CopyAsync"/>) before the member is asked.</summary>
    [Id(4)] public bool Copies { get; init; }

    /// <summary>How the server stands, so that one slow probe amid the first lists counts there as it counts here.</summary>
    [Id(5)] public required KnownHealth Health { get; init; }
}

/// <summary>How far a cluster is on its way to another process.</summary>
/// <param name="IsReady">Whether it may move now: what is in step here is in step there.</param>
/// <param name="Waiting">Kinds that are not there yet; 0 also where nothing has to be there.</param>
[GenerateSerializer, Immutable, Alias("multicluster.move-readiness")]
public sealed record MoveReadiness(
    [property: Id(0)] bool IsReady,
    [property: Id(1)] int Waiting);
