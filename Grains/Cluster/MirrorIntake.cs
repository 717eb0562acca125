using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>Stands between a reflector and the table of its kind: counts, and tells of changes.</summary>
/// <remarks>One loop calls it, as any sink. <see cref="Events"/> may be read from any thread.</remarks>
internal sealed class MirrorIntake(IReflectorSink table, Action? changed) : IReflectorSink
{
    private long _events;

    /// <summary>Changes taken over from watches.</summary>
    public long Events => Volatile.Read(ref _events);

    public void BeginReplace() => table.BeginReplace();

    public void Replace(ReadOnlySpan<byte> item) => table.Replace(item);

    public void EndReplace(string resourceVersion)
    {
        table.EndReplace(resourceVersion);
        changed?.Invoke();
    }

    public void AbortReplace() => table.AbortReplace();

    public void Apply(WatchChange change, ReadOnlySpan<byte> item)
    {
        table.Apply(change, item);
        Volatile.Write(ref _events, _events + 1);   // one writer
        changed?.Invoke();
    }

    public void Bookmark(string resourceVersion) => table.Bookmark(resourceVersion);
}
