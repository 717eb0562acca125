using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>The connections made with one state of the credentials: one pool for unary requests, one for streams.</summary>
/// <remarks>
/// Replacing credentials makes a new set and retires this one; it is disposed when its last request ends, so that running
/// watches go on. Thread-safe.
/// </remarks>
internal sealed class ConnectionSet : IDisposable
{
    // TCP's share of the connect time; what is left belongs to TLS and the answer.
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(4);

    // One window's worth of a list is in flight while we parse; the runtime scales it up to 16 MiB on long lines.
    private const int StreamWindowBytes = 1024 * 1024;

    private readonly ServerTrust _trust;
    private readonly SslStreamCertificateContext? _certificate;
    private readonly List<X509Certificate2> _certificates = [];
    private int _uses = 1;
    private int _retired;

    public ConnectionSet(ClusterConnection connection, KubeClientOptions options, TimeProvider time)
    {
        Connection = connection;
        Tokens = new TokenReader(connection, options, time);
        _trust = new ServerTrust(connection);
        _certificate = connection.Credentials.Certificate is { } own ? LoadCertificate(own.CertificatePem, own.KeyPem) : null;
        Unary = new HttpMessageInvoker(MakeHandler(options, options.MaxConnections, compressed: true));
        Streams = new HttpMessageInvoker(MakeHandler(options, options.MaxStreamConnections, options.CompressStreams));
    }

    public ClusterConnection Connection { get; }

    public TokenReader Tokens { get; }

    public HttpMessageInvoker Unary { get; }

    public HttpMessageInvoker Streams { get; }

    /// <summary>Holds the set for one request; null when it is gone already.</summary>
    public ConnectionLease? TryLease()
    {
        int seen = Volatile.Read(ref _uses);
        while (seen > 0)
        {
            int now = Interlocked.CompareExchange(ref _uses, seen + 1, seen);
            if (now == seen)
            {
                return new ConnectionLease(this);
            }

            seen = now;
        }

        return null;
    }

    /// <summary>Takes no more requests; what runs goes on and the last one closes the connections.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _retired, 1) == 0)
        {
            Release();
        }
    }

    /// <summary>Gives up one hold: the owner's, or a lease's.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _uses) > 0)
        {
            return;
        }

        Unary.Dispose();
        Streams.Dispose();
        Tokens.Dispose();
        _trust.Dispose();
        foreach (X509Certificate2 certificate in _certificates)
        {
            certificate.Dispose();
        }
    }

    private SslStreamCertificateContext LoadCertificate(string certificatePem, string keyPem)
    {
        X509Certificate2 leaf = X509Certificate2.CreateFromPem(certificatePem, keyPem);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(certificatePem);
        _certificates.Add(leaf);
        _certificates.AddRange(chain);
        chain.RemoveAt(0);
        return SslStreamCertificateContext.Create(leaf, chain, offline: true);
    }

    private SocketsHttpHandler MakeHandler(KubeClientOptions options, int connections, bool compressed)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = Connection.Proxy is not null,
            Proxy = Connection.Proxy is { } proxy ? MakeProxy(proxy) : null,
            AutomaticDecompression = compressed ? DecompressionMethods.GZip : DecompressionMethods.None,
            MaxConnectionsPerServer = connections,
            EnableMultipleHttp2Connections = true,
            InitialHttp2StreamWindowSize = StreamWindowBytes,
            PooledConnectionLifetime = options.ConnectionLifetime,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            KeepAlivePingDelay = options.KeepAliveDelay,
            KeepAlivePingTimeout = options.KeepAliveDelay,
            ConnectTimeout = Timeout.InfiniteTimeSpan,   // ConnectAsync has its own, with a typed failure
            ActivityHeadersPropagator = null,
            RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
            ConnectCallback = (context, cancel) => ConnectAsync(context.DnsEndPoint, options.KeepAliveDelay, cancel),
        };
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) => _trust.Accept(certificate, chain, errors),
            ClientCertificateContext = _certificate,
        };
        if (_certificate is null && Tokens.MayHoldCertificate)
        {
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => Tokens.Certificate!;
        }

        return handler;
    }

    private static WebProxy MakeProxy(Uri url)
    {
        var proxy = new WebProxy(new UriBuilder(url) { UserName = "", Password = "" }.Uri);
        if (url.UserInfo.Length > 0)
        {
            string[] parts = url.UserInfo.Split(':', 2);
            proxy.Credentials = new NetworkCredential(Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
        }

        return proxy;
    }

    private static async ValueTask<Stream> ConnectAsync(DnsEndPoint target, TimeSpan keepAlive, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            // HTTP/1.1 has no ping: the kernel's keep-alive is what notices a peer that vanished under a quiet watch.
            int seconds = Math.Max(1, (int)keepAlive.TotalSeconds);
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, seconds);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, Math.Max(1, seconds / 3));
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            deadline.CancelAfter(ConnectTimeout);
            try
            {
                await socket.ConnectAsync(target, deadline.Token);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                throw new KubeException(new KubeError(
                    KubeErrorKind.Timeout, $"{target.Host}:{target.Port} did not take the connection in time. Check the address and firewalls.")
                {
                    Reason = KubeErrorReasons.ConnectTimeout,
                });
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>One request's hold on a connection set.</summary>
internal sealed class ConnectionLease(ConnectionSet set) : IDisposable
{
    private int _released;

    public ConnectionSet Set => set;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
        {
            set.Release();
        }
    }
}
