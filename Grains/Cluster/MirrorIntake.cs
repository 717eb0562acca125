using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>Stands between a reflector and the table of its kind: counts, and tells of changes.</summary>
/// <remarks>
/// One loop calls it, as any sink. <see cref="Events"/> may be read and <see cref="Close"/> called from any thread: a loop that
/// does not stop in time must not write beside the one that takes its place.
/// </remarks>
internal sealed class MirrorIntake(KindTable table, HeapTidying tidying, Action? changed) : IReflectorSink
{
    private long _events;
    private volatile bool _isClosed;

    /// <summary>Changes taken over from watches.</summary>
    public long Events => Volatile.Read(ref _events);

    /// <summary>Nothing passes any more.</summary>
    public void Close() => _isClosed = true;

    public void BeginReplace()
    {
        ThrowIfClosed();
        table.BeginReplace();
    }

    public void BeginReplaceAfterRestore()
    {
        ThrowIfClosed();
        table.BeginReplaceAfterRestore();
    }

    public void Replace(ReadOnlySpan<byte> item)
    {
        ThrowIfClosed();
        table.Replace(item);
    }

    public void EndReplace(string resourceVersion)
    {
        ThrowIfClosed();
        long before = table.RetainedBytes;
        table.EndReplace(resourceVersion);
        tidying.Listed(table.RetainedBytes - before);
        changed?.Invoke();
    }

    public void AbortReplace()
    {
        if (!_isClosed)
        {
            table.AbortReplace();
        }
    }

    public void Apply(WatchChange change, ReadOnlySpan<byte> item)
    {
        ThrowIfClosed();
        table.Apply(change, item);
        Volatile.Write(ref _events, _events + 1);   // one writer
        changed?.Invoke();
    }

    public void Bookmark(string resourceVersion)
    {
        ThrowIfClosed();
        table.Bookmark(resourceVersion);
    }

    private void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw new OperationCanceledException("The mirror of this kind was stopped.");
        }
    }
}
