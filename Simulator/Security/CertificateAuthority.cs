using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MultiCluster.Simulator.Security;

/// <summary>The certificate authority of one simulated cluster; lives as long as the cluster, also over restarts.</summary>
internal sealed class CertificateAuthority : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _authority;
    private readonly DateTimeOffset _from;
    private readonly DateTimeOffset _until;

    /// <param name="cluster">Name that the certificates carry.</param>
    public CertificateAuthority(string cluster)
    {
        // Certificates are judged by the wall clock of TLS stacks, never by the virtual time of a test.
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        (_from, _until) = (now.AddDays(-1), now.AddYears(1));
        var request = new CertificateRequest($"CN=kubernetes-ca {cluster}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 1, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _authority = request.CreateSelfSigned(_from, _until.AddDays(1));
    }

    /// <summary>The CA certificate.</summary>
    public string Pem => _authority.ExportCertificatePem();

    /// <summary>A certificate for the server on loopback.</summary>
    public X509Certificate2 IssueServing()
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddIpAddress(IPAddress.IPv6Loopback);
        names.AddDnsName("localhost");
        names.AddDnsName("kubernetes");
        names.AddDnsName("kubernetes.default.svc");
        return Issue("CN=kube-apiserver", "1.3.6.1.5.5.7.3.1", names.Build(), _until);
    }

    /// <summary>A certificate of a user: the name as CN, the groups as O.</summary>
    /// <param name="user">User name.</param>
    /// <param name="groups">Groups.</param>
    /// <param name="until">End of validity, at most a day ago; null for a year.</param>
    public X509Certificate2 IssueClient(string user, IReadOnlyList<string> groups, DateTimeOffset? until = null)
    {
        var name = new X500DistinguishedNameBuilder();
        foreach (string group in groups)
        {
            name.AddOrganizationName(group);
        }

        name.AddCommonName(user);
        return Issue(name.Build().Name, "1.3.6.1.5.5.7.3.2", null, until ?? _until, name.Build());
    }

    /// <summary>Whether this authority issued the certificate and it is valid now.</summary>
    public bool Trusts(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(_authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }

    public void Dispose()
    {
        _authority.Dispose();
        _key.Dispose();
    }

    private X509Certificate2 Issue(
        string subject, string usage, X509Extension? names, DateTimeOffset until, X500DistinguishedName? distinguished = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(distinguished ?? new X500DistinguishedName(subject), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        if (names is not null)
        {
            request.CertificateExtensions.Add(names);
        }

        Span<byte> serial = stackalloc byte[12];
        RandomNumberGenerator.Fill(serial);
        serial[0] &= 0x7f;
        using X509Certificate2 issued = request.Create(
            _authority.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), _from, until, serial);
        return issued.CopyWithPrivateKey(key);
    }
}
