using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MultiCluster.Gateway.Http;

// The JSON of /v1. Property names are camelCase, enumerations snake_case; times are RFC 3339, spans are seconds.

/// <summary>Something that is wrong, in words a user can act on.</summary>
/// <param name="Kind">A machine-readable kind, such as <c>Unauthorized</c>, <c>Tls</c>, <c>NameResolution</c>.</param>
/// <param name="Message">What happened and what to do.</param>
/// <param name="Field">Field of the request, where one is at fault.</param>
internal sealed record HttpFault(string Kind, string Message, string? Field);

/// <summary>Amounts of what a pod may ask for.</summary>
internal sealed record HttpAmounts(long CpuMillis, long MemoryBytes, long Pods, long Gpus);

/// <summary>Which kinds are mirrored.</summary>
internal sealed record HttpMirrorScope
{
    /// <summary>Only these, by group-resource (<c>pods</c>, <c>deployments.apps</c>, <c>*.example.com</c>); empty for every kind but the deny list, whose kinds are mirrored only where they are named in full.</summary>
    public IReadOnlyList<string>? Include { get; init; }

    /// <summary>Not these; wins over <c>include</c>.</summary>
    public IReadOnlyList<string>? Exclude { get; init; }

    /// <summary>Mirror the data of secrets too.</summary>
    public bool SecretData { get; init; }

    /// <summary>Most bytes of packed objects; 0 for the service's own setting <c>Mirror:ByteBudget</c>.</summary>
    public long ByteBudget { get; init; }
}

/// <summary>A registered cluster and how it stands.</summary>
internal sealed record HttpCluster
{
    public required string Name { get; init; }

    public required Guid Uid { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public required bool Enabled { get; init; }

    public required string Server { get; init; }

    public required DateTimeOffset RegisteredAt { get; init; }

    /// <summary>Counts the changes by users.</summary>
    public required long Generation { get; init; }

    public required HttpMirrorScope Mirror { get; init; }

    public required HttpClusterStatus Status { get; init; }
}

/// <summary>How a cluster stands.</summary>
internal sealed record HttpClusterStatus
{
    /// <summary>pending, online, degraded, offline, auth_failed or disabled.</summary>
    public required string Phase { get; init; }

    public HttpFault? Fault { get; init; }

    public required DateTimeOffset Since { get; init; }

    /// <summary>Version of the API server.</summary>
    public string Version { get; init; } = "";

    public int NodesReady { get; init; }

    public int Nodes { get; init; }

    public HttpAmounts? Allocatable { get; init; }

    public HttpAmounts? Requested { get; init; }

    public IReadOnlyDictionary<string, int>? PodsByPhase { get; init; }

    public long Objects { get; init; }

    public long Bytes { get; init; }

    public int Kinds { get; init; }

    public int KindsSyncing { get; init; }

    public int KindsFailing { get; init; }

    public int KindsStale { get; init; }

    public DateTimeOffset? HeardAt { get; init; }

    public double ChangesPerSecond { get; init; }
}

/// <summary>All selected clusters.</summary>
internal sealed record HttpClusterList(IReadOnlyList<HttpCluster> Items);

/// <summary>What the checks of a connection found.</summary>
internal sealed record HttpChecks(
    bool Reachable,
    bool Authenticated,
    string Version,
    string User,
    IReadOnlyList<string> Groups,
    IReadOnlyList<string> MissingPermissions,
    double LatencySeconds);

/// <summary>One kind of one cluster, and how the mirror stands with it.</summary>
internal sealed record HttpMirroredKind(
    string Group,
    string Version,
    string Plural,
    string Kind,
    bool Namespaced,
    IReadOnlyList<string> ShortNames,
    string State,
    long Objects,
    long Bytes,
    DateTimeOffset? HeardAt,
    string ResourceVersion,
    long Lists,
    HttpFault? Fault);

/// <summary>Everything known of one cluster.</summary>
internal sealed record HttpClusterDetail(
    HttpCluster Cluster, HttpChecks? Checks, IReadOnlyList<HttpMirroredKind> Kinds, DateTimeOffset? ProbedAt);

/// <summary>How to reach a cluster: a kubeconfig, or server and credentials.</summary>
internal record HttpConnection
{
    /// <summary>A kubeconfig file as text, with its data inline.</summary>
    public string? Kubeconfig { get; init; }

    /// <summary>Context of the kubeconfig; its current one by default.</summary>
    public string? Context { get; init; }

    /// <summary>URL of the API server.</summary>
    public string? Server { get; init; }

    /// <summary>PEM; without it the system's own trust.</summary>
    public string? CertificateAuthority { get; init; }

    /// <summary>Bearer token.</summary>
    public string? Token { get; init; }

    /// <summary>PEM of a client certificate.</summary>
    public string? ClientCertificate { get; init; }

    /// <summary>PEM of its key.</summary>
    public string? ClientKey { get; init; }

    public string? TlsServerName { get; init; }

    public bool InsecureSkipTlsVerify { get; init; }

    public string? ProxyUrl { get; init; }

    /// <inheritdoc/>
    public override string ToString() => "connection";
}

/// <summary>Request to register a cluster.</summary>
internal sealed record HttpRegistration : HttpConnection
{
    /// <summary>A DNS label.</summary>
    public string? Name { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    public HttpMirrorScope? Mirror { get; init; }

    /// <summary>Register it as pending even where the checks fail.</summary>
    public bool Force { get; init; }

    /// <summary>Run the checks and change nothing.</summary>
    public bool DryRun { get; init; }

    /// <inheritdoc/>
    public override string ToString() => "registration";
}

/// <summary>Request to use other credentials.</summary>
internal sealed record HttpReplacement : HttpConnection
{
    /// <summary>Take them even where the checks fail.</summary>
    public bool Force { get; init; }

    /// <inheritdoc/>
    public override string ToString() => "credentials";
}

/// <summary>Request to change a cluster; what is absent stays.</summary>
internal sealed record HttpClusterUpdate
{
    /// <summary>All labels that it shall have from now on.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    public bool? Enabled { get; init; }

    public HttpMirrorScope? Mirror { get; init; }

    /// <summary>Generation that you have seen; 0 changes whatever is there.</summary>
    public long IfGeneration { get; init; }
}

/// <summary>What came of a registration or of new credentials.</summary>
internal sealed record HttpRegistrationResult(
    HttpCluster? Cluster, HttpChecks Checks, IReadOnlyList<HttpFault> Faults, IReadOnlyList<string> Warnings);

/// <summary>What an answer covers of one cluster.</summary>
/// <param name="Cluster">Name.</param>
/// <param name="State">ok, stale, syncing, offline, forbidden, not_served, timeout, disabled, not_mirrored or failed.</param>
/// <param name="AgeSeconds">Seconds since the kind was last heard of; null where it never was.</param>
/// <param name="Items">Objects of this cluster in this answer.</param>
/// <param name="Fault">What is wrong.</param>
internal sealed record HttpCoverage(string Cluster, string State, double? AgeSeconds, int Items, HttpFault? Fault);

/// <summary>One object: the cluster's own JSON under <c>object</c>.</summary>
internal sealed record HttpItem(
    string Cluster,
    [property: JsonPropertyName("namespace")] string Namespace,
    string Name,
    string Uid,
    string Readiness,
    string? ReadinessReason,
    [property: JsonPropertyName("object")] JsonElement? Object);

/// <summary>One page of objects.</summary>
/// <param name="Revision">A watch from here makes the list true from then on.</param>
/// <param name="Continue">Token of the next page; null on the last.</param>
/// <param name="Coverage">What the page covers.</param>
/// <param name="Items">The objects.</param>
internal sealed record HttpPage(string Revision, string? Continue, IReadOnlyList<HttpCoverage> Coverage, IReadOnlyList<HttpItem> Items);

/// <summary>Counts by group.</summary>
internal sealed record HttpCounts(long Total, long Other, IReadOnlyList<HttpGroup> Groups, IReadOnlyList<HttpCoverage> Coverage);

/// <summary>One group.</summary>
internal sealed record HttpGroup(IReadOnlyList<string> Values, long Count);

/// <summary>The kinds of the selected clusters.</summary>
internal sealed record HttpKinds(IReadOnlyList<HttpKind> Kinds, IReadOnlyList<HttpCoverage> Coverage);

/// <summary>One kind.</summary>
internal sealed record HttpKind(
    string Group, string Version, string Plural, string Kind, bool Namespaced, IReadOnlyList<string> ShortNames, long Objects, IReadOnlyList<string> Clusters);

/// <summary>An error: RFC 9457, with the fields that are at fault.</summary>
internal sealed record HttpProblem(
    string Title, int Status, string Detail, IReadOnlyList<HttpFault>? Faults, IReadOnlyList<HttpCoverage>? Coverage)
{
    /// <summary>When it is worth another try; goes out as the header <c>Retry-After</c>.</summary>
    [JsonIgnore]
    public TimeSpan? RetryAfter { get; init; }
}

[JsonSerializable(typeof(HttpCluster))]
[JsonSerializable(typeof(HttpClusterList))]
[JsonSerializable(typeof(HttpClusterDetail))]
[JsonSerializable(typeof(HttpRegistration))]
[JsonSerializable(typeof(HttpReplacement))]
[JsonSerializable(typeof(HttpClusterUpdate))]
[JsonSerializable(typeof(HttpRegistrationResult))]
[JsonSerializable(typeof(HttpPage))]
[JsonSerializable(typeof(HttpCounts))]
[JsonSerializable(typeof(HttpKinds))]
[JsonSerializable(typeof(HttpCoverage))]
[JsonSerializable(typeof(HttpProblem))]
[JsonSerializable(typeof(HttpItem))]
internal sealed partial class HttpJson : JsonSerializerContext
{
    /// <summary>The JSON of <c>/v1</c>: quotes and apostrophes of our sentences stay readable, and no property may come twice in a request.</summary>
    /// <remarks>Not escaping <c>'</c> and <c>&lt;</c> is safe because no answer is HTML, and none may be taken for it (<c>nosniff</c>).</remarks>
    public static HttpJson Api { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        AllowDuplicateProperties = false,
    });
}
