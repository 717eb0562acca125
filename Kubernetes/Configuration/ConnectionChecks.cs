using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>What can be wrong with the parts of a connection before anybody is called.</summary>
/// <remarks>Every answer is a sentence about the part, without its content, or null.</remarks>
internal static class ConnectionChecks
{
    private static readonly SearchValues<char> TokenCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=|:");

    public static string? CheckServer(string? text, out Uri? server)
    {
        server = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            return "The server is missing; it must be a URL such as https://10.0.0.1:6443.";
        }

        if (HasBreak(text.AsSpan().Trim()))
        {
            return "The server URL holds spaces, line breaks or control characters; it must look like https://10.0.0.1:6443.";
        }

        // kubectl takes a bare host for http; a typing error is likelier than that wish.
        if (!Uri.TryCreate(text.Trim(), UriKind.Absolute, out Uri? url) || url.Scheme is not ("https" or "http") || url.Host.Length == 0)
        {
            return $"The server '{Shorten(text)}' is not a URL; it must look like https://10.0.0.1:6443.";
        }

        if (url.UserInfo.Length > 0)
        {
            return "The server URL holds a user and password; basic authentication is not supported, use a token or a client certificate.";
        }

        if (url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            return "The server URL must end before '?' and '#'.";
        }

        server = url;
        return null;
    }

    public static string? CheckProxy(string text, out Uri? proxy)
    {
        proxy = null;
        if (HasBreak(text) || !Uri.TryCreate(text, UriKind.Absolute, out Uri? url) || url.Scheme is not ("http" or "https" or "socks5") || url.Host.Length == 0)
        {
            return "The proxy is not an http, https or socks5 URL.";
        }

        proxy = url;
        return null;
    }

    /// <summary>The name goes into TLS and into a header: a DNS name or an address.</summary>
    public static string? CheckServerName(string name) =>
        Uri.CheckHostName(name) is UriHostNameType.Dns or UriHostNameType.IPv4 or UriHostNameType.IPv6
            ? null
            : "The TLS server name (tls-server-name) is neither a DNS name nor an IP address; it must be one that the server's certificate holds.";

    public static string? CheckToken(string token)
    {
        ReadOnlySpan<char> text = token.AsSpan().Trim();
        if (text.IsEmpty)
        {
            return "The token is empty.";
        }

        return text.ContainsAnyExcept(TokenCharacters) ? "The token holds characters that no bearer token has; is it base64 of a file, or cut?" : null;
    }

    public static string? CheckAuthority(string pem)
    {
        try
        {
            using CertificateBag bag = CertificateBag.FromPem(pem);
            return bag.Certificates.Count == 0 ? "The certificate authority holds no PEM certificate (-----BEGIN CERTIFICATE-----)." : null;
        }
        catch (CryptographicException)
        {
            return "The certificate authority holds a PEM block that is not a certificate.";
        }
    }

    public static string? CheckCertificate(ClientCertificate credential, DateTimeOffset now)
    {
        CertificateBag bag;
        try
        {
            bag = CertificateBag.FromPem(credential.CertificatePem);
        }
        catch (CryptographicException)
        {
            return "The client certificate holds a PEM block that is not a certificate.";
        }

        using (bag)
        {
            if (bag.Certificates.Count == 0)
            {
                return "The client certificate holds no PEM certificate (-----BEGIN CERTIFICATE-----).";
            }

            if (now > new DateTimeOffset(bag.Certificates[0].NotAfter.ToUniversalTime(), TimeSpan.Zero))
            {
                return $"The client certificate expired at {bag.Certificates[0].NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm:ss}Z; issue a new one.";
            }
        }

        try
        {
            using X509Certificate2 pair = X509Certificate2.CreateFromPem(credential.CertificatePem, credential.KeyPem);
            return null;
        }
        catch (ArgumentException)
        {
            return "The client key does not belong to the client certificate.";
        }
        catch (CryptographicException)
        {
            return credential.KeyPem.Contains("ENCRYPTED", StringComparison.Ordinal)
                ? "The client key is encrypted with a passphrase; store it without one."
                : "The client key holds no PEM private key that fits the client certificate.";
        }
    }

    public static ImmutableArray<string> Check(ClusterConnection connection, DateTimeOffset now)
    {
        string?[] faults =
        [
            connection.TlsServerName is { } name ? CheckServerName(name) : null,
            connection.CertificateAuthorityPem is { } authority ? CheckAuthority(authority) : null,
            connection.CertificateAuthorityPem is not null && connection.InsecureSkipTlsVerify
                ? "A certificate authority and insecure-skip-tls-verify exclude each other; remove one."
                : null,
            connection.Credentials.Certificate is { } certificate ? CheckCertificate(certificate, now) : null,
            connection.Credentials.Token is TokenSource.Fixed token ? CheckToken(token.Token) : null,
        ];
        return [.. faults.OfType<string>()];
    }

    private static bool HasBreak(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (char.IsControl(c) || char.IsWhiteSpace(c))
            {
                return true;
            }
        }

        return false;
    }

    private static string Shorten(string text) => text.Length <= 80 ? text : string.Concat(text.AsSpan(0, 80), "…");
}

/// <summary>The certificates of a PEM text, disposed together.</summary>
internal sealed class CertificateBag : IDisposable
{
    private CertificateBag(X509Certificate2Collection certificates) => Certificates = certificates;

    public X509Certificate2Collection Certificates { get; }

    /// <exception cref="CryptographicException">A block is damaged.</exception>
    public static CertificateBag FromPem(string pem)
    {
        var certificates = new X509Certificate2Collection();
        certificates.ImportFromPem(pem);
        return new CertificateBag(certificates);
    }

    public void Dispose()
    {
        foreach (X509Certificate2 one in Certificates)
        {
            one.Dispose();
        }
    }
}
