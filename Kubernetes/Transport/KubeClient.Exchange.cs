using System.Net.Http.Headers;
using System.Text;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <content>One request and its answer.</content>
public sealed partial class KubeClient
{
    // Error bodies beyond a Status are HTML or logs: the beginning is enough to tell.
    private const int MaxErrorBytes = KubeError.MaxStatusBytes;

    // Shorter ones are no secret, and would tear words apart.
    private const int MinSecretLength = 8;

    // A length that is only announced costs no memory.
    private const int MaxFirstBuffer = 1024 * 1024;

    private async Task<Answer> AskAsync(KubeRequest request, CancellationToken cancellationToken)
    {
        using Exchange exchange = await ExchangeAsync(request, set => set.Unary, cancellationToken);
        HttpResponseMessage response = exchange.Response;
        if (!response.IsSuccessStatusCode && (int)response.StatusCode != 304)
        {
            return new Answer(null, await ReadErrorAsync(response, cancellationToken));
        }

        AnswerHold hold = _share.Begin();
        try
        {
            ReadOnlyMemory<byte> body = await ReadBodyAsync(request, response, hold, cancellationToken);
            return new Answer(
                new KubeResponse((int)response.StatusCode, body, response.Content.Headers.ContentType?.ToString() ?? "")
                {
                    ETag = response.Headers.ETag?.ToString(),
                    Warnings = response.Headers.Warning.Count == 0 ? [] : [.. response.Headers.Warning.Where(w => w.Code == 299).Select(w => w.Text.Trim('"'))],
                    Hold = hold,
                },
                null);
        }
        catch
        {
            hold.Dispose();
            throw;
        }
    }

    /// <summary>Sends; after a 401 once more if the token's source gives another token by now.</summary>
    private async Task<Exchange> ExchangeAsync(KubeRequest request, Func<ConnectionSet, HttpMessageInvoker> pool, CancellationToken cancellationToken)
    {
        ConnectionLease lease = Lease();
        try
        {
            TokenReader tokens = lease.Set.Tokens;
            string? token = await tokens.GetAsync(refused: null, cancellationToken);
            HttpResponseMessage response = await SendOnceAsync(request, lease.Set, pool, token, cancellationToken);
            if ((int)response.StatusCode == 401 && token is not null && tokens.MayChange)
            {
                string? other = await tokens.GetAsync(refused: token, cancellationToken);
                if (other != token)
                {
                    response.Dispose();
                    response = await SendOnceAsync(request, lease.Set, pool, other, cancellationToken);
                }
            }

            return new Exchange(response, lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    private static async Task<HttpResponseMessage> SendOnceAsync(
        KubeRequest request, ConnectionSet set, Func<ConnectionSet, HttpMessageInvoker> pool, string? token, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(request.Method, KubeRequest.UrlOf(set.Connection.Server, request.Path))
        {
            Version = System.Net.HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        _ = message.Headers.TryAddWithoutValidation("Accept", request.Accept);
        _ = message.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
        if (request.IfNoneMatch is { } tag)
        {
            _ = message.Headers.TryAddWithoutValidation("If-None-Match", tag);
        }

        if (request.ContentType is { } contentType)
        {
            message.Content = new ReadOnlyMemoryContent(request.Body);
            message.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        }

        // The handler takes the name for TLS from here, whatever its own options say.
        message.Headers.Host = set.Connection.TlsServerName;
        RequestHeaders.Authorize(message, set.Connection, token);
        return await pool(set).SendAsync(message, cancellationToken);
    }

    private ConnectionLease Lease()
    {
        while (true)
        {
            // Null only between a replacement and the next look at the field.
            if (Connections.TryLease() is { } lease)
            {
                return lease;
            }
        }
    }

    private async Task PaceAsync(TimeSpan maxWait, CancellationToken cancellationToken)
    {
        if (!_pacer.TryReserve(maxWait, out TimeSpan wait))
        {
            throw new KubeException(new KubeError(
                KubeErrorKind.Throttled,
                $"Our own limit of {_options.RequestsPerSecond:0.#} requests per second to this cluster is used up for {wait.TotalSeconds:0.0} s. Send fewer requests or raise the limit.")
            {
                Reason = KubeErrorReasons.ClientLimit,
                RetryAfter = wait,
            });
        }

        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, _time, cancellationToken);
        }
    }

    // The server's word is the minimum; the jitter keeps those it refused together from returning together.
    private TimeSpan? WaitBeforeRepeat(KubeRequest request, KubeError error, int attempt) =>
        error.HttpStatus is 429 or 503 && error.RetryAfter is { } asked && request.MayRepeat && attempt < _options.MaxRetries
            ? asked + (asked * 0.25 * _random())
            : null;

    private async Task<KubeError> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        byte[] body;
        try
        {
            await using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            byte[] buffer = new byte[MaxErrorBytes];
            int count = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            body = buffer[..count];
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            body = [];   // the status alone says enough
        }

        return ErrorClassifier.FromAnswer(
            (int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.RetryAfter, WithoutToken(body), _time.GetUtcNow());
    }

    /// <summary>Classifies the object of a watch's ERROR event.</summary>
    internal KubeError WatchErrorOf(ReadOnlySpan<byte> status) => ErrorClassifier.FromWatchError(WithoutToken(status));

    /// <summary>An error text of the server, without our token where a proxy or a server in its debug mode echoes it.</summary>
    private ReadOnlySpan<byte> WithoutToken(ReadOnlySpan<byte> text)
    {
        if (_connections?.Tokens.Current is not { Length: >= MinSecretLength } token || text.IndexOf(Encoding.UTF8.GetBytes(token)) < 0)
        {
            return text;
        }

        return Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(text).Replace(token, "[redacted]", StringComparison.Ordinal));
    }

    private async Task<ReadOnlyMemory<byte>> ReadBodyAsync(
        KubeRequest request, HttpResponseMessage response, AnswerHold hold, CancellationToken cancellationToken)
    {
        var all = new AnswerLimit(_options.MaxResponseBytes, nameof(KubeClientOptions.MaxResponseBytes));
        AnswerLimit limit = request.Limit is { } own && own.Bytes < all.Bytes ? own : all;
        long? announced = response.Content.Headers.ContentLength;
        if (announced > limit.Bytes)
        {
            throw limit.Exceeded(request.Path);
        }

        // What comes is counted, not what is announced: a few bytes of gzip can hold any number.
        await using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        int first = announced is { } length ? (int)Math.Clamp(length, 1, MaxFirstBuffer) : 16 * 1024;
        await hold.GrowAsync(first, cancellationToken);
        byte[] buffer = new byte[first];
        int count = 0;
        while (true)
        {
            int read = await stream.ReadAsync(buffer.AsMemory(count), cancellationToken);
            count += read;
            if (read == 0 || count == announced)
            {
                return buffer.AsMemory(0, count);
            }

            if (count > limit.Bytes)
            {
                throw limit.Exceeded(request.Path);
            }

            if (count == buffer.Length)
            {
                int next = (int)Math.Min(buffer.Length * 2L, limit.Bytes + 1L);
                await hold.GrowAsync(next, cancellationToken);
                Array.Resize(ref buffer, next);
            }
        }
    }

    private readonly record struct Answer(KubeResponse? Response, KubeError? Error);

    private sealed record Exchange(HttpResponseMessage Response, ConnectionLease Lease) : IDisposable
    {
        public void Dispose()
        {
            Response.Dispose();
            Lease.Dispose();
        }
    }
}
