namespace MultiCluster.Kubernetes.Transport;

/// <summary>Limits of one <see cref="KubeClient"/>.</summary>
public sealed record KubeClientOptions
{
    /// <summary>Time for one unary request with its retries, from the call to the last byte.</summary>
    /// <value>Default 5 seconds; from 0.1 s to 1 hour.</value>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Time from a streaming request to its response headers.</summary>
    /// <value>Default 70 seconds: an API server gives up on a list itself after 60.</value>
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(70);

    /// <summary>Requests per second that this client sends in the long run.</summary>
    /// <value>Default 50: ten times what client-go allows itself, because one client serves a whole cluster's mirror.</value>
    public double RequestsPerSecond { get; init; } = 50;

    /// <summary>Requests that may be sent at once after a quiet time.</summary>
    /// <value>Default 100, so that the watches of every kind can start together.</value>
    public int Burst { get; init; } = 100;

    /// <summary>Longest wait for the client-side limit of streaming requests; unary requests wait within their timeout.</summary>
    /// <value>Default 30 seconds.</value>
    public TimeSpan MaxLimiterWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Connections for unary requests. Streams have their own, so that a list never waits behind watches nor a probe behind a list.</summary>
    /// <value>Default 16.</value>
    public int MaxConnections { get; init; } = 16;

    /// <summary>Connections for lists, watches and forwarded requests; over HTTP/1.1 each watch takes one.</summary>
    /// <value>Default 512, above the number of kinds that any cluster is known to serve.</value>
    public int MaxStreamConnections { get; init; } = 512;

    /// <summary>How often one unary request is repeated when the server answers 429 or 503 with <c>Retry-After</c>.</summary>
    /// <value>Default 3, within <see cref="RequestTimeout"/>.</value>
    public int MaxRetries { get; init; } = 3;

    /// <summary>Largest body of a unary answer, decompressed; the other three bounds are within it.</summary>
    /// <value>Default 64 MiB: the largest page of a list that is handed on.</value>
    public int MaxResponseBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Largest answer to a probe and to the question for the version.</summary>
    /// <value>Default 64 KiB: a server says "ok", or some hundred bytes of JSON.</value>
    public int MaxProbeBytes { get; init; } = 64 * 1024;

    /// <summary>Largest answer to the question who we are and what we may do.</summary>
    /// <value>Default 512 KiB: a user of many groups and roles.</value>
    public int MaxReviewBytes { get; init; } = 512 * 1024;

    /// <summary>Largest discovery document.</summary>
    /// <value>Default 8 MiB: the aggregated discovery of ten thousand kinds.</value>
    public int MaxDiscoveryBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>Bytes that the answers of all clusters of the process may hold at the same time.</summary>
    /// <value>Default 256 MiB; at least <see cref="MaxHeldBytesPerCluster"/>. Higher lets more large live reads run side by side.</value>
    public long MaxHeldBytes { get; init; } = 256L * 1024 * 1024;

    /// <summary>How much of <see cref="MaxHeldBytes"/> the answers of one cluster may hold.</summary>
    /// <value>Default 64 MiB; at least <see cref="MaxResponseBytes"/>, so that one answer always fits.</value>
    public long MaxHeldBytesPerCluster { get; init; } = 64L * 1024 * 1024;

    /// <summary>Longest wait of an answer for room within these two.</summary>
    /// <value>Default 2 seconds, below <see cref="RequestTimeout"/>, so that the failure says what was waited for.</value>
    public TimeSpan MaxHeldWait { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Whether lists and watches ask for gzip too. Unary requests always do.</summary>
    /// <value>Default false: in one network the server compresses more slowly than the wire carries; switch it on over thin lines.</value>
    public bool CompressStreams { get; init; }

    /// <summary>Whether credential plugins may run programs on this host.</summary>
    /// <value>Default false.</value>
    public bool AllowExec { get; init; }

    /// <summary>How long a connection is used for new requests, so that DNS changes and new API servers are noticed.</summary>
    /// <value>Default 15 minutes; streams on an older connection go on.</value>
    public TimeSpan ConnectionLifetime { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Quiet time after which a connection with requests is tested (HTTP/2 ping, TCP keep-alive).</summary>
    /// <value>Default 15 seconds; a dead peer is noticed about 15 seconds later.</value>
    public TimeSpan KeepAliveDelay { get; init; } = TimeSpan.FromSeconds(15);
}
