using System.Collections.Immutable;

using Microsoft.AspNetCore.DataProtection;
using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Configuration;

namespace MultiCluster.Gateway.Clusters;

/// <summary>How a client says a cluster is reached: a kubeconfig, or server and credentials. Never shown.</summary>
public sealed record ConnectionInput
{
    /// <summary>A kubeconfig as text; excludes every part but <see cref="Context"/>.</summary>
    public string? Kubeconfig { get; init; }

    /// <summary>Context of the kubeconfig; null for its current one.</summary>
    public string? Context { get; init; }

    /// <summary>URL of the API server.</summary>
    public string? Server { get; init; }

    /// <summary>PEM; null for the system's own trust.</summary>
    public string? CertificateAuthority { get; init; }

    /// <summary>Bearer token.</summary>
    public string? Token { get; init; }

    /// <summary>PEM of a client certificate.</summary>
    public string? ClientCertificate { get; init; }

    /// <summary>PEM of its key.</summary>
    public string? ClientKey { get; init; }

    /// <summary>Name that the server's certificate must hold.</summary>
    public string? TlsServerName { get; init; }

    /// <summary>Accept any server certificate.</summary>
    public bool InsecureSkipTlsVerify { get; init; }

    /// <summary>Proxy.</summary>
    public string? ProxyUrl { get; init; }

    /// <summary>Names of the parts that are given beside kubeconfig and context.</summary>
    internal string[] Parts =>
    [
        .. new (string Name, bool Given)[]
        {
            ("server", Server is not null),
            ("certificateAuthority", CertificateAuthority is not null),
            ("token", Token is not null),
            ("clientCertificate", ClientCertificate is not null),
            ("clientKey", ClientKey is not null),
            ("tlsServerName", TlsServerName is not null),
            ("insecureSkipTlsVerify", InsecureSkipTlsVerify),
            ("proxyUrl", ProxyUrl is not null),
        }.Where(part => part.Given).Select(part => part.Name),
    ];

    /// <inheritdoc/>
    public override string ToString() => "ConnectionInput";
}

/// <summary>Checks connections and encrypts them, so that credentials travel to the grains and rest there in no other form.</summary>
/// <remarks>Thread-safe. What comes over the network cannot name files or programs of this host: those work only in what an operator passes at start.</remarks>
public sealed class ConnectionSealer(IDataProtectionProvider protection, TimeProvider time)
{
    private readonly IDataProtector _protector = protection.CreateProtector(ProtectedConnection.Purpose);

    /// <summary>Checks and encrypts what a client sent; null, with the faults added, where it is wrong.</summary>
    public ProtectedConnection? Seal(ConnectionInput input, ImmutableArray<ClusterFault>.Builder faults)
    {
        ClusterConnection? connection = input.Kubeconfig is not null ? FromKubeconfig(input, faults) : FromParts(input, faults);
        if (connection is null)
        {
            return null;
        }

        ImmutableArray<string> problems = connection.Check(time.GetUtcNow());
        foreach (string problem in problems)
        {
            faults.Add(Fault("connection", problem));
        }

        return problems.IsEmpty ? Seal(connection) : null;
    }

    /// <summary>Encrypts a connection that has been checked.</summary>
    public ProtectedConnection Seal(ClusterConnection connection) => new() { Ciphertext = _protector.Protect(connection.ToJson()) };

    private ClusterConnection? FromKubeconfig(ConnectionInput input, ImmutableArray<ClusterFault>.Builder faults)
    {
        if (input.Parts is { Length: > 0 } parts)
        {
            faults.Add(Fault("connection", $"Give either a kubeconfig or server and credentials, not both: beside the kubeconfig there {(parts.Length == 1 ? "is" : "are")} {string.Join(", ", parts)}."));
            return null;
        }

        try
        {
            // Without a base directory every reference to a file is a fault, and exec plugins stay off.
            return Kubeconfig.Parse(input.Kubeconfig!, "kubeconfig", new KubeconfigOptions { ExecSwitch = "register it from the command line of the service with --allow-exec" }, time)
                .Require(input.Context);
        }
        catch (KubeconfigException e)
        {
            faults.AddRange(e.Faults.Select(f => Fault(f.Field is null ? "kubeconfig" : $"kubeconfig.{f.Field}", f.Context is null ? f.Problem : $"Context {f.Context}: {f.Problem}")));
            return null;
        }
    }

    private static ClusterConnection? FromParts(ConnectionInput input, ImmutableArray<ClusterFault>.Builder faults)
    {
        if (input.Context is not null)
        {
            faults.Add(Fault("connection", "A context is one of a kubeconfig, and there is none; give the kubeconfig or leave the context out."));
            return null;
        }

        if (string.IsNullOrWhiteSpace(input.Server))
        {
            faults.Add(Fault("connection", "Give a kubeconfig, or the server's URL with a token or a client certificate."));
            return null;
        }

        if (!ClusterConnection.TryCreate(input.Server, input.CertificateAuthority, input.Token, out ClusterConnection? connection, out string? wrong))
        {
            faults.Add(Fault("connection", wrong));
            return null;
        }

        if ((input.ClientCertificate is null) != (input.ClientKey is null))
        {
            faults.Add(Fault("connection.client_key", "A client certificate and its key must be given together."));
            return null;
        }

        Uri? proxy = null;
        if (input.ProxyUrl is { } text
            && (text.Any(char.IsControl) || !Uri.TryCreate(text, UriKind.Absolute, out proxy) || proxy.Scheme is not ("http" or "https" or "socks5")))
        {
            faults.Add(Fault("connection.proxy_url", "The proxy is not an http, https or socks5 URL."));
            return null;
        }

        return connection with
        {
            TlsServerName = input.TlsServerName,
            InsecureSkipTlsVerify = input.InsecureSkipTlsVerify,
            Proxy = proxy,
            Credentials = input.ClientCertificate is null
                ? connection.Credentials
                : connection.Credentials with { Certificate = new ClientCertificate(input.ClientCertificate, input.ClientKey!) },
        };
    }

    private static ClusterFault Fault(string field, string message) => new(ClusterFault.InvalidRequest, message, field);
}
