using System.Collections.Immutable;

namespace MultiCluster.Clusters;

/// <summary>A part of what a mirror holds, on its way to another silo: first the outline, then each kind in pieces that follow each other.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.mirror-piece")]
public sealed record MirrorPiece
{
    /// <summary>What the cluster serves; in the first piece, and in no other.</summary>
    [Id(0)] public MirrorOutline? Outline { get; init; }

    /// <summary>The kind, by group-resource; empty in the first piece.</summary>
    [Id(1)] public string GroupResource { get; init; } = "";

    /// <summary>The version that its objects are in.</summary>
    [Id(6)] public string Version { get; init; } = "";

    /// <summary>JSON of its next objects, in the order of namespace and name, as the mirror keeps it: what it hides is hidden here.</summary>
    [Id(2)] public ImmutableArray<byte[]> Objects { get; init; } = [];

    /// <summary>Whether the kind is whole with this piece.</summary>
    [Id(3)] public bool IsLast { get; init; }

    /// <summary>Version of the member that the kind is of; in its last piece.</summary>
    [Id(4)] public string ResourceVersion { get; init; } = "";

    /// <summary>When the member was last heard of it; in its last piece.</summary>
    [Id(5)] public DateTimeOffset? HeardAt { get; init; }
}

/// <summary>What a cluster serves, as far as a mirror needs to know that cannot ask it.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.mirror-outline")]
public sealed record MirrorOutline
{
    /// <summary>API groups in the server's order of preference.</summary>
    [Id(0)] public ImmutableArray<ServedGroup> Groups { get; init; } = [];

    /// <summary>Resources of all versions.</summary>
    [Id(1)] public ImmutableArray<ServedResource> Resources { get; init; } = [];
}

/// <summary>How a cluster's server stands by the probes of one silo, for another to go on from.</summary>
/// <param name="Phase">Phase by the probes alone.</param>
/// <param name="Fault">Why it is not <c>Online</c>.</param>
/// <param name="Since">Since when it has been in this phase.</param>
/// <param name="ServerVersion">Version of its API server; empty where it was never heard.</param>
[GenerateSerializer, Immutable, Alias("multicluster.known-health")]
public sealed record KnownHealth(
    [property: Id(0)] ClusterPhase Phase,
    [property: Id(1)] ClusterFault? Fault,
    [property: Id(2)] DateTimeOffset Since,
    [property: Id(3)] string ServerVersion);

/// <summary>An API group.</summary>
/// <param name="Name">Name; empty for the core group.</param>
/// <param name="Versions">Versions in the server's order of preference.</param>
[GenerateSerializer, Immutable, Alias("multicluster.served-group")]
public sealed record ServedGroup(
    [property: Id(0)] string Name,
    [property: Id(1)] ImmutableArray<string> Versions);

/// <summary>A resource in one version, as discovery describes it.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.served-resource")]
public sealed record ServedResource
{
    /// <summary>API group; empty for the core group.</summary>
    [Id(0)] public required string Group { get; init; }

    /// <summary>Version within the group.</summary>
    [Id(1)] public required string Version { get; init; }

    /// <summary>Name in the URL.</summary>
    [Id(2)] public required string Plural { get; init; }

    /// <summary>Kind of one object.</summary>
    [Id(3)] public required string Kind { get; init; }

    /// <summary>Whether its objects live in namespaces.</summary>
    [Id(4)] public required bool Namespaced { get; init; }

    /// <summary>Singular name.</summary>
    [Id(5)] public required string Singular { get; init; }

    /// <summary>Short names.</summary>
    [Id(6)] public required ImmutableArray<string> ShortNames { get; init; }

    /// <summary>Verbs.</summary>
    [Id(7)] public required ImmutableArray<string> Verbs { get; init; }

    /// <summary>Categories.</summary>
    [Id(8)] public required ImmutableArray<string> Categories { get; init; }

    /// <summary>Subresources.</summary>
    [Id(9)] public required ImmutableArray<string> Subresources { get; init; }
}
