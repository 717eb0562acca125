using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>Judges the certificate of one API server, and says why when it refuses.</summary>
/// <remarks>
/// A cluster's own CA replaces the system's authorities instead of adding to them, as kubectl has it. Revocation is not
/// checked: cluster CAs publish no lists. Thread-safe; lives as long as its connections.
/// </remarks>
internal sealed class ServerTrust : IDisposable
{
    private readonly X509Certificate2Collection? _authorities;
    private readonly bool _insecure;
    private readonly string _name;

    public ServerTrust(ClusterConnection connection)
    {
        _insecure = connection.InsecureSkipTlsVerify;
        _name = connection.TlsServerName ?? connection.Server.Host.Trim('[', ']');
        if (connection.CertificateAuthorityPem is { } pem)
        {
            _authorities = CertificateBag.FromPem(pem).Certificates;
        }
    }

    /// <exception cref="ServerCertificateException">The certificate is refused.</exception>
    public bool Accept(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (_insecure)
        {
            return true;
        }

        if (certificate is not X509Certificate2 server)
        {
            throw new ServerCertificateException("the server showed no certificate.");
        }

        if (!server.MatchesHostname(_name, allowWildcards: true, allowCommonName: false))
        {
            throw new ServerCertificateException(
                $"its certificate is for {NamesOf(server)}, not for {_name}. Correct the server address or set tls-server-name.");
        }

        X509ChainStatusFlags faults = _authorities is null
            ? FlagsOf(chain, errors)
            : FlagsAgainst(_authorities, server, chain);
        if (faults == X509ChainStatusFlags.NoError)
        {
            return true;
        }

        if (faults.HasFlag(X509ChainStatusFlags.NotTimeValid))
        {
            throw new ServerCertificateException(
                $"its certificate is valid from {server.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm}Z to {server.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm}Z only, or its CA has expired. Renew it.");
        }

        throw new ServerCertificateException(_authorities is null
            ? "its certificate is not signed by an authority that this system trusts. Give the cluster's CA (certificate-authority-data)."
            : "its certificate is not signed by the given CA. Give the CA of this cluster (certificate-authority-data).");
    }

    public void Dispose()
    {
        foreach (X509Certificate2 authority in _authorities ?? [])
        {
            authority.Dispose();
        }
    }

    private static X509ChainStatusFlags FlagsOf(X509Chain? chain, SslPolicyErrors errors)
    {
        if (!errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            return X509ChainStatusFlags.NoError;
        }

        return chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status) is { } flags && flags != X509ChainStatusFlags.NoError
            ? flags
            : X509ChainStatusFlags.PartialChain;
    }

    private static X509ChainStatusFlags FlagsAgainst(X509Certificate2Collection authorities, X509Certificate2 server, X509Chain? sent)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.1"));   // server authentication
        foreach (X509ChainElement element in sent?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
        {
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        try
        {
            bool built = chain.Build(server);
            X509ChainStatusFlags flags = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status);
            return built ? X509ChainStatusFlags.NoError
                : IsAnchoredBy(authorities, chain, flags) ? X509ChainStatusFlags.NoError
                : flags == X509ChainStatusFlags.NoError ? X509ChainStatusFlags.PartialChain : flags;
        }
        finally
        {
            foreach (X509ChainElement element in chain.ChainElements)
            {
                element.Certificate.Dispose();
            }
        }
    }

    // Some clusters give an intermediate, or the server's own certificate, as their CA; kubectl accepts both as an anchor.
    private static bool IsAnchoredBy(X509Certificate2Collection authorities, X509Chain chain, X509ChainStatusFlags flags) =>
        (flags & ~(X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot)) == X509ChainStatusFlags.NoError
        && chain.ChainElements.Any(element => authorities.Any(authority => authority.RawDataMemory.Span.SequenceEqual(element.Certificate.RawDataMemory.Span)));

    private static string NamesOf(X509Certificate2 certificate)
    {
        X509SubjectAlternativeNameExtension? names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        if (names is null)
        {
            return "no host name at all";
        }

        string[] all = [.. names.EnumerateDnsNames(), .. names.EnumerateIPAddresses().Select(address => address.ToString())];
        return all.Length switch
        {
            0 => "no host name at all",
            <= 6 => string.Join(", ", all),
            _ => $"{string.Join(", ", all.Take(6))} and {all.Length - 6} more",
        };
    }
}
