using System.Collections.Immutable;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>Where the objects of an answer come from.</summary>
public enum ReadSource
{
    /// <summary>The mirror: answers in milliseconds, and says how old it is.</summary>
    Mirror,

    /// <summary>The members themselves.</summary>
    Live,
}

/// <summary>Which clusters are meant; both parts must hold, and empty parts hold for every cluster.</summary>
/// <remarks>A name that is not registered is an error of the request; a label selector that matches no cluster is not.</remarks>
public sealed record ClusterSelection
{
    /// <summary>Every cluster of the fleet.</summary>
    public static readonly ClusterSelection All = new();

    /// <summary>Names; empty for all.</summary>
    public ImmutableArray<string> Names { get; init; } = [];

    /// <summary>Label selector in Kubernetes' syntax over the labels of the clusters; null or blank for all.</summary>
    public string? LabelSelector { get; init; }

    /// <summary>One cluster by name.</summary>
    public static ClusterSelection Of(string name) => new() { Names = [name] };
}

/// <summary>Request for one page of objects of many clusters.</summary>
public sealed record FleetQuery
{
    /// <summary>Objects of a page when the request does not say; as kubectl's chunks.</summary>
    public const int DefaultLimit = 500;

    /// <summary>Most objects of a page.</summary>
    public const int MaxLimit = 10_000;

    /// <summary>Time that the clusters have to answer when the request does not say.</summary>
    public static readonly TimeSpan DefaultDeadline = TimeSpan.FromSeconds(5);

    /// <summary>Longest deadline of a request.</summary>
    public static readonly TimeSpan MaxDeadline = TimeSpan.FromSeconds(60);

    /// <summary>Which clusters.</summary>
    public ClusterSelection Clusters { get; init; } = ClusterSelection.All;

    /// <summary>Which objects.</summary>
    public required ObjectQuery Objects { get; init; }

    /// <summary>Mirror or live.</summary>
    public ReadSource Source { get; init; }

    /// <summary>Most objects of the page: 1 to <see cref="MaxLimit"/>.</summary>
    public int Limit { get; init; } = DefaultLimit;

    /// <summary>Token of the page before, which must come from the same query; null or empty for the first page.</summary>
    public string? Continue { get; init; }

    /// <summary>All or nothing: an <see cref="IncompleteReadException"/> where one selected cluster is not covered by an up-to-date answer.</summary>
    public bool Strict { get; init; }

    /// <summary>Time that the clusters have to answer: above zero, at most <see cref="MaxDeadline"/>.</summary>
    public TimeSpan Deadline { get; init; } = DefaultDeadline;

    /// <summary>How much of each object.</summary>
    public Projection Projection { get; init; }
}

/// <summary>Request for the objects of one name: one cluster's, or those of every selected cluster that has it.</summary>
public sealed record FleetGetQuery
{
    /// <summary>Which clusters.</summary>
    public ClusterSelection Clusters { get; init; } = ClusterSelection.All;

    /// <summary>The kind, as in <see cref="ObjectQuery.Kind"/>.</summary>
    public required string Kind { get; init; }

    /// <summary>Namespace; empty for cluster-scoped kinds.</summary>
    public string Namespace { get; init; } = "";

    /// <summary>Name.</summary>
    public required string Name { get; init; }

    /// <summary>Mirror or live.</summary>
    public ReadSource Source { get; init; }

    /// <summary>How much of the object.</summary>
    public Projection Projection { get; init; }

    /// <summary>All or nothing, as in <see cref="FleetQuery.Strict"/>.</summary>
    public bool Strict { get; init; }

    /// <summary>Time that the clusters have to answer.</summary>
    public TimeSpan Deadline { get; init; } = FleetQuery.DefaultDeadline;
}

/// <summary>Request to count objects of many clusters.</summary>
public sealed record FleetCountQuery
{
    /// <summary>Most groups of an answer; the rest is summed as <see cref="FleetCounts.Other"/>.</summary>
    public const int MaxGroups = 10_000;

    /// <summary>Which clusters.</summary>
    public ClusterSelection Clusters { get; init; } = ClusterSelection.All;

    /// <summary>Which objects.</summary>
    public required ObjectQuery Objects { get; init; }

    /// <summary>What to count by, outermost first; at most 3, none twice.</summary>
    public ImmutableArray<GroupBy> By { get; init; } = [];

    /// <summary>All or nothing, as in <see cref="FleetQuery.Strict"/>.</summary>
    public bool Strict { get; init; }

    /// <summary>Time that the clusters have to answer.</summary>
    public TimeSpan Deadline { get; init; } = FleetQuery.DefaultDeadline;
}

/// <summary>Request to watch objects of many clusters.</summary>
public sealed record FleetWatchQuery
{
    /// <summary>Time between bookmarks when the request does not say.</summary>
    public static readonly TimeSpan DefaultBookmarkEvery = TimeSpan.FromSeconds(10);

    /// <summary>Which clusters. Clusters that come to match later join the watch, those that no longer match take leave of it.</summary>
    public ClusterSelection Clusters { get; init; } = ClusterSelection.All;

    /// <summary>Which objects.</summary>
    public required ObjectQuery Objects { get; init; }

    /// <summary>Revision of a list, or of the last event received: what changed after it comes. Null or empty for the present first.</summary>
    public string? Since { get; init; }

    /// <summary>How much of each object.</summary>
    public Projection Projection { get; init; }

    /// <summary>Longest time without a batch: 1 second to 1 minute. Without changes a batch comes that holds only a revision.</summary>
    public TimeSpan BookmarkEvery { get; init; } = DefaultBookmarkEvery;

    /// <summary>How long the end of the present state waits for clusters that do not answer, as in <see cref="FleetQuery.Deadline"/>.</summary>
    public TimeSpan Deadline { get; init; } = FleetQuery.DefaultDeadline;
}
