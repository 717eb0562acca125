namespace MultiCluster.Simulator.Faults;

/// <summary>What a fault does to the requests that it hits.</summary>
public enum FaultKind
{
    /// <summary>Answers late, by <see cref="Fault.Delay"/>, otherwise correctly.</summary>
    Latency,

    /// <summary>Answers with <see cref="Fault.StatusCode"/> in the form in which a real server does.</summary>
    Status,

    /// <summary>Opens the watch with 200 and sends one ERROR event with 410 Expired. Only hits watches.</summary>
    ExpireWatch,

    /// <summary>Breaks the connection after <see cref="Fault.Bytes"/> of the body, in the middle of an object.</summary>
    CutStream,

    /// <summary>Ends the body cleanly after <see cref="Fault.Bytes"/>: half a JSON document that looks finished.</summary>
    HalfDocument,

    /// <summary>Answers 200 with <see cref="Fault.Bytes"/> bytes that are no JSON.</summary>
    Garbage,

    /// <summary>Answers 200 with an HTML page, as a proxy or a login portal does.</summary>
    Html,

    /// <summary>Takes the request and never answers.</summary>
    Silence,

    /// <summary>Answers with one object of <see cref="Fault.Bytes"/> bytes, alone or in a list or event, whatever was asked for.</summary>
    HugeObject,

    /// <summary>Sends the body in pieces of <see cref="Fault.Bytes"/>, each after <see cref="Fault.Delay"/>.</summary>
    SlowDrip,

    /// <summary>Breaks the connection without any answer.</summary>
    Abort,
}

/// <summary>One fault and the requests that it hits: those that fit everything that is set.</summary>
/// <param name="Kind">What it does.</param>
public sealed record Fault(FaultKind Kind)
{
    /// <summary>Kubernetes verb such as <c>list</c>; null for all.</summary>
    public string? Verb { get; init; }

    /// <summary>Plural of the resource such as <c>pods</c>; null for all and for other paths.</summary>
    public string? Resource { get; init; }

    /// <summary>Beginning of the path such as <c>/readyz</c>; null for all.</summary>
    public string? PathPrefix { get; init; }

    /// <summary>How many requests it hits before it ends by itself; null until it is removed.</summary>
    public int? Times { get; init; }

    /// <summary>Delay in the cluster's time; see the kinds.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>HTTP status for <see cref="FaultKind.Status"/>; default 500.</summary>
    public int StatusCode { get; init; } = 500;

    /// <summary><c>Retry-After</c> header in seconds; null for none.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>Number of bytes; see the kinds. Default 1000.</summary>
    public long Bytes { get; init; } = 1000;
}
