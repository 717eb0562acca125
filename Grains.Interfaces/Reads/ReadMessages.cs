using System.Collections.Immutable;
using MultiCluster.Clusters;

namespace MultiCluster.Reads;

/// <summary>What an answer covers of one cluster.</summary>
[GenerateSerializer, Alias("multicluster.coverage-state")]
public enum CoverageState
{
    /// <summary>In step with the cluster.</summary>
    Ok,

    /// <summary>From the mirror, which has not heard from the cluster for too long; see the age.</summary>
    Stale,

    /// <summary>The first list of the kind is not yet whole; what is there is shown.</summary>
    Syncing,

    /// <summary>The cluster cannot be reached; what the mirror last knew is shown with its age.</summary>
    Offline,

    /// <summary>The cluster, or our own rules, forbid it.</summary>
    Forbidden,

    /// <summary>The cluster does not serve the kind.</summary>
    NotServed,

    /// <summary>No answer within the deadline.</summary>
    Timeout,

    /// <summary>Switched off by a user; nothing of it is shown.</summary>
    Disabled,

    /// <summary>The kind is served but not mirrored there; read it with the live source.</summary>
    NotMirrored,

    /// <summary>Something else went wrong; see the error.</summary>
    Failed,
}

/// <summary>What an answer covers of one cluster, and how old that is.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-coverage")]
public sealed record ClusterCoverage
{
    /// <summary>Name of the cluster.</summary>
    [Id(0)] public required string Cluster { get; init; }

    /// <summary>What is covered.</summary>
    [Id(1)] public required CoverageState State { get; init; }

    /// <summary>Time since the kind was last heard of; zero for live reads, null where it never was.</summary>
    [Id(2)] public TimeSpan? Age { get; init; }

    /// <summary>Objects of this cluster in this answer.</summary>
    [Id(3)] public int Items { get; init; }

    /// <summary>What is wrong; null where nothing is.</summary>
    [Id(4)] public ClusterFault? Fault { get; init; }
}

/// <summary>Where an object stands in the order of its cluster: byte order of <c>namespace/name</c>.</summary>
/// <param name="Namespace">Namespace; empty for cluster-scoped objects.</param>
/// <param name="Name">Name.</param>
[GenerateSerializer, Immutable, Alias("multicluster.object-key")]
public readonly record struct ObjectKey([property: Id(0)] string Namespace, [property: Id(1)] string Name);

/// <summary>One object in a batch: its key, and where its JSON lies in the payload.</summary>
/// <param name="Namespace">Namespace; empty for cluster-scoped objects.</param>
/// <param name="Name">Name.</param>
/// <param name="Uid">Uid.</param>
/// <param name="Offset">First byte in the payload.</param>
/// <param name="Length">Bytes in the payload; 0 with <see cref="Projection.None"/>.</param>
/// <param name="Readiness">Readiness.</param>
/// <param name="ReadinessReason">Why it is not ready, in a few words.</param>
[GenerateSerializer, Immutable, Alias("multicluster.object-row")]
public readonly record struct ObjectRow(
    [property: Id(0)] string Namespace,
    [property: Id(1)] string Name,
    [property: Id(2)] Guid Uid,
    [property: Id(3)] int Offset,
    [property: Id(4)] int Length,
    [property: Id(5)] ReadinessState Readiness,
    [property: Id(6)] string? ReadinessReason);

/// <summary>Request for one page of one cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-list-request")]
public sealed record ClusterListRequest
{
    /// <summary>Which objects.</summary>
    [Id(0)] public required ObjectQuery Query { get; init; }

    /// <summary>Only what comes after this key; null from the start.</summary>
    [Id(1)] public ObjectKey? After { get; init; }

    /// <summary>Most objects; at least 1.</summary>
    [Id(2)] public required int Limit { get; init; }

    /// <summary>Most bytes of the payload; the page ends early, but never before its first object.</summary>
    [Id(3)] public int MaxBytes { get; init; } = 16 << 20;

    /// <summary>Fleet revision of the list. Whatever the cluster changes from now on is stamped later than this.</summary>
    [Id(4)] public required long Revision { get; init; }

    /// <summary>How much of each object.</summary>
    [Id(5)] public Projection Projection { get; init; }

    /// <summary>True to ask the member itself instead of the mirror.</summary>
    [Id(6)] public bool Live { get; init; }

    /// <summary>The member's own continue token, for the next page of a live list.</summary>
    [Id(7)] public string? LiveContinue { get; init; }

    /// <summary>Time that a live list may take.</summary>
    [Id(8)] public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>Request for one object of one cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-get-request")]
public sealed record ClusterGetRequest
{
    /// <summary>The kind, as in <see cref="ObjectQuery.Kind"/>.</summary>
    [Id(0)] public required string Kind { get; init; }

    /// <summary>Which object.</summary>
    [Id(1)] public required ObjectKey Key { get; init; }

    /// <summary>True to ask the member itself.</summary>
    [Id(2)] public bool Live { get; init; }

    /// <summary>Time that a live read may take.</summary>
    [Id(3)] public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How much of the object.</summary>
    [Id(4)] public Projection Projection { get; init; }
}

/// <summary>Objects of one cluster. A get answers a page of one object or none.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-page")]
public sealed record ClusterPage
{
    /// <summary>What this page covers.</summary>
    [Id(0)] public required ClusterCoverage Coverage { get; init; }

    /// <summary>The objects in order.</summary>
    [Id(1)] public ImmutableArray<ObjectRow> Rows { get; init; } = [];

    /// <summary>The JSON of all rows, one after the other.</summary>
    [Id(2)] public byte[] Payload { get; init; } = [];

    /// <summary>True where more objects come after the last.</summary>
    [Id(3)] public bool More { get; init; }

    /// <summary>The member's own token for its next page; only of live lists.</summary>
    [Id(4)] public string? LiveContinue { get; init; }

    /// <summary>Group-resource that the kind means in this cluster; empty where it is not served.</summary>
    [Id(5)] public string GroupResource { get; init; } = "";

    /// <summary>How far the cluster's clock had come; whoever observes it draws no revision that lies before what the cluster can tell. 0 where it is not said.</summary>
    [Id(6)] public long Revision { get; init; }
}

/// <summary>What objects are counted by.</summary>
[GenerateSerializer, Alias("multicluster.group-by")]
public enum GroupBy
{
    /// <summary>All of them together.</summary>
    None,

    /// <summary>Cluster.</summary>
    Cluster,

    /// <summary>Namespace.</summary>
    Namespace,

    /// <summary>Phase (<c>status.phase</c>).</summary>
    Phase,

    /// <summary>Node of a pod.</summary>
    Node,

    /// <summary>Container image; an object counts once for every image it has.</summary>
    Image,

    /// <summary>Readiness.</summary>
    Readiness,
}

/// <summary>Request to count.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-count-request")]
public sealed record ClusterCountRequest
{
    /// <summary>Which objects.</summary>
    [Id(0)] public required ObjectQuery Query { get; init; }

    /// <summary>What to count by, outermost first; at most 3.</summary>
    [Id(1)] public ImmutableArray<GroupBy> By { get; init; } = [];

    /// <summary>Most groups; beyond it the rest is summed under <see cref="ClusterCounts.Other"/>.</summary>
    [Id(2)] public int MaxGroups { get; init; } = 10_000;

    /// <summary>Fleet revision of the request.</summary>
    [Id(3)] public required long Revision { get; init; }
}

/// <summary>One group and its count.</summary>
/// <param name="Values">A value for each part of the request; empty where an object has none.</param>
/// <param name="Count">Objects.</param>
[GenerateSerializer, Immutable, Alias("multicluster.group-count")]
public sealed record GroupCount(
    [property: Id(0)] ImmutableArray<string> Values,
    [property: Id(1)] long Count);

/// <summary>Counts of one cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-counts")]
public sealed record ClusterCounts
{
    /// <summary>What they cover.</summary>
    [Id(0)] public required ClusterCoverage Coverage { get; init; }

    /// <summary>The groups in no order.</summary>
    [Id(1)] public ImmutableArray<GroupCount> Groups { get; init; } = [];

    /// <summary>Objects of groups that were too many to name.</summary>
    [Id(2)] public long Other { get; init; }

    /// <summary>All objects that were found; not the sum of the groups where an object is in several.</summary>
    [Id(3)] public long Total { get; init; }
}

/// <summary>Request to watch one cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-watch-request")]
public sealed record ClusterWatchRequest
{
    /// <summary>Which objects.</summary>
    [Id(0)] public required ObjectQuery Query { get; init; }

    /// <summary>Fleet revision after which changes are wanted; null for the present state first.</summary>
    [Id(1)] public long? Since { get; init; }

    /// <summary>Fleet revision of the request: whatever the cluster changes from now on is stamped later than this.</summary>
    [Id(2)] public required long Revision { get; init; }

    /// <summary>Longest silence: without changes a batch comes at least this often, to say how far the watch has come.</summary>
    [Id(3)] public TimeSpan ProgressEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How much of each object.</summary>
    [Id(4)] public Projection Projection { get; init; }

    /// <summary>
    /// True to take leave: after the changes since <see cref="Since"/> everything that matches now comes out as deleted, and the watch ends
    /// with <see cref="WatchEnd.Left"/>. Asked when the cluster's labels no longer match the selection of the watch.
    /// </summary>
    [Id(5)] public bool Leave { get; init; }

    /// <summary>
    /// Where an earlier stream of the same watch stands, as its last batch said; null for a new watch. It takes the place of <see cref="Since"/>,
    /// and goes on also where the grain has lost its memory, if the member still knows its state of then.
    /// </summary>
    [Id(6)] public WatchPosition? Position { get; init; }
}

/// <summary>What happened to an object, as the query sees it.</summary>
[GenerateSerializer, Alias("multicluster.change-type")]
public enum ChangeType
{
    /// <summary>It appeared, or began to match.</summary>
    Added,

    /// <summary>It changed.</summary>
    Modified,

    /// <summary>It went, or no longer matches; the JSON is its last state that did.</summary>
    Deleted,
}

/// <summary>One change in a batch.</summary>
/// <param name="Type">What happened.</param>
/// <param name="Stamp">Fleet revision of the change.</param>
/// <param name="Row">The object.</param>
[GenerateSerializer, Immutable, Alias("multicluster.object-change")]
public readonly record struct ObjectChange(
    [property: Id(0)] ChangeType Type,
    [property: Id(1)] long Stamp,
    [property: Id(2)] ObjectRow Row);

/// <summary>Why a batch of a watch is the last one.</summary>
[GenerateSerializer, Alias("multicluster.watch-end")]
public enum WatchEnd
{
    /// <summary>It is not.</summary>
    None,

    /// <summary>The history does not reach back to the revision: list again.</summary>
    Expired,

    /// <summary>The reader was too slow: list again, or resume if the history still reaches back.</summary>
    TooSlow,

    /// <summary>The cluster has left the fleet; everything it had came out as deleted.</summary>
    Left,
}

/// <summary>Changes of one cluster, in order.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-watch-batch")]
public sealed record ClusterWatchBatch
{
    /// <summary>Every change stamped up to here has been delivered, this batch included.</summary>
    [Id(0)] public required long Through { get; init; }

    /// <summary>The changes.</summary>
    [Id(1)] public ImmutableArray<ObjectChange> Changes { get; init; } = [];

    /// <summary>The JSON of all changes.</summary>
    [Id(2)] public byte[] Payload { get; init; } = [];

    /// <summary>True on the batch that ends the present state.</summary>
    [Id(3)] public bool InitialEnd { get; init; }

    /// <summary>Coverage of the cluster, whenever it has changed and on the first batch.</summary>
    [Id(4)] public ClusterCoverage? Coverage { get; init; }

    /// <summary>Why this is the last batch.</summary>
    [Id(5)] public WatchEnd End { get; init; }

    /// <summary>Where the watch stands after this batch; null where the last one told still holds.</summary>
    [Id(6)] public WatchPosition? Position { get; init; }
}
