namespace Grpc.Core;

/// <summary>Adds credentials to the headers of a call; runs once per call and may fetch them first.</summary>
public delegate Task AsyncAuthInterceptor(AuthInterceptorContext context, Metadata metadata);

/// <summary>For which call credentials are wanted.</summary>
public class AuthInterceptorContext
{
    /// <summary>A call without a token.</summary>
    public AuthInterceptorContext(string serviceUrl, string methodName)
        : this(serviceUrl, methodName, CancellationToken.None)
    {
    }

    /// <summary>A call.</summary>
    public AuthInterceptorContext(string serviceUrl, string methodName, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(serviceUrl);
        ArgumentNullException.ThrowIfNull(methodName);
        ServiceUrl = serviceUrl;
        MethodName = methodName;
        CancellationToken = cancellationToken;
    }

    /// <summary>Scheme, host, port and service.</summary>
    public string ServiceUrl { get; }

    /// <summary>The method without its service.</summary>
    public string MethodName { get; }

    /// <summary>Fires when the call is over.</summary>
    public CancellationToken CancellationToken { get; }
}

/// <summary>Credentials that travel in the headers of each call; sent over TLS only, unless the channel allows otherwise.</summary>
public abstract class CallCredentials
{
    /// <summary>All of these, in order.</summary>
    public static CallCredentials Compose(params CallCredentials[] credentials)
    {
        ArgumentNullException.ThrowIfNull(credentials);
        ArgumentOutOfRangeException.ThrowIfLessThan(credentials.Length, 2, nameof(credentials));
        return new Composite([.. credentials]);
    }

    /// <summary>Credentials that a function adds.</summary>
    public static CallCredentials FromInterceptor(AsyncAuthInterceptor interceptor)
    {
        ArgumentNullException.ThrowIfNull(interceptor);
        return new Intercepted(interceptor);
    }

    internal abstract Task ApplyAsync(AuthInterceptorContext context, Metadata metadata);

    private sealed class Composite(CallCredentials[] parts) : CallCredentials
    {
        internal override async Task ApplyAsync(AuthInterceptorContext context, Metadata metadata)
        {
            foreach (CallCredentials part in parts)
            {
                await part.ApplyAsync(context, metadata);
            }
        }
    }

    private sealed class Intercepted(AsyncAuthInterceptor interceptor) : CallCredentials
    {
        internal override Task ApplyAsync(AuthInterceptorContext context, Metadata metadata) => interceptor(context, metadata);
    }
}

/// <summary>How a channel is secured; must agree with the scheme of its address.</summary>
public abstract class ChannelCredentials
{
    /// <summary>Plain HTTP/2.</summary>
    public static ChannelCredentials Insecure { get; } = new Plain(secure: false);

    /// <summary>TLS; which certificates are trusted is the HTTP handler's matter.</summary>
    public static ChannelCredentials SecureSsl { get; } = new Plain(secure: true);

    internal abstract bool IsSecure { get; }

    internal virtual CallCredentials? PerCall => null;

    /// <summary>TLS with credentials in every call.</summary>
    public static ChannelCredentials Create(ChannelCredentials channelCredentials, CallCredentials callCredentials)
    {
        ArgumentNullException.ThrowIfNull(channelCredentials);
        ArgumentNullException.ThrowIfNull(callCredentials);
        return new Composite(channelCredentials, callCredentials);
    }

    private sealed class Plain(bool secure) : ChannelCredentials
    {
        internal override bool IsSecure => secure;
    }

    private sealed class Composite(ChannelCredentials channel, CallCredentials calls) : ChannelCredentials
    {
        internal override bool IsSecure => channel.IsSecure;

        internal override CallCredentials PerCall => channel.PerCall is { } inner ? CallCredentials.Compose(inner, calls) : calls;
    }
}
