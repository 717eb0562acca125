using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Tests.Transport;

public sealed class TlsTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    private readonly X509Certificate2 _authority = TestCertificates.Authority();

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task Get_TrustedServer_UsesHttp2AndShowsOurCertificate()
    {
        using var server = TestCertificates.Server(_authority);
        using var own = TestCertificates.Client(_authority, "dev");
        string? protocol = null, subject = null;
        await using ScriptedApi api = await ScriptedApi.StartAsync(
            async (context, _) =>
            {
                protocol = context.Request.Protocol;
                subject = (await context.Connection.GetClientCertificateAsync())?.Subject;
                await context.JsonAsync("{}");
            },
            server,
            askForCertificate: true);
        await using var client = new KubeClient(Trusting(api) with
        {
            Credentials = KubeCredentials.FromCertificate(own.ExportCertificatePem(), TestCertificates.KeyPem(own)),
        });
        _ = await client.GetAsync("/x").WaitAsync(Soon);
        Assert.Equal(("HTTP/2", "CN=dev"), (protocol, subject));
    }

    [Fact]
    public async Task Get_ServerWithoutHttp2_FallsBack()
    {
        using var server = TestCertificates.Server(_authority);
        string? protocol = null;
        await using ScriptedApi api = await ScriptedApi.StartAsync(
            (context, _) =>
            {
                protocol = context.Request.Protocol;
                return context.JsonAsync("{}");
            },
            server,
            protocols: Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1);
        await using var client = new KubeClient(Trusting(api));
        _ = await client.GetAsync("/x").WaitAsync(Soon);
        Assert.Equal("HTTP/1.1", protocol);
    }

    [Fact]
    public async Task Get_ServerOfAnotherAuthority_IsRefused()
    {
        using var other = TestCertificates.Authority("other");
        using var server = TestCertificates.Server(other);
        Assert.Contains("not signed by the given CA", await RefusalAsync(server, c => c), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_NoAuthorityGiven_TheSystemsAreAsked()
    {
        using var server = TestCertificates.Server(_authority);
        Assert.Contains("authority that this system trusts", await RefusalAsync(server, c => c with { CertificateAuthorityPem = null }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_CertificateForAnotherName_IsRefused()
    {
        using var server = TestCertificates.Server(_authority, "api.example.com", withLoopback: false);
        Assert.Contains("is for api.example.com, not for 127.0.0.1", await RefusalAsync(server, c => c), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_ExpiredCertificate_IsRefused()
    {
        using var server = TestCertificates.Server(_authority, expired: true);
        Assert.Contains("is valid from", await RefusalAsync(server, c => c), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_TlsServerName_IsCheckedInsteadOfTheHostAndSentAsSni()
    {
        using var server = TestCertificates.Server(_authority, "api.example.com", withLoopback: false);
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"), server);
        await using var client = new KubeClient(Trusting(api) with { TlsServerName = "api.example.com" });
        _ = await client.GetAsync("/x").WaitAsync(Soon);
        Assert.Equal("api.example.com", api.AskedServerName);
    }

    [Fact]
    public async Task Get_InsecureSkipTlsVerify_AcceptsAnything()
    {
        using var other = TestCertificates.Authority("other");
        using var server = TestCertificates.Server(other, "x", withLoopback: false, expired: true);
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"), server);
        await using var client = new KubeClient(api.Connection with { InsecureSkipTlsVerify = true });
        Assert.Equal(200, (await client.GetAsync("/x").WaitAsync(Soon)).Status);
    }

    [Fact]
    public async Task Get_ServersOwnCertificateAsAuthority_IsTrusted()
    {
        using var server = TestCertificates.Server(_authority);
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"), server);
        await using var client = new KubeClient(api.Connection with { CertificateAuthorityPem = server.ExportCertificatePem() });
        Assert.Equal(200, (await client.GetAsync("/x").WaitAsync(Soon)).Status);
    }

    [Fact]
    public async Task Get_HttpsToAPlainServer_IsATlsError()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"));
        await using var client = new KubeClient(new ClusterConnection(new UriBuilder(api.Url) { Scheme = "https" }.Uri));
        Assert.Equal(KubeErrorKind.Tls, (await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon))).Kind);
        Assert.Equal(ProbeOutcome.Tls, (await client.ProbeAsync().WaitAsync(Soon)).Outcome);
    }

    private ClusterConnection Trusting(ScriptedApi api) => api.Connection with { CertificateAuthorityPem = _authority.ExportCertificatePem() };

    private async Task<string> RefusalAsync(X509Certificate2 server, Func<ClusterConnection, ClusterConnection> change)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync("{}"), server);
        await using var client = new KubeClient(change(Trusting(api)));
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
        Assert.Equal(KubeErrorKind.Tls, failure.Kind);
        Assert.Empty(api.Calls);
        return failure.Message;
    }
}
