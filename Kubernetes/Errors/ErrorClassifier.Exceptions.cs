using System.Net;
using System.Net.Http;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace MultiCluster.Kubernetes.Errors;

/// <summary>The server's certificate was not accepted; the message says why and what helps.</summary>
public sealed class ServerCertificateException : AuthenticationException
{
    /// <summary>Refuses a certificate for a reason.</summary>
    public ServerCertificateException(string message)
        : base(message) { }
}

/// <content>Exceptions of HTTP, TLS and sockets.</content>
public static partial class ErrorClassifier
{
    // Error codes of HTTP/2 (RFC 9113, section 7).
    private const long NoError = 0x0;
    private const long ProtocolError = 0x1;
    private const long InternalError = 0x2;
    private const long StreamClosed = 0x5;
    private const long RefusedStream = 0x7;
    private const long Cancel = 0x8;
    private const long EnhanceYourCalm = 0xb;

    /// <summary>Classifies an exception that a request or the reading of its body threw.</summary>
    /// <param name="exception">The exception; a <see cref="KubeException"/> gives its own error.</param>
    /// <param name="server">Server to name in the message.</param>
    /// <remarks>Cancellation counts as a timeout here: a caller that cancelled itself must not ask.</remarks>
    public static KubeError FromException(Exception exception, Uri server)
    {
        ArgumentNullException.ThrowIfNull(exception);
        ArgumentNullException.ThrowIfNull(server);
        string host = server.GetComponents(UriComponents.HostAndPort, UriFormat.UriEscaped);
        for (Exception? e = exception; e is not null; e = e.InnerException)
        {
            if (Of(e, host) is { } error)
            {
                return error;
            }
        }

        return exception switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => Refused(host, "the connection failed"),
            HttpRequestException or IOException => Refused(host, "the connection broke"),
            _ => new KubeError(KubeErrorKind.Protocol, $"Talking to {host} failed in an unexpected way ({exception.GetType().Name})."),
        };
    }

    private static KubeError? Of(Exception exception, string host) => exception switch
    {
        KubeException known => known.Error,
        ServerCertificateException refused => new KubeError(KubeErrorKind.Tls, $"TLS to {host} failed: {refused.Message}"),
        AuthenticationException e => new KubeError(KubeErrorKind.Tls, $"TLS to {host} failed: {TlsReason(e)}"),
        SocketException e => OfSocket(e.SocketErrorCode, host),
        TimeoutException or OperationCanceledException => new KubeError(
            KubeErrorKind.Timeout, $"{host} did not answer in time. Check the address, firewalls and the load of the API server."),
        // A server that resets a stream or says goodbye speaks HTTP/2 well; other codes are our side's complaint about what came.
        HttpProtocolException { ErrorCode: NoError or InternalError or StreamClosed or RefusedStream or Cancel or EnhanceYourCalm } => Refused(host, "the answer broke off"),
        // The platform ends a connection with this code when a ping on it was not answered: a server that hangs. One that breaks the rules of HTTP/2 looks the same.
        HttpProtocolException { ErrorCode: ProtocolError } => new KubeError(
            KubeErrorKind.Timeout, $"{host} no longer answers on a connection that was open. Check the load of the API server, and whether something between ends connections."),
        HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } => Refused(host, "the answer broke off"),
        HttpIOException { HttpRequestError: HttpRequestError.HttpProtocolError or HttpRequestError.InvalidResponse } => Foreign(host),
        HttpRequestException e => OfHttp(e, host),
        InvalidDataException => new KubeError(KubeErrorKind.Protocol, $"{host} sent a body that cannot be decompressed."),
        _ => null,
    };

    private static KubeError? OfHttp(HttpRequestException e, string host) => e.HttpRequestError switch
    {
        HttpRequestError.NameResolutionError => UnknownHost(host),
        HttpRequestError.SecureConnectionError when e.InnerException is not AuthenticationException and not SocketException =>
            new KubeError(KubeErrorKind.Tls, $"TLS to {host} failed: the server ended the handshake. It may not speak TLS on this port, or want a client certificate."),
        HttpRequestError.InvalidResponse => Foreign(host),
        HttpRequestError.HttpProtocolError when e.InnerException is null => Foreign(host),
        HttpRequestError.ProxyTunnelError => new KubeError(
            KubeErrorKind.ConnectionRefused, $"The proxy did not open a connection to {host}. Check proxy-url and what the proxy allows."),
        HttpRequestError.ConfigurationLimitExceeded => new KubeError(
            KubeErrorKind.Protocol, $"{host} sent more than this client takes (headers or body over the limit)."),
        _ => null,
    };

    private static KubeError OfSocket(SocketError code, string host) => code switch
    {
        SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain or SocketError.NoRecovery => UnknownHost(host),
        SocketError.TimedOut => new KubeError(KubeErrorKind.Timeout, $"{host} did not take the connection in time. Check the address and firewalls."),
        SocketError.ConnectionRefused => Refused(host, "nobody listens there"),
        SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.NetworkDown => Refused(host, "there is no route to it"),
        _ => Refused(host, "the connection broke"),
    };

    private static KubeError UnknownHost(string host) =>
        new(KubeErrorKind.NameResolution, $"The name of {host} does not resolve. Correct the server address or the DNS.");

    private static KubeError Refused(string host, string why) =>
        new(KubeErrorKind.ConnectionRefused, $"No connection to {host}: {why}. Check that the API server runs and can be reached from here.");

    private static KubeError Foreign(string host) =>
        new(KubeErrorKind.Protocol, $"What answers at {host} does not speak HTTP as an API server does. Check address, port and http or https.");

    private static string TlsReason(AuthenticationException e)
    {
        // The platform tells the peer's alert in the message of the innermost exception only.
        Exception deepest = e;
        while (deepest.InnerException is { } inner)
        {
            deepest = inner;
        }

        string text = deepest.Message;
        if (text.Contains("alert", StringComparison.OrdinalIgnoreCase)
            && (text.Contains("certificate", StringComparison.OrdinalIgnoreCase) || text.Contains("unknown ca", StringComparison.OrdinalIgnoreCase)))
        {
            return "the server refused our client certificate. Replace the credentials.";
        }

        return "the handshake failed. The server may not speak TLS on this port, or no protocol version that both accept.";
    }
}
