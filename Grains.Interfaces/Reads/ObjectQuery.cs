using System.Collections.Immutable;

namespace MultiCluster.Reads;

/// <summary>Which objects of a cluster are meant. All parts must hold; empty parts hold for everything.</summary>
/// <remarks>The gateway has parsed and checked every part before it sends a query; a grain that cannot evaluate one answers with an error, it never ignores it.</remarks>
[GenerateSerializer, Immutable, Alias("multicluster.object-query")]
public sealed record ObjectQuery
{
    /// <summary>The kind as the user names it: plural, singular, kind or short name, or <c>name.group</c>, <c>name.version.group</c>, <c>group/version/name</c>.</summary>
    /// <remarks>Every cluster resolves it by its own discovery, because clusters differ in the versions they serve.</remarks>
    [Id(0)] public required string Kind { get; init; }

    /// <summary>Namespaces; empty for all. Cluster-scoped kinds have none.</summary>
    [Id(1)] public ImmutableArray<string> Namespaces { get; init; } = [];

    /// <summary>Names; empty for all. <c>*</c> stands for any run of characters, <c>?</c> for one.</summary>
    [Id(2)] public ImmutableArray<string> Names { get; init; } = [];

    /// <summary>Text that the name, the namespace or a label value holds, without regard to case.</summary>
    [Id(3)] public string? Text { get; init; }

    /// <summary>Label selector in Kubernetes' own syntax.</summary>
    [Id(4)] public string? LabelSelector { get; init; }

    /// <summary>Field selector in our syntax: <c>a.b['x.y'][*] op value</c>, joined by commas.</summary>
    [Id(5)] public string? FieldSelector { get; init; }

    /// <summary>Readiness; empty for any.</summary>
    [Id(6)] public ImmutableArray<ReadinessState> Readiness { get; init; } = [];

    /// <summary>Owner, direct or through others.</summary>
    [Id(7)] public OwnerQuery? Owner { get; init; }
}

/// <summary>Which owner objects must have.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.owner-query")]
public sealed record OwnerQuery
{
    /// <summary>Uid of the owner; wins over kind and name.</summary>
    [Id(0)] public string? Uid { get; init; }

    /// <summary>Kind of the owner, named as in <see cref="ObjectQuery.Kind"/>.</summary>
    [Id(1)] public string? Kind { get; init; }

    /// <summary>Name of the owner; the namespace is the object's own.</summary>
    [Id(2)] public string? Name { get; init; }

    /// <summary>How many steps up an owner may be: 1 the direct owner, 2 its owner too (a pod's deployment). From 1 to 4, default 3.</summary>
    [Id(3)] public int Depth { get; init; } = 3;
}

/// <summary>Whether an object does what it is there for, by the rules of <c>kubectl rollout status</c> and its kin.</summary>
[GenerateSerializer, Alias("multicluster.readiness-state")]
public enum ReadinessState
{
    /// <summary>The kind has no notion of readiness.</summary>
    NotApplicable,

    /// <summary>The object does not say (yet).</summary>
    Unknown,

    /// <summary>Ready.</summary>
    Ready,

    /// <summary>Not ready, and on its way.</summary>
    Progressing,

    /// <summary>Not ready.</summary>
    NotReady,

    /// <summary>Not ready, and it will not become so by itself.</summary>
    Failed,

    /// <summary>Has run to its end with success.</summary>
    Completed,
}

/// <summary>How much of each object an answer holds.</summary>
[GenerateSerializer, Alias("multicluster.projection")]
public enum Projection
{
    /// <summary>The whole native object without <c>managedFields</c>.</summary>
    Object,

    /// <summary>Only <c>apiVersion</c>, <c>kind</c> and <c>metadata</c>.</summary>
    Metadata,

    /// <summary>Only the row: key, uid, readiness; no JSON.</summary>
    None,
}
