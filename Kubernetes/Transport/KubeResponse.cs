using System.Net.Http.Headers;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>The whole answer to a unary request that succeeded (2xx or 304).</summary>
/// <param name="Status">HTTP status code.</param>
/// <param name="Body">Body, decompressed.</param>
/// <param name="ContentType">Media type with its parameters; empty when the server named none.</param>
public sealed record KubeResponse(int Status, ReadOnlyMemory<byte> Body, string ContentType)
{
    /// <summary>Entity tag for <c>If-None-Match</c>; null when there is none.</summary>
    public string? ETag { get; init; }

    /// <summary>Texts of the <c>Warning: 299</c> headers.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}

/// <summary>An answer that succeeded and whose body is read as it arrives.</summary>
/// <remarks>
/// Reading may throw <see cref="IOException"/> or <see cref="HttpRequestException"/>; <c>ErrorClassifier</c> turns them into errors.
/// Dispose it to end the request: until then it holds its connection and the credentials it was opened with.
/// </remarks>
public sealed class KubeStream : IAsyncDisposable
{
    private readonly HttpResponseMessage _response;
    private readonly ConnectionLease _lease;
    private int _disposed;

    internal KubeStream(HttpResponseMessage response, Stream body, ConnectionLease lease)
    {
        _response = response;
        _lease = lease;
        Body = body;
    }

    /// <summary>Body, decompressed, without a time limit of its own.</summary>
    public Stream Body { get; }

    /// <summary>HTTP status code.</summary>
    public int Status => (int)_response.StatusCode;

    /// <summary>Headers of the answer.</summary>
    public HttpResponseHeaders Headers => _response.Headers;

    /// <summary>Headers of the body.</summary>
    public HttpContentHeaders ContentHeaders => _response.Content.Headers;

    /// <summary>HTTP version in use.</summary>
    public Version Version => _response.Version;

    /// <summary>Ends the request; a body that is not read to its end is aborted.</summary>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _response.Dispose();
            _lease.Dispose();
        }

        return ValueTask.CompletedTask;
    }
}
