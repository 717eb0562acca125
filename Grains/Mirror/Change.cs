using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Mirror;

/// <summary>One change of one object of one cluster.</summary>
/// <param name="Stamp">Its fleet revision; no two changes of a process share one.</param>
/// <param name="Resource">Of which kind.</param>
/// <param name="Type">What happened. An object that was deleted and made anew shows as both.</param>
/// <param name="Old">State before; null when it was added, and when it had left the history already.</param>
/// <param name="New">State after; null when it was deleted.</param>
internal sealed record Change(long Stamp, ResourceType Resource, WatchChange Type, MirrorRow? Old, MirrorRow? New)
{
    /// <summary>The row that shows the object: the new state, or the last one of a deleted object.</summary>
    public MirrorRow Row => New ?? Old!;
}
