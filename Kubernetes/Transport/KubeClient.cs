using System.Reflection;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>The one client of one cluster's API server.</summary>
/// <remarks>
/// <para>Thread-safe. Every failure is a <see cref="KubeException"/>, except a cancellation by the caller's own token, which stays
/// an <see cref="OperationCanceledException"/>.</para>
/// <para>Unary requests end within their timeout, retries included; streams have a deadline for their headers only, and whoever
/// reads them watches over their silence. Requests wait for the client-side limit; probes do not, because a busy mirror must
/// not look like a sick cluster.</para>
/// </remarks>
public sealed partial class KubeClient : IAsyncDisposable
{
    private static readonly string UserAgent =
        $"multicluster/{typeof(KubeClient).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0"}";

    private readonly KubeClientOptions _options;
    private readonly TimeProvider _time;
    private readonly RequestPacer _pacer;
    private readonly Func<double> _random;
    private readonly AnswerShare _share;
    private volatile ConnectionSet? _connections;

    /// <summary>Makes a client; nothing is sent yet.</summary>
    /// <param name="connection">Server and credentials.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <param name="time">Clock; null for the system's.</param>
    /// <param name="answers">What the answers of all clients of the process may hold together; null for a budget of its own.</param>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A certificate or key cannot be read; <see cref="ClusterConnection.Check"/> says which.</exception>
    public KubeClient(ClusterConnection connection, KubeClientOptions? options = null, TimeProvider? time = null, AnswerBudget? answers = null)
        : this(connection, options, time, Random.Shared.NextDouble, answers) { }

    internal KubeClient(
        ClusterConnection connection, KubeClientOptions? options, TimeProvider? time, Func<double> random, AnswerBudget? answers = null)
    {
        ArgumentNullException.ThrowIfNull(connection);
        _options = options ?? new KubeClientOptions();
        _time = time ?? TimeProvider.System;
        _random = random;
        _share = (answers ?? new AnswerBudget(_options, _time)).OpenShare();
        Features = new ServerFeatures(_time);
        _pacer = new RequestPacer(_options.RequestsPerSecond, _options.Burst, _time);
        _connections = new ConnectionSet(connection, _options, _time);
    }

    /// <summary>Server and credentials that new requests use.</summary>
    public ClusterConnection Connection => Connections.Connection;

    /// <summary>What this client has learned about its server.</summary>
    public ServerFeatures Features { get; }

    /// <summary>Clock of the client.</summary>
    public TimeProvider Time => _time;

    /// <summary>The most that a discovery document may have.</summary>
    internal AnswerLimit DiscoveryLimit => new(_options.MaxDiscoveryBytes, nameof(KubeClientOptions.MaxDiscoveryBytes));

    private AnswerLimit ProbeLimit => new(_options.MaxProbeBytes, nameof(KubeClientOptions.MaxProbeBytes));

    private AnswerLimit ReviewLimit => new(_options.MaxReviewBytes, nameof(KubeClientOptions.MaxReviewBytes));

    private ConnectionSet Connections => _connections ?? throw new ObjectDisposedException(nameof(KubeClient));

    /// <summary>New requests use this connection from now on; requests and watches that run go on with the old one.</summary>
    /// <param name="connection">Another server address is allowed as long as it is the same cluster.</param>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A certificate or key cannot be read; the old connection stays.</exception>
    public void ReplaceCredentials(ClusterConnection connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        var next = new ConnectionSet(connection, _options, _time);
        ConnectionSet? old = Connections;
        while (true)
        {
            ConnectionSet? seen = Interlocked.CompareExchange(ref _connections, next, old);
            if (ReferenceEquals(seen, old))
            {
                break;
            }

            old = seen;
            if (old is null)
            {
                next.Dispose();
                throw new ObjectDisposedException(nameof(KubeClient));
            }
        }

        old.Dispose();
    }

    /// <summary>Reads one path.</summary>
    /// <param name="path">Absolute path with its query, already escaped.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="KubeException">It failed.</exception>
    public Task<KubeResponse> GetAsync(string path, CancellationToken cancellationToken = default) =>
        SendAsync(KubeRequest.Get(path), cancellationToken);

    /// <summary>Sends one request with a body.</summary>
    /// <param name="method">HTTP method.</param>
    /// <param name="path">Absolute path with its query, already escaped.</param>
    /// <param name="body">Body; ignored when <paramref name="contentType"/> is null.</param>
    /// <param name="contentType">Media type of the body; null for none.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="KubeException">It failed.</exception>
    public Task<KubeResponse> SendAsync(
        HttpMethod method, string path, ReadOnlyMemory<byte> body, string? contentType, CancellationToken cancellationToken = default) =>
        SendAsync(new KubeRequest(method, path) { Body = body, ContentType = contentType }, cancellationToken);

    /// <summary>Sends one request and reads the whole answer, repeating it while the server asks for that and the time allows.</summary>
    /// <exception cref="KubeException">It failed.</exception>
    public async Task<KubeResponse> SendAsync(KubeRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        TimeSpan timeout = request.Timeout ?? _options.RequestTimeout;
        long start = _time.GetTimestamp();
        using var deadline = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        Uri server = Connections.Connection.Server;
        try
        {
            for (int attempt = 0; ; attempt++)
            {
                await PaceAsync(timeout - _time.GetElapsedTime(start), either.Token);
                Answer answer = await AskAsync(request, either.Token);
                if (answer.Response is { } response)
                {
                    return response;
                }

                TimeSpan? wait = WaitBeforeRepeat(request, answer.Error!, attempt);
                if (wait is null || _time.GetElapsedTime(start) + wait >= timeout)
                {
                    throw new KubeException(answer.Error!);
                }

                await Task.Delay(wait.Value, _time, either.Token);
            }
        }
        catch (Exception e) when (e is not KubeException and not ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            throw new KubeException(ErrorClassifier.FromException(e, server), e);
        }
    }

    /// <summary>Begins to count an answer whose objects are collected by its reader.</summary>
    internal AnswerHold BeginHold() => _share.Begin();

    /// <summary>Opens an answer that is read as it arrives: a list, a watch, a log.</summary>
    /// <exception cref="KubeException">The server refused, or did not send headers in time.</exception>
    public async Task<KubeStream> OpenAsync(KubeRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        TimeSpan timeout = request.Timeout ?? _options.HeadersTimeout;
        using var deadline = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        Uri server = Connections.Connection.Server;
        try
        {
            await PaceAsync(timeout < _options.MaxLimiterWait ? timeout : _options.MaxLimiterWait, either.Token);
            Exchange exchange = await ExchangeAsync(request, set => set.Streams, either.Token);
            try
            {
                if (!exchange.Response.IsSuccessStatusCode)
                {
                    throw new KubeException(await ReadErrorAsync(exchange.Response, either.Token));
                }

                Stream body = await exchange.Response.Content.ReadAsStreamAsync(either.Token);
                return new KubeStream(exchange.Response, body, exchange.Lease);
            }
            catch
            {
                exchange.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is not KubeException and not ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            throw new KubeException(ErrorClassifier.FromException(e, server), e);
        }
    }

    /// <summary>Passes on somebody else's request with this client's credentials and gives back the answer, whatever its status.</summary>
    /// <param name="request">
    /// Method, headers, content and version are the caller's; <c>Authorization</c>, <c>Impersonate-*</c>, <c>Cookie</c> and <c>Host</c> are replaced or dropped.
    /// Not repeated, and a 401 comes back as it is. With version 1.1 and an <c>Upgrade</c> header the answer may be 101 with a duplex stream as its content.
    /// </param>
    /// <param name="path">Absolute path with its query, already escaped.</param>
    /// <param name="cancellationToken">Ends the request while its headers are awaited.</param>
    /// <exception cref="KubeException">No answer came.</exception>
    public async Task<ForwardedAnswer> ForwardAsync(HttpRequestMessage request, string path, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        Uri server = Connections.Connection.Server;
        ConnectionLease? lease = null;
        try
        {
            await PaceAsync(_options.RequestTimeout, cancellationToken);
            lease = Lease();
            string? token = await lease.Set.Tokens.GetAsync(refused: null, cancellationToken);
            request.RequestUri = KubeRequest.UrlOf(lease.Set.Connection.Server, path);
            foreach (string name in request.Headers.Select(header => header.Key).Where(RequestHeaders.IsOurs).ToArray())
            {
                _ = request.Headers.Remove(name);
            }

            request.Headers.Host = lease.Set.Connection.TlsServerName;
            RequestHeaders.Authorize(request, lease.Set.Connection, token);
            HttpResponseMessage response = await lease.Set.Streams.SendAsync(request, cancellationToken);
            return new ForwardedAnswer(response, lease);
        }
        catch (Exception e)
        {
            lease?.Dispose();
            if (e is KubeException or ObjectDisposedException || cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            throw new KubeException(ErrorClassifier.FromException(e, server), e);
        }
    }

    /// <summary>Takes no more requests. Streams that are still open close their connections when they are disposed.</summary>
    public ValueTask DisposeAsync()
    {
        Interlocked.Exchange(ref _connections, null)?.Dispose();
        return ValueTask.CompletedTask;
    }
}
