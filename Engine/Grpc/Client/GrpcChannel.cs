using System.Collections.Concurrent;
using Grpc.Core;
using MultiCluster.Engine.Grpc.Client;
using MultiCluster.Engine.Grpc.Wire;

namespace Grpc.Net.Client;

/// <summary>How a channel connects.</summary>
public sealed class GrpcChannelOptions
{
    /// <summary>How the channel is secured; must agree with the scheme of the address.</summary>
    /// <value>Default null: the scheme decides.</value>
    public ChannelCredentials? Credentials { get; set; }

    /// <summary>Largest response message in bytes, after decompression; larger ones end the call with RESOURCE_EXHAUSTED.</summary>
    /// <value>Default 4 MiB; null for no limit.</value>
    public int? MaxReceiveMessageSize { get; set; } = GrpcNames.DefaultMaxReceiveMessageSize;

    /// <summary>Largest request message in bytes; larger ones fail the write with RESOURCE_EXHAUSTED.</summary>
    /// <value>Default null, no limit.</value>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>What sends the requests: trust, client certificates, proxies, connections are set there. It must speak HTTP/2.</summary>
    /// <value>Default null: a handler of its own, which the channel disposes.</value>
    public HttpMessageHandler? HttpHandler { get; set; }

    /// <summary>Whether disposing the channel disposes <see cref="HttpHandler"/>.</summary>
    /// <value>Default false.</value>
    public bool DisposeHttpClient { get; set; }

    /// <summary>Whether a cancelled call throws <see cref="OperationCanceledException"/> instead of <see cref="RpcException"/>.</summary>
    /// <value>Default false.</value>
    public bool ThrowOperationCanceledOnCancellation { get; set; }

    /// <summary>Whether call credentials are sent over plain HTTP too, where anybody on the way can read them.</summary>
    /// <value>Default false.</value>
    public bool UnsafeUseInsecureChannelCallCredentials { get; set; }
}

/// <summary>A way to one server over HTTP/2, shared by any number of clients and calls. Thread-safe.</summary>
/// <remarks>Connections are opened when they are needed. Disposing the channel cancels its running calls.</remarks>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private readonly ConcurrentDictionary<string, Uri> _methodAddresses = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _disposing = new();
    private readonly GrpcChannelOptions _options;
    private int _disposed;

    private GrpcChannel(Uri address, GrpcChannelOptions options)
        : base(address.Authority)
    {
        bool secure = address.Scheme == Uri.UriSchemeHttps;
        if (options.Credentials is { } credentials && credentials.IsSecure != secure)
        {
            throw new InvalidOperationException(
                $"The channel's credentials are {(credentials.IsSecure ? "for TLS" : "insecure")}, but the address is '{address}'. Change one of them.");
        }

        Address = address;
        _options = options;
        CallCredentials = options.Credentials?.PerCall;
        SendsCallCredentials = secure || options.UnsafeUseInsecureChannelCallCredentials;
        Http = options.HttpHandler is { } handler
            ? new HttpMessageInvoker(handler, options.DisposeHttpClient)
            : new HttpMessageInvoker(new SocketsHttpHandler { EnableMultipleHttp2Connections = true, AllowAutoRedirect = false, UseCookies = false }, disposeHandler: true);
    }

    internal Uri Address { get; }

    internal HttpMessageInvoker Http { get; }

    internal CallCredentials? CallCredentials { get; }

    internal bool SendsCallCredentials { get; }

    internal int? MaxReceiveMessageSize => _options.MaxReceiveMessageSize;

    internal int? MaxSendMessageSize => _options.MaxSendMessageSize;

    internal bool ThrowsCancellation => _options.ThrowOperationCanceledOnCancellation;

    internal CancellationToken Disposing => _disposing.Token;

    /// <summary>A channel to <c>http://host:port</c> or <c>https://host:port</c>.</summary>
    public static GrpcChannel ForAddress(string address) => ForAddress(address, new GrpcChannelOptions());

    /// <summary>A channel with options.</summary>
    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions) => ForAddress(new Uri(address), channelOptions);

    /// <summary>A channel to an address.</summary>
    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    /// <summary>A channel with options.</summary>
    /// <exception cref="ArgumentException">The address is neither http nor https.</exception>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        if (!address.IsAbsoluteUri || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
        {
            throw new ArgumentException($"The address '{address}' of a gRPC channel must begin with http:// or https://.", nameof(address));
        }

        return new GrpcChannel(address, channelOptions);
    }

    /// <inheritdoc/>
    public override CallInvoker CreateCallInvoker()
    {
        ObjectDisposedException.ThrowIf(_disposed == 1, this);
        return new HttpCallInvoker(this);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _disposing.Cancel();
            Http.Dispose();
        }
    }

    internal Uri AddressOf(string fullName) => _methodAddresses.GetOrAdd(fullName, static (name, root) => new Uri(root, name), Address);

    /// <inheritdoc/>
    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }
}
