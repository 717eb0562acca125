using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Mirror;

/// <summary>One change of one object of one cluster.</summary>
/// <param name="Stamp">Its fleet revision; no two changes of a process share one.</param>
/// <param name="Resource">Of which kind.</param>
/// <param name="Type">What happened. An object that was deleted and made anew shows as both.</param>
/// <param name="Old">State before; null when it was added, and when it had left the history already.</param>
/// <param name="New">State after; null when it was deleted.</param>
/// <param name="Mark">Where the kind stands after it in the member's own count.</param>
internal sealed record Change(long Stamp, ResourceType Resource, WatchChange Type, MirrorRow? Old, MirrorRow? New, MemberMark Mark = default)
{
    /// <summary>The row that shows the object: the new state, or the last one of a deleted object.</summary>
    public MirrorRow Row => New ?? Old!;
}

/// <summary>Where a kind stands after a change, as a version of its member.</summary>
internal readonly record struct MemberMark
{
    private readonly long _bits;

    private MemberMark(long version, MarkReach reach) => _bits = (version << 2) | (long)reach;

    /// <summary>How much of the kind is as of <see cref="Version"/>.</summary>
    public MarkReach Reach => (MarkReach)(_bits & 3);

    /// <summary>The member's resourceVersion; 0 where the member has nothing of the kind.</summary>
    public long Version => _bits >> 2;

    /// <summary>The mark of one of the changes that, together and in list order, lead to a version.</summary>
    /// <param name="version">The version; negative where it cannot be told.</param>
    /// <param name="isLast">Whether it is the last of them.</param>
    /// <param name="isBetween">Whether the next is about the same key.</param>
    public static MemberMark For(long version, bool isLast, bool isBetween) => version < 0
        ? new MemberMark(0, isBetween ? MarkReach.Between : MarkReach.Unknown)
        : new MemberMark(version, isLast ? MarkReach.Whole : isBetween ? MarkReach.Between : MarkReach.Through);
}

/// <summary>How much of a kind is as of a version after a change.</summary>
internal enum MarkReach
{
    /// <summary>It cannot be told.</summary>
    Unknown,

    /// <summary>The next change belongs to the same object: a watch must not rest here.</summary>
    Between,

    /// <summary>What stands before it in list order, and itself; the rest is as it was before.</summary>
    Through,

    /// <summary>Everything.</summary>
    Whole,
}
