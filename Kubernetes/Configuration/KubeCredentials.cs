using System.Collections.Immutable;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>A client certificate with its key, both PEM.</summary>
/// <param name="CertificatePem">Certificate, followed by its intermediates where there are any.</param>
/// <param name="KeyPem">Private key; never shown.</param>
public sealed record ClientCertificate(string CertificatePem, string KeyPem)
{
    /// <summary>Says that there is a certificate, not which.</summary>
    public override string ToString() => "client certificate";
}

/// <summary>Where a bearer token comes from.</summary>
public abstract record TokenSource
{
    private TokenSource() { }

    /// <summary>A token that is known already.</summary>
    /// <param name="Token">Never shown.</param>
    public sealed record Fixed(string Token) : TokenSource
    {
        /// <inheritdoc/>
        public override string ToString() => "bearer token";
    }

    /// <summary>A token in a file that somebody renews; read again while the client runs.</summary>
    /// <param name="Path">Absolute path.</param>
    public sealed record File(string Path) : TokenSource
    {
        /// <inheritdoc/>
        public override string ToString() => $"token file {Path}";
    }

    /// <summary>A program on this host that prints an <c>ExecCredential</c>; run only where <c>AllowExec</c> is on.</summary>
    public sealed record Exec(ExecPlugin Plugin) : TokenSource
    {
        /// <inheritdoc/>
        public override string ToString() => $"exec plugin {Plugin.Command}";
    }
}

/// <summary>A credential plugin as a kubeconfig describes it.</summary>
/// <param name="ApiVersion"><c>client.authentication.k8s.io/v1</c> or <c>/v1beta1</c>.</param>
/// <param name="Command">Program: absolute, or looked up in PATH.</param>
/// <param name="Args">Arguments.</param>
/// <param name="Env">Variables added to our own environment; values may be secret and are never shown.</param>
public sealed record ExecPlugin(string ApiVersion, string Command, ImmutableArray<string> Args, ImmutableArray<KeyValuePair<string, string>> Env)
{
    /// <summary>What to tell people who lack the program.</summary>
    public string? InstallHint { get; init; }

    /// <summary>Whether the plugin is told server and CA.</summary>
    public bool ProvideClusterInfo { get; init; }

    /// <summary>Arguments and variables may hold secrets.</summary>
    public override string ToString() => $"{Command} ({ApiVersion})";
}

/// <summary>How we prove to one API server who we are: a client certificate, a bearer token, both or nothing.</summary>
/// <param name="Certificate">Shown in the TLS handshake; null for none.</param>
/// <param name="Token">Sent with every request; null for none.</param>
public sealed record KubeCredentials(ClientCertificate? Certificate, TokenSource? Token)
{
    /// <summary>No credentials: the server sees <c>system:anonymous</c>.</summary>
    public static readonly KubeCredentials None = new(null, null);

    /// <summary>A token that is known already.</summary>
    public static KubeCredentials Bearer(string token) => new(null, new TokenSource.Fixed(token));

    /// <summary>A client certificate and its key.</summary>
    public static KubeCredentials FromCertificate(string certificatePem, string keyPem) => new(new ClientCertificate(certificatePem, keyPem), null);

    /// <summary>Names the means, never the secrets.</summary>
    public override string ToString() => (Certificate, Token) switch
    {
        (null, null) => "none",
        (not null, not null) => $"{Certificate} and {Token}",
        ({ } certificate, null) => certificate.ToString(),
        (null, { } token) => token.ToString(),
    };
}

/// <summary>Whom we act for, when the credentials are allowed to impersonate.</summary>
/// <param name="User">User name; required by the API server as soon as anything else is set.</param>
/// <param name="Uid">User id; null for none.</param>
/// <param name="Groups">Groups.</param>
/// <param name="Extra">Extra attributes: key and value, one pair per value.</param>
public sealed record Impersonation(
    string User, string? Uid, ImmutableArray<string> Groups, ImmutableArray<KeyValuePair<string, string>> Extra);
