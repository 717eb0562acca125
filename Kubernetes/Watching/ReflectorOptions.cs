namespace MultiCluster.Kubernetes.Watching;

/// <summary>Whether lists are streamed as the beginning of a watch (<c>sendInitialEvents</c>).</summary>
public enum WatchListMode
{
    /// <summary>Tried first; a server that refuses is asked again, by any reflector of the same client, when its version has changed or after six hours.</summary>
    Auto,

    /// <summary>Never tried.</summary>
    Never,
}

/// <summary>How one kind of one cluster is listed and watched.</summary>
public sealed record ReflectorOptions
{
    /// <summary>Only this namespace; null for all.</summary>
    public string? Namespace { get; init; }

    /// <summary>Only objects with these labels; null for all.</summary>
    public string? LabelSelector { get; init; }

    /// <summary>Only objects with these fields; null for all.</summary>
    public string? FieldSelector { get; init; }

    /// <summary>Whether only metadata is asked for (<c>PartialObjectMetadata</c>), as for secrets.</summary>
    public bool MetadataOnly { get; init; }

    /// <summary>Objects per list page; a server that answers from its watch cache sends everything in one.</summary>
    /// <value>Default 500, as kubectl; from 1 to 10,000.</value>
    public int PageSize { get; init; } = 500;

    /// <summary>Whether to try streaming lists.</summary>
    /// <value>Default <see cref="WatchListMode.Auto"/>.</value>
    public WatchListMode WatchList { get; init; } = WatchListMode.Auto;

    /// <summary>Shortest time the server is asked to hold a watch; each watch draws a time between this and twice this.</summary>
    /// <value>Default 5 minutes, as client-go.</value>
    public TimeSpan MinWatchTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Largest single object; above it the answer counts as a protocol error.</summary>
    /// <value>Default 8 MiB: etcd takes 1.5 MiB, so real objects stay far below.</value>
    public int MaxObjectBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>Longest silence inside a list, or before the end of a streamed one.</summary>
    /// <value>Default 30 seconds.</value>
    public TimeSpan ListStallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Longest time for one list with all its pages.</summary>
    /// <value>Default 10 minutes: 400 MB over a line of 1 MB/s fit.</value>
    public TimeSpan ListTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How often a server is taken to send bookmarks once it has sent two; three missed ones cut the watch.</summary>
    /// <value>Default 1 minute, as the API server has it.</value>
    public TimeSpan BookmarkInterval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Gates that bound how many lists run at once, entered in this order: the cluster's own first, then the process's.</summary>
    /// <remarks>
    /// The cluster's gate should be much narrower than the process's, so that one slow cluster cannot fill it.
    /// A place is kept until its list is whole or has failed; a gate may take it back before, from a list that hangs.
    /// </remarks>
    public IReadOnlyList<IListGate> ListGates { get; init; } = [];

    /// <summary>Source of jitter, from 0 to 1; tests fix it.</summary>
    internal Func<double> Random { get; init; } = System.Random.Shared.NextDouble;
}
