using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>One request to an API server.</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Absolute path with its query, already escaped, such as <c>/api/v1/pods?limit=500</c>.</param>
public sealed record KubeRequest(HttpMethod Method, string Path)
{
    /// <summary>Body; ignored while <see cref="ContentType"/> is null.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Media type of the body; null for no body.</summary>
    public string? ContentType { get; init; }

    /// <summary>What to accept.</summary>
    /// <value>Default <c>application/json</c>.</value>
    public string Accept { get; init; } = "application/json";

    /// <summary>Entity tag that the answer must differ from; otherwise it is 304 without a body.</summary>
    public string? IfNoneMatch { get; init; }

    /// <summary>Deadline that replaces <see cref="KubeClientOptions.RequestTimeout"/>, or for streams <see cref="KubeClientOptions.HeadersTimeout"/>.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether sending it twice does no more than sending it once.</summary>
    /// <value>Null: decided by the method (all but POST and PATCH, of PATCH only server-side apply).</value>
    public bool? Idempotent { get; init; }

    /// <summary>The most that the answer may have; null for <see cref="KubeClientOptions.MaxResponseBytes"/>.</summary>
    internal AnswerLimit? Limit { get; init; }

    internal bool MayRepeat => Idempotent ?? (Method != HttpMethod.Post
        && (Method != HttpMethod.Patch || ContentType?.StartsWith("application/apply-patch", StringComparison.Ordinal) == true));

    /// <summary>A GET.</summary>
    public static KubeRequest Get(string path) => new(HttpMethod.Get, path);

    /// <summary>The URL under a server, whose own path comes first.</summary>
    /// <exception cref="KubeException">The path would leave the server's own path.</exception>
    internal static Uri UrlOf(Uri server, string path)
    {
        int end = path.IndexOf('?', StringComparison.Ordinal);
        ReadOnlySpan<char> steps = path.AsSpan(0, end < 0 ? path.Length : end);
        if (!steps.StartsWith('/') || HasDotStep(steps) || path.Contains('#', StringComparison.Ordinal))
        {
            throw new KubeException(KubeErrorKind.Invalid, "The request path must start with '/' and hold neither '#' nor the steps '.' and '..'.");
        }

        return new Uri(string.Concat(server.GetLeftPart(UriPartial.Path).TrimEnd('/'), path), UriKind.Absolute);
    }

    private static bool HasDotStep(ReadOnlySpan<char> steps)
    {
        foreach (Range range in steps.Split('/'))
        {
            ReadOnlySpan<char> step = steps[range];
            if (step.Length <= 6 && step.Length > 0 && Uri.UnescapeDataString(step) is "." or "..")
            {
                return true;
            }
        }

        return false;
    }
}
