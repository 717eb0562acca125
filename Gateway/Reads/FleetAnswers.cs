using System.Collections.Immutable;
using System.Globalization;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>One object and the cluster that it is from.</summary>
/// <param name="Cluster">Name of the cluster.</param>
/// <param name="Row">Key, uid and readiness. Its offset and length mean nothing here.</param>
/// <param name="Json">The cluster's own JSON without <c>managedFields</c>; empty with <see cref="Projection.None"/>. Read-only, valid as long as it is held.</param>
public readonly record struct FleetItem(string Cluster, ObjectRow Row, ReadOnlyMemory<byte> Json);

/// <summary>One page of objects, ordered by cluster, then by the bytes of <c>namespace/name</c>.</summary>
public sealed record FleetPage
{
    /// <summary>The objects.</summary>
    public ImmutableArray<FleetItem> Items { get; init; } = [];

    /// <summary>
    /// What the page covers, ordered by cluster: every cluster that was asked for it, and of the clusters that come with later
    /// pages those that are known to be sick, so that the first page already tells what will be missing.
    /// </summary>
    public ImmutableArray<ClusterCoverage> Coverage { get; init; } = [];

    /// <summary>Clusters that the request selects, on all pages together.</summary>
    public int Selected { get; init; }

    /// <summary>Token of the next page, at most 512 bytes of letters, digits and <c>. - _ ~</c>; null on the last page.</summary>
    public string? Continue { get; init; }

    /// <summary>A watch from here makes the list true from then on; the same for every page of a list.</summary>
    public required long Revision { get; init; }

    /// <summary><see cref="Revision"/> as text.</summary>
    public string RevisionText => Revision.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The objects of one name, ordered by cluster.</summary>
public sealed record FleetObjects
{
    /// <summary>The objects: none where no covered cluster has it.</summary>
    public ImmutableArray<FleetItem> Items { get; init; } = [];

    /// <summary>What the answer covers, ordered by cluster.</summary>
    public ImmutableArray<ClusterCoverage> Coverage { get; init; } = [];

    /// <summary>Revision from which a watch makes the answer true from then on.</summary>
    public required long Revision { get; init; }
}

/// <summary>How many objects there are.</summary>
public sealed record FleetCounts
{
    /// <summary>The groups, largest first, then by values.</summary>
    public ImmutableArray<GroupCount> Groups { get; init; } = [];

    /// <summary>Objects of groups that were too many to name.</summary>
    public long Other { get; init; }

    /// <summary>All objects; not the sum of the groups where an object is in several.</summary>
    public long Total { get; init; }

    /// <summary>What the answer covers, ordered by cluster.</summary>
    public ImmutableArray<ClusterCoverage> Coverage { get; init; } = [];
}

/// <summary>One kind, as the selected clusters serve it.</summary>
/// <param name="Group">API group; empty for the core group.</param>
/// <param name="Version">Version.</param>
/// <param name="Plural">Name in URLs.</param>
/// <param name="Kind">Kind of one object.</param>
/// <param name="Namespaced">Whether its objects live in namespaces.</param>
/// <param name="ShortNames">Short names.</param>
/// <param name="Objects">Objects in the mirror over all selected clusters.</param>
/// <param name="Clusters">Names of the clusters that serve it in this version, ordered.</param>
public sealed record FleetKind(
    string Group,
    string Version,
    string Plural,
    string Kind,
    bool Namespaced,
    ImmutableArray<string> ShortNames,
    long Objects,
    ImmutableArray<string> Clusters);

/// <summary>The kinds of the selected clusters.</summary>
public sealed record FleetKinds
{
    /// <summary>The kinds, ordered by group, plural and version.</summary>
    public ImmutableArray<FleetKind> Kinds { get; init; } = [];

    /// <summary>What the answer covers, ordered by cluster.</summary>
    public ImmutableArray<ClusterCoverage> Coverage { get; init; } = [];
}

/// <summary>One change of one object.</summary>
/// <param name="Type">What happened, as the query sees it.</param>
/// <param name="Item">The object; for <see cref="ChangeType.Deleted"/> its last state that matched.</param>
/// <param name="Stamp">Fleet revision of the change itself. Orders the changes of one object; not safe to resume from.</param>
/// <param name="Revision">A watch that resumes from here repeats a change at worst and never misses one; 0 while there is no such revision yet.</param>
public readonly record struct FleetEvent(ChangeType Type, FleetItem Item, long Stamp, long Revision);

/// <summary>Why a watch ended.</summary>
public enum FleetWatchEnd
{
    /// <summary>It has not.</summary>
    None,

    /// <summary>The kept history does not reach back to the revision (HTTP 410): list again.</summary>
    Expired,

    /// <summary>The reader was too slow: resume from the last revision, or list again.</summary>
    TooSlow,
}

/// <summary>What happened since the batch before, in order per object.</summary>
public sealed record FleetWatchBatch
{
    /// <summary>The changes; may be empty.</summary>
    public ImmutableArray<FleetEvent> Events { get; init; } = [];

    /// <summary>Coverage of clusters where it has changed, and of every cluster once at the start.</summary>
    public ImmutableArray<ClusterCoverage> Coverage { get; init; } = [];

    /// <summary>Clusters that are no longer part of the watch; everything they had has come out as deleted.</summary>
    public ImmutableArray<string> Gone { get; init; } = [];

    /// <summary>Revision to resume from after this batch; 0 while there is none yet, because a cluster still owes its present state.</summary>
    public long Revision { get; init; }

    /// <summary>
    /// True on the one batch after which the present state is complete, as far as clusters answered within the deadline;
    /// objects of the others come later as added. Without <see cref="FleetWatchQuery.Since"/> only.
    /// </summary>
    public bool InitialEnd { get; init; }

    /// <summary>Why this is the last batch.</summary>
    public FleetWatchEnd End { get; init; }

    /// <summary>What the reader should do now; null while the watch goes on.</summary>
    public string? EndMessage { get; init; }
}
