namespace MultiCluster.Kubernetes.Errors;

/// <summary>Why a call to an API server failed, in a form that people can read and programs can act on.</summary>
/// <remarks>Immutable. Holds no credential: what goes in is stripped of tokens by <see cref="ErrorClassifier"/>.</remarks>
/// <param name="Kind">What to do about it.</param>
/// <param name="Message">One or two sentences for people: what happened and what helps.</param>
public sealed record KubeError(KubeErrorKind Kind, string Message)
{
    /// <summary>Largest <c>Status</c> document that is kept, in bytes: real ones stay below 10 KiB.</summary>
    public const int MaxStatusBytes = 64 * 1024;

    /// <summary>HTTP status code; null when there was no HTTP answer.</summary>
    public int? HttpStatus { get; init; }

    /// <summary>The server's <c>reason</c>, such as <c>AlreadyExists</c>; null when it gave none.</summary>
    public string? Reason { get; init; }

    /// <summary>How long the server asks to wait before the next try; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The server's <c>Status</c> object as it came, in UTF-8; empty when it sent none or one over <see cref="MaxStatusBytes"/>.</summary>
    public ReadOnlyMemory<byte> StatusJson { get; init; }

    /// <summary>Whether the server was asked for a resourceVersion that it has not reached yet.</summary>
    public bool ResourceVersionTooLarge { get; init; }

    /// <summary>Whether the same request may succeed later without anybody changing anything.</summary>
    public bool IsTransient => Kind is KubeErrorKind.Throttled or KubeErrorKind.ServerError or KubeErrorKind.Timeout
        or KubeErrorKind.ConnectionRefused or KubeErrorKind.NameResolution;

    /// <inheritdoc/>
    public override string ToString() => HttpStatus is { } status ? $"{Kind} ({status}): {Message}" : $"{Kind}: {Message}";
}

/// <summary>A call to an API server failed; <see cref="Error"/> says why and what to do.</summary>
public sealed class KubeException : Exception
{
    /// <summary>Wraps an error whose cause is known.</summary>
    public KubeException(KubeError error, Exception? inner = null)
        : base(error.Message, inner) => Error = error;

    /// <summary>Wraps an error of the given kind.</summary>
    public KubeException(KubeErrorKind kind, string message, Exception? inner = null)
        : this(new KubeError(kind, message), inner) { }

    /// <summary>Why.</summary>
    public KubeError Error { get; }

    /// <summary>Shorthand for the kind of <see cref="Error"/>.</summary>
    public KubeErrorKind Kind => Error.Kind;
}
