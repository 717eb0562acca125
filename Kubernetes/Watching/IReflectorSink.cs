namespace MultiCluster.Kubernetes.Watching;

/// <summary>What a watch event says about its object.</summary>
public enum WatchChange
{
    /// <summary>The object appeared, or was there when the watch began.</summary>
    Added,

    /// <summary>The object has another state than before.</summary>
    Modified,

    /// <summary>The object is gone; what is delivered is its last state with the revision of the deletion.</summary>
    Deleted,
}

/// <summary>Receives what a <c>Reflector</c> hears about one resource of one cluster.</summary>
/// <remarks>
/// One loop calls it, never two at once, and it must not block: what it needs beyond the call it copies, because every span
/// dies when the call returns. Spans hold exactly one JSON object in UTF-8 that is whole (its braces balance), but not
/// checked further; list items of built-in resources carry no <c>apiVersion</c> and <c>kind</c>, all others do.
/// A sink that cannot use an object throws <see cref="FormatException"/>: the reflector counts it as a protocol error of
/// that resource, keeps what was there and starts over with a list after its backoff.
/// </remarks>
public interface IReflectorSink
{
    /// <summary>A list begins. What comes until <see cref="EndReplace"/> is everything there is; what was there before stays visible meanwhile.</summary>
    void BeginReplace();

    /// <summary>
    /// As <see cref="BeginReplace"/>, after the server has gone back to an older state: it may give a revision that was seen before to another
    /// state, so that the same revision no longer means the same object.
    /// </summary>
    void BeginReplaceAfterRestore() => BeginReplace();

    /// <summary>One object of the list.</summary>
    void Replace(ReadOnlySpan<byte> item);

    /// <summary>The list is whole: what it did not hold is gone. Applied as a difference.</summary>
    /// <param name="resourceVersion">Revision of the list; empty where changes that the list should have held follow at once, and then a bookmark with it.</param>
    void EndReplace(string resourceVersion);

    /// <summary>The list broke off. Everything stays as it was before <see cref="BeginReplace"/>.</summary>
    void AbortReplace();

    /// <summary>One change from the watch.</summary>
    void Apply(WatchChange change, ReadOnlySpan<byte> item);

    /// <summary>The server says that we have seen everything up to this revision.</summary>
    void Bookmark(string resourceVersion);
}
