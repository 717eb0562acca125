using System.Net.Http.Headers;
using System.Text.Json;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>The whole answer to a unary request that succeeded (2xx or 304).</summary>
/// <remarks>Holds a part of the process's <see cref="AnswerBudget"/>: dispose it when the body is used, at the latest when it is let go.</remarks>
/// <param name="Status">HTTP status code.</param>
/// <param name="Body">Body, decompressed.</param>
/// <param name="ContentType">Media type with its parameters; empty when the server named none.</param>
public sealed record KubeResponse(int Status, ReadOnlyMemory<byte> Body, string ContentType) : IDisposable
{
    // A row of 12 bytes for each token, and a token takes two bytes of text or more; beside the text itself.
    private const int DocumentWeight = 7;

    /// <summary>Entity tag for <c>If-None-Match</c>; null when there is none.</summary>
    public string? ETag { get; init; }

    /// <summary>Texts of the <c>Warning: 299</c> headers.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    internal AnswerHold? Hold { get; init; }

    /// <summary>Reads the body as JSON; the document dies with this answer.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="KubeException">There was no room for it in time.</exception>
    public async ValueTask<JsonDocument> ParseAsync(CancellationToken cancellationToken = default)
    {
        if (Hold is { } hold)
        {
            await hold.GrowAsync((long)Body.Length * DocumentWeight, cancellationToken);
        }

        return JsonDocument.Parse(Body);
    }

    /// <summary>Gives back what it holds of the budget.</summary>
    public void Dispose() => Hold?.Dispose();
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
