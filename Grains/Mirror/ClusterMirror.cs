using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Mirror;

/// <summary>Everything that is mirrored of one member cluster: a table per kind, and the history of all their changes.</summary>
/// <remarks>
/// Each table has its own writer; tables may be written at the same time. All reading members are safe from any thread.
/// To list so that a watch can follow: draw a revision from the clock first, then take snapshots, then read the history after that revision.
/// </remarks>
internal sealed class ClusterMirror
{
    // A member compacts its past after five minutes by default; a revision from further back leads nowhere.
    private static readonly TimeSpan RemembersFor = TimeSpan.FromMinutes(10);

    private readonly TimeProvider _time;
    private long _tookOverAt;
    private ImmutableSortedDictionary<string, KindTable> _kinds = ImmutableSortedDictionary.Create<string, KindTable>(StringComparer.Ordinal);
    private long _retainedBytes;
    private long _byteBudget;

    /// <param name="cluster">Name of the cluster.</param>
    /// <param name="clock">The process's clock.</param>
    /// <param name="time">For freshness.</param>
    /// <param name="bounds">Bounds.</param>
    /// <param name="hasJustJoined">Whether nobody can have seen anything of this cluster before: then watches from before may go on.
    /// False for a cluster that was known and whose earlier changes are lost with the process that saw them.</param>
    public ClusterMirror(string cluster, FleetClock clock, TimeProvider time, MirrorBounds bounds, bool hasJustJoined = false)
    {
        Cluster = cluster;
        Clock = clock;
        _time = time;
        ByteBudget = bounds.ByteBudget ?? long.MaxValue;
        History = new MirrorHistory(Gate, clock, RowsOfAllKinds_NeedsGate, bounds, hasJustJoined ? 0 : clock.Now());
    }

    public string Cluster { get; }

    public FleetClock Clock { get; }

    public MirrorHistory History { get; }

    /// <summary>The kinds in order of their <see cref="ResourceType.GroupResource"/>.</summary>
    public IEnumerable<KindTable> Kinds => Volatile.Read(ref _kinds).Values;

    /// <summary>Objects of all kinds.</summary>
    public long ObjectCount => Kinds.Sum(static kind => (long)kind.ObjectCount);

    /// <summary>Estimated bytes held by rows of all kinds.</summary>
    public long RetainedBytes => Volatile.Read(ref _retainedBytes);

    /// <summary>Most bytes that <see cref="RetainedBytes"/> may reach; <see cref="long.MaxValue"/> when there is no bound.</summary>
    /// <remarks>A lower one takes nothing out; it holds for what comes.</remarks>
    public long ByteBudget
    {
        get => Volatile.Read(ref _byteBudget);
        set => Volatile.Write(ref _byteBudget, value);
    }

    /// <summary>What is known of the revisions that another mirror of this cluster gave out before <see cref="MirrorHistory.BeganAt"/>; null for nothing.</summary>
    public VersionTrail? Before { get; private set; }

    /// <summary>Whether the cluster has left.</summary>
    public bool IsFrozen { get; private set; }

    /// <summary>Held while changes are stamped and published; never while anything is read, packed or waited for.</summary>
    internal Lock Gate { get; } = new();

    /// <summary>The table of a kind, made when it is not there. A kind that is there in another version is removed first.</summary>
    public KindTable AddKind(ResourceType type)
    {
        lock (Gate)
        {
            if (_kinds.TryGetValue(type.GroupResource, out KindTable? known) && known.Type.Version == type.Version)
            {
                return known;
            }
        }

        RemoveKind(type.GroupResource);
        var table = new KindTable(this, type, _time);
        lock (Gate)
        {
            _kinds = _kinds.Add(type.GroupResource, table);
        }

        return table;
    }

    /// <summary>Finds a kind by <see cref="ResourceType.GroupResource"/>, such as <c>deployments.apps</c>.</summary>
    public bool TryGetKind(string groupResource, [MaybeNullWhen(false)] out KindTable kind) =>
        Volatile.Read(ref _kinds).TryGetValue(groupResource, out kind);

    /// <summary>The objects of a kind as of now; null where it is not mirrored.</summary>
    public MirrorSnapshot? SnapshotOf(string groupResource) => TryGetKind(groupResource, out KindTable? kind) ? kind.Snapshot : null;

    /// <summary>All kinds, or one, at one revision exactly: stamps are drawn under the gate.</summary>
    /// <param name="only">The one kind; null for all.</param>
    public MirrorMoment Capture(string? only)
    {
        lock (Gate)
        {
            Dictionary<string, (MirrorSnapshot, MemberPoint)> kinds = new(StringComparer.Ordinal);
            foreach (KindTable kind in _kinds.Values)
            {
                if (only is null || kind.Type.GroupResource == only)
                {
                    kinds.Add(kind.Type.GroupResource, (kind.Snapshot, kind.Point));
                }
            }

            return new MirrorMoment(Clock.Now(), kinds);
        }
    }

    /// <summary>How the revisions that were given out of late translate into versions of the member.</summary>
    public VersionTrail Trace(DateTimeOffset now)
    {
        var trail = new VersionTrailBuilder(FleetClock.Physical(now - VersionTrail.Span));
        lock (Gate)
        {
            foreach (KindTable kind in _kinds.Values)
            {
                trail.Add(kind);
            }

            return trail.Build(History.Trace_NeedsGate(trail));
        }
    }

    /// <summary>This mirror takes the place of another, whose revisions are still about.</summary>
    /// <param name="before">The trail of that one; null where there is none.</param>
    public void TakeOver(VersionTrail? before)
    {
        Before = before;
        _tookOverAt = _time.GetTimestamp();
        History.Begin();
    }

    /// <summary>Lets go of what is known of an earlier mirror, once nobody can go on from there any more.</summary>
    public void ForgetOld()
    {
        if (Before is not null && _time.GetElapsedTime(_tookOverAt) > RemembersFor)
        {
            Before = null;
        }
    }

    /// <summary>Removes a kind whose writer has stopped; all its objects come out as deletions.</summary>
    /// <returns>False when it is not there.</returns>
    public bool RemoveKind(string groupResource)
    {
        if (!TryGetKind(groupResource, out KindTable? kind))
        {
            return false;
        }

        kind.Clear();
        lock (Gate)
        {
            _kinds = _kinds.Remove(groupResource);
        }

        return true;
    }

    /// <summary>The cluster leaves: nothing changes any more, what writers still bring is dropped, and readers of the history come to its end.</summary>
    /// <remarks>The last snapshots stay readable, so that a watch can tell its client of each object that goes with the cluster.</remarks>
    public void Freeze()
    {
        lock (Gate)
        {
            IsFrozen = true;
            History.End_NeedsGate();
        }
    }

    /// <summary>Sums for the fleet's view of this cluster.</summary>
    public MirrorSummary ReadSummary()
    {
        MirrorTotals pods = TotalsOf("pods");
        MirrorTotals nodes = TotalsOf("nodes");
        int nodeCount = TryGetKind("nodes", out KindTable? table) ? table.ObjectCount : 0;
        return new MirrorSummary(
            nodeCount, nodes.In(ReadinessState.Ready), nodes.Schedulable, nodes.Allocatable, pods.Requested, pods.Occupying, pods.ByPhase,
            ObjectCount, RetainedBytes);
    }

    internal bool WouldExceedBudget(long more) => more > 0 && Volatile.Read(ref _retainedBytes) > ByteBudget - more;

    internal void Retain_NeedsGate(long bytes) => Volatile.Write(ref _retainedBytes, _retainedBytes + bytes);

    private MirrorTotals TotalsOf(string groupResource) =>
        TryGetKind(groupResource, out KindTable? kind) ? kind.Snapshot.Totals : MirrorTotals.Empty;

    private List<(ResourceType Type, RowTree Rows)> RowsOfAllKinds_NeedsGate()
    {
        List<(ResourceType, RowTree)> tables = [];
        foreach (KindTable kind in _kinds.Values)
        {
            tables.Add((kind.Type, kind.Rows));
        }

        return tables;
    }
}

/// <summary>Sums over one mirrored cluster.</summary>
/// <param name="Nodes">All nodes.</param>
/// <param name="ReadyNodes">Nodes whose condition Ready is true.</param>
/// <param name="SchedulableNodes">Nodes that are not cordoned.</param>
/// <param name="Allocatable">What all nodes can allocate.</param>
/// <param name="Requested">What scheduled pods that have not ended request.</param>
/// <param name="OccupyingPods">How many such pods there are.</param>
/// <param name="PodsByPhase">All pods by phase.</param>
/// <param name="Objects">Mirrored objects of all kinds.</param>
/// <param name="RetainedBytes">Estimated bytes that they take.</param>
internal sealed record MirrorSummary(
    int Nodes, int ReadyNodes, int SchedulableNodes, ResourceAmounts Allocatable, ResourceAmounts Requested, int OccupyingPods,
    ImmutableSortedDictionary<string, int> PodsByPhase, long Objects, long RetainedBytes);

/// <summary>Kinds of one cluster at one revision, and where they stood in the member's own count. Immutable.</summary>
/// <param name="stamp">The revision: every change stamped up to it is in it, and no other.</param>
/// <param name="kinds">By group-resource.</param>
internal sealed class MirrorMoment(long stamp, IReadOnlyDictionary<string, (MirrorSnapshot Snapshot, MemberPoint Point)> kinds)
{
    public long Stamp => stamp;

    /// <summary>The objects of a kind; null where it was not mirrored.</summary>
    public MirrorSnapshot? Find(string groupResource) => kinds.TryGetValue(groupResource, out var kind) ? kind.Snapshot : null;

    /// <summary>The member's version of a kind; 0 where there was nothing of it, -1 where it cannot be told.</summary>
    public long VersionOf(string groupResource) => PointOf(groupResource).Version;

    /// <summary>Where all of a kind was told.</summary>
    public MemberPoint PointOf(string groupResource) => kinds.TryGetValue(groupResource, out var kind) ? kind.Point : new MemberPoint(0, null, 0);
}
