using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>Everything it takes to talk to one API server.</summary>
/// <remarks>
/// Immutable. <see cref="ToString"/> shows no secret; <see cref="ToJson"/> does, for storage that encrypts. What a kubeconfig
/// refers to as files is held by content, except a token file, which lives from being read again.
/// </remarks>
public sealed record ClusterConnection
{
    /// <summary>A connection without credentials that trusts the system's authorities.</summary>
    /// <param name="server">Absolute http or https URL; a path in it comes before every request path.</param>
    public ClusterConnection(Uri server)
    {
        ArgumentNullException.ThrowIfNull(server);
        if (!server.IsAbsoluteUri || server.Scheme is not ("https" or "http") || server.Host.Length == 0)
        {
            throw new ArgumentException("The server must be an http or https URL such as https://10.0.0.1:6443.", nameof(server));
        }

        Server = server;
    }

    /// <summary>URL of the API server.</summary>
    public Uri Server { get; }

    /// <summary>PEM certificates that the server's must chain to; null for the system's authorities.</summary>
    public string? CertificateAuthorityPem { get; init; }

    /// <summary>Name that the server's certificate must hold, when it is not the host of <see cref="Server"/>.</summary>
    public string? TlsServerName { get; init; }

    /// <summary>Whether any server certificate is accepted. Only for tests: it lets anybody in between read the credentials.</summary>
    public bool InsecureSkipTlsVerify { get; init; }

    /// <summary>Proxy (http, https or socks5 URL); null for none. The environment's proxy variables are not read.</summary>
    public Uri? Proxy { get; init; }

    /// <summary>Whom we act for; null for ourselves.</summary>
    public Impersonation? Impersonation { get; init; }

    /// <summary>How we prove who we are.</summary>
    public KubeCredentials Credentials { get; init; } = KubeCredentials.None;

    /// <summary>A connection from its three usual parts.</summary>
    /// <param name="server">URL of the API server.</param>
    /// <param name="certificateAuthorityPem">PEM certificates; null for the system's authorities.</param>
    /// <param name="token">Bearer token; null for none.</param>
    /// <param name="connection">The connection; null when a part is wrong.</param>
    /// <param name="fault">What is wrong, naming the part and never its secret.</param>
    public static bool TryCreate(
        string server,
        string? certificateAuthorityPem,
        string? token,
        [NotNullWhen(true)] out ClusterConnection? connection,
        [NotNullWhen(false)] out string? fault)
    {
        connection = null;
        fault = ConnectionChecks.CheckServer(server, out Uri? url)
            ?? (certificateAuthorityPem is null ? null : ConnectionChecks.CheckAuthority(certificateAuthorityPem))
            ?? (token is null ? null : ConnectionChecks.CheckToken(token));
        if (fault is not null)
        {
            return false;
        }

        connection = new ClusterConnection(url!)
        {
            CertificateAuthorityPem = certificateAuthorityPem,
            Credentials = token is null ? KubeCredentials.None : KubeCredentials.Bearer(token.Trim()),
        };
        return true;
    }

    /// <summary>What is wrong with certificates and key at this time: unreadable, not a pair, expired. Empty when all is well.</summary>
    /// <param name="now">Time to judge expiry by.</param>
    public ImmutableArray<string> Check(DateTimeOffset now) => ConnectionChecks.Check(this, now);

    /// <summary>The whole connection with its secrets as UTF-8 JSON, for storage that encrypts.</summary>
    public byte[] ToJson() => ConnectionJson.Write(this);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="FormatException">It is something else, or damaged.</exception>
    public static ClusterConnection FromJson(ReadOnlyMemory<byte> json) => ConnectionJson.Read(json);

    /// <summary>Server and means of authentication, without a secret.</summary>
    public override string ToString()
    {
        string tls = InsecureSkipTlsVerify ? ", TLS not verified" : "";
        string proxy = Proxy is null ? "" : $", via {Proxy.Scheme}://{Proxy.Authority}";
        string acting = Impersonation is null ? "" : $", as {Impersonation.User}";
        return $"{Server.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped)} ({Credentials}{acting}{tls}{proxy})";
    }
}
