using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MultiCluster.Gateway.Security;

/// <summary>The gateway's own certificate authority and the certificate it serves, kept in the data directory.</summary>
/// <remarks>
/// Created on first start; the authority lasts, the serving certificate is issued anew when it comes near its end or when the
/// names it must hold have changed. Clients trust the authority (<c>ca.crt</c>), so that a new serving certificate needs no
/// change on their side. Not thread-safe; used once, at start.
/// </remarks>
public sealed class ServingCertificates : IDisposable
{
    // Ten years, as kubeadm's authorities: replacing it means touching every client.
    private static readonly TimeSpan AuthorityLifetime = TimeSpan.FromDays(3650);

    // Just below the 398 days that browsers accept.
    private static readonly TimeSpan ServingLifetime = TimeSpan.FromDays(397);

    private static readonly TimeSpan RenewBefore = TimeSpan.FromDays(60);

    // Clocks of clients may run behind ours.
    private static readonly TimeSpan Backdate = TimeSpan.FromHours(1);

    private ServingCertificates(X509Certificate2 authority, X509Certificate2 serving)
    {
        AuthorityPem = authority.ExportCertificatePem();
        Serving = serving;
        Chain = [X509Certificate2.CreateFromPem(AuthorityPem)];
    }

    /// <summary>The authority's certificate, for clients to trust.</summary>
    public string AuthorityPem { get; }

    /// <summary>The certificate to serve, with its key.</summary>
    public X509Certificate2 Serving { get; }

    /// <summary>What is sent with it.</summary>
    public X509Certificate2Collection Chain { get; }

    /// <summary>Reads the certificates from the directory, or creates what is missing, expired or for other names.</summary>
    /// <param name="directory">Data directory; created if need be.</param>
    /// <param name="names">DNS names and IP addresses that clients may use, beside <c>localhost</c> and the loopback addresses.</param>
    /// <param name="time">Clock.</param>
    /// <exception cref="InvalidDataException">
    /// A name is none, or a file is there but cannot be read; its name and the remedy are in the message. Nothing is overwritten.
    /// </exception>
    public static ServingCertificates LoadOrCreate(string directory, IReadOnlyCollection<string> names, TimeProvider time)
    {
        foreach (string name in names.Where(n => n.Length > 0 && !IsName(n)))
        {
            throw new InvalidDataException(
                $"'{Shown(name)}' is neither a DNS name nor an IP address, so it cannot go into the serving certificate. Correct it or leave it out (--name, Service:Names).");
        }

        SecurityFiles.EnsureDirectory(directory);
        DateTimeOffset now = time.GetUtcNow();
        using X509Certificate2 authority = Load(directory, "ca") ?? CreateAuthority(directory, now);
        if (EndOf(authority) <= now)
        {
            throw new InvalidDataException(
                $"The certificate authority in {Path.Combine(directory, "ca.crt")} has expired. Move ca.crt and ca.key away to get a new one, and give the new ca.crt to every client.");
        }

        SortedSet<string> wanted = [.. names.Where(n => n.Length > 0), "localhost", "127.0.0.1", "::1"];
        X509Certificate2? serving = Load(directory, "tls");
        if (serving is null || EndOf(serving) - now < RenewBefore || !NamesOf(serving).IsSupersetOf(wanted) || !IssuedBy(serving, authority))
        {
            serving?.Dispose();
            serving = CreateServing(directory, authority, wanted, now);
        }

        return new ServingCertificates(authority, serving);
    }

    /// <inheritdoc/>
    public void Dispose() => Serving.Dispose();

    /// <summary>Whether a certificate can hold the text: an address, or a DNS name, whose first label may be <c>*</c>.</summary>
    public static bool IsName(string text)
    {
        if (IPAddress.TryParse(text, out _))
        {
            return true;
        }

        try
        {
            // Names of other scripts go into certificates in their ASCII form, as browsers ask for them.
            string name = new IdnMapping().GetAscii(text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text);
            return name.Length <= 253 && name.Split('.').All(label => label.Length is > 0 and <= 63 && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static string Shown(string name) => name.Length <= 80 ? name : string.Concat(name.AsSpan(0, 80), "…");

    private static X509Certificate2? Load(string directory, string name)
    {
        string certificate = Path.Combine(directory, $"{name}.crt");
        string key = Path.Combine(directory, $"{name}.key");
        if (!File.Exists(certificate) && !File.Exists(key))
        {
            return null;
        }

        try
        {
            return X509Certificate2.CreateFromPemFile(certificate, key);
        }
        catch (Exception e) when (e is CryptographicException or IOException or ArgumentException)
        {
            throw new InvalidDataException(
                $"{certificate} and {key} cannot be read as a certificate and its key. Restore both from a backup, or move both away to have new ones made.", e);
        }
    }

    private static X509Certificate2 CreateAuthority(string directory, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=MultiCluster CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        X509Certificate2 authority = request.CreateSelfSigned(now - Backdate, now + AuthorityLifetime);
        Save(directory, "ca", authority, key);
        return authority;
    }

    private static X509Certificate2 CreateServing(string directory, X509Certificate2 authority, SortedSet<string> names, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=multicluster", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, true, false));
        var alternative = new SubjectAlternativeNameBuilder();
        foreach (string name in names)
        {
            if (IPAddress.TryParse(name, out IPAddress? address))
            {
                alternative.AddIpAddress(address);
            }
            else
            {
                alternative.AddDnsName(name);
            }
        }

        request.CertificateExtensions.Add(alternative.Build());
        DateTimeOffset end = now + ServingLifetime;
        DateTimeOffset last = EndOf(authority);
        using X509Certificate2 bare = request.Create(authority, now - Backdate, end < last ? end : last, RandomNumberGenerator.GetBytes(16));
        X509Certificate2 serving = bare.CopyWithPrivateKey(key);
        Save(directory, "tls", serving, key);
        return serving;
    }

    private static void Save(string directory, string name, X509Certificate2 certificate, ECDsa key)
    {
        // The key first: a certificate without its key would be refused at the next start.
        SecurityFiles.Write(Path.Combine(directory, $"{name}.key"), key.ExportPkcs8PrivateKeyPem() + "\n");
        SecurityFiles.Write(Path.Combine(directory, $"{name}.crt"), certificate.ExportCertificatePem() + "\n");
    }

    private static DateTimeOffset EndOf(X509Certificate2 certificate) => new(certificate.NotAfter.ToUniversalTime());

    private static bool IssuedBy(X509Certificate2 serving, X509Certificate2 authority)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        return chain.Build(serving);
    }

    private static HashSet<string> NamesOf(X509Certificate2 certificate)
    {
        HashSet<string> names = [];
        foreach (X509SubjectAlternativeNameExtension extension in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
        {
            names.UnionWith(extension.EnumerateDnsNames());
            names.UnionWith(extension.EnumerateIPAddresses().Select(a => a.ToString()));
        }

        return names;
    }
}
