using System.Security.Cryptography.X509Certificates;
using MultiCluster.Gateway.Security;
using MultiCluster.TestSupport;

namespace MultiCluster.Gateway.Tests.Security;

public sealed class ServingCertificatesTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("mc-certificates-");
    private readonly ManualTimeProvider _time = new(new DateTimeOffset(2026, 5, 1, 0, 0, 0, TimeSpan.Zero));

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void LoadOrCreate_SecondStart_KeepsAuthorityAndCertificate()
    {
        using ServingCertificates first = Load();
        using ServingCertificates second = Load();

        Assert.Equal(first.AuthorityPem, second.AuthorityPem);
        Assert.Equal(first.Serving.Thumbprint, second.Serving.Thumbprint);
    }

    [Fact]
    public void LoadOrCreate_AnotherName_IssuesAnewUnderTheSameAuthority()
    {
        using ServingCertificates first = Load();
        using ServingCertificates second = Load("fleet.example.com");

        Assert.Equal(first.AuthorityPem, second.AuthorityPem);
        Assert.NotEqual(first.Serving.Thumbprint, second.Serving.Thumbprint);
        Assert.Contains("fleet.example.com", Names(second.Serving));
        Assert.Contains("localhost", Names(second.Serving));
    }

    [Theory]
    [InlineData(336, true)]
    [InlineData(338, false)]
    public void LoadOrCreate_SixtyDaysBeforeTheEnd_IssuesAnew(int daysLater, bool isKept)
    {
        using ServingCertificates first = Load();
        _time.Advance(TimeSpan.FromDays(daysLater));
        using ServingCertificates second = Load();

        Assert.Equal(isKept, first.Serving.Thumbprint == second.Serving.Thumbprint);
    }

    [Fact]
    public void LoadOrCreate_DamagedKey_SaysWhichFileAndChangesNothing()
    {
        Load().Dispose();
        string key = Path.Combine(_directory.FullName, "ca.key");
        File.WriteAllText(key, "rubbish");

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Load());

        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Equal("rubbish", File.ReadAllText(key));
    }

    [Fact]
    public void LoadOrCreate_KeyFiles_AreReadableByTheirOwnerOnly()
    {
        Load().Dispose();

        foreach (string file in (string[])["ca.key", "tls.key"])
        {
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_directory.FullName, file)));
            }
        }
    }

    [Fact]
    public void Serving_ChainsToTheAuthority()
    {
        using ServingCertificates certificates = Load();
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(X509Certificate2.CreateFromPem(certificates.AuthorityPem));
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;

        Assert.True(chain.Build(certificates.Serving));
    }

    private ServingCertificates Load(params string[] names) => ServingCertificates.LoadOrCreate(_directory.FullName, names, _time);

    private static IEnumerable<string> Names(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(e => e.EnumerateDnsNames());
}
