using System.Text;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Configuration;

public sealed class KubeconfigTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kubeconfig-");
    private readonly ManualTimeProvider _time = new(TimeProvider.System.GetUtcNow());

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Load_WholeFile_GivesEveryContext()
    {
        using var authority = TestCertificates.Authority();
        using var client = TestCertificates.Client(authority);
        Write("ca.crt", authority.ExportCertificatePem());
        Write("token", "file-token\n");
        string path = Write("config", $"""
            apiVersion: v1
            kind: Config
            current-context: a
            clusters:
            - name: one
              cluster:
                server: https://10.0.0.1:6443/prefix
                certificate-authority: ca.crt
                tls-server-name: api.example.com
                proxy-url: socks5://127.0.0.1:1080
            - name: two
              cluster: {'{'}server: "http://[::1]:8080", insecure-skip-tls-verify: true{'}'}
            users:
            - name: cert
              user:
                client-certificate-data: {Base64(client.ExportCertificatePem())}
                client-key-data: {Base64(TestCertificates.KeyPem(client))}
                as: admin
                as-uid: u1
                as-groups: [g1, g2]
                as-user-extra: {'{'} scopes: [s1, s2] {'}'}
            - name: file
              user: {'{'} tokenFile: token, token: ignored {'}'}
            - name: inline
              user: {'{'} token: abc {'}'}
            contexts:
            - name: a
              context: {'{'} cluster: one, user: cert, namespace: dev {'}'}
            - name: b
              context: {'{'} cluster: two, user: file {'}'}
            - name: c
              context: {'{'} cluster: two, user: inline {'}'}
            """);
        KubeconfigResult result = Kubeconfig.Load(path, time: _time);
        Assert.Empty(result.Faults);
        Assert.All(result.Contexts, c => Assert.Empty(c.Faults));
        ClusterConnection a = result.Require();
        Assert.Equal("https://10.0.0.1:6443/prefix", a.Server.AbsoluteUri);
        Assert.Equal(("api.example.com", "socks5"), (a.TlsServerName, a.Proxy!.Scheme));
        Assert.Equal(authority.ExportCertificatePem(), a.CertificateAuthorityPem);
        Assert.NotNull(a.Credentials.Certificate);
        Assert.Equal(("admin", "u1"), (a.Impersonation!.User, a.Impersonation.Uid));
        Assert.Equal(["g1", "g2"], a.Impersonation.Groups.ToArray());
        Assert.Equal([new("scopes", "s1"), new("scopes", "s2")], a.Impersonation.Extra.ToArray());
        Assert.Equal(new TokenSource.File(Path.Combine(_folder.FullName, "token")), result.Require("b").Credentials.Token);
        Assert.True(result.Require("b").InsecureSkipTlsVerify);
        Assert.Equal(new TokenSource.Fixed("abc"), result.Require("c").Credentials.Token);
        Assert.Equal("dev", result.Contexts[0].Namespace);
        Assert.Equal(3, result.Select([]).Length);
    }

    [Fact]
    public void ToJson_AnyConnection_ComesBackAndItsTextHasNoSecret()
    {
        using var authority = TestCertificates.Authority();
        using var client = TestCertificates.Client(authority);
        var connection = new ClusterConnection(new Uri("https://10.0.0.1:6443"))
        {
            CertificateAuthorityPem = authority.ExportCertificatePem(),
            TlsServerName = "x",
            Proxy = new Uri("http://user:proxysecret@proxy:3128"),
            Impersonation = new Impersonation("admin", "1", ["g"], [new("k", "v")]),
            Credentials = new KubeCredentials(
                new ClientCertificate(client.ExportCertificatePem(), TestCertificates.KeyPem(client)),
                new TokenSource.Exec(new ExecPlugin("client.authentication.k8s.io/v1", "aws", ["--secret=argsecret"], [new("A", "envsecret")]))),
        };
        var back = ClusterConnection.FromJson(connection.ToJson());
        Assert.Equal(connection.ToJson(), back.ToJson());
        Assert.Equal(connection.Credentials.Certificate, back.Credentials.Certificate);
        foreach (string text in (string[])[connection.ToString(), $"{connection.Credentials}", $"{connection.Credentials.Token}", $"{connection.Credentials.Certificate}"])
        {
            Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
            Assert.DoesNotContain("BEGIN", text, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("t0p", KubeCredentials.Bearer("t0p").ToString(), StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => ClusterConnection.FromJson("{}"u8.ToArray()));
        Assert.Throws<FormatException>(() => ClusterConnection.FromJson("no"u8.ToArray()));
    }

    [Fact]
    public void Load_MissingFile_IsOneSentence() =>
        Assert.Equal(["nowhere/config: There is no such file."], Kubeconfig.Load("nowhere/config").Faults.Select(f => f.ToString()));

    [Theory]
    [InlineData("a: [", "It is not YAML: line")]
    [InlineData("", "It is not a kubeconfig")]
    [InlineData("- a", "It is not a kubeconfig")]
    [InlineData("kind: Pod", "must be Config")]
    [InlineData("apiVersion: v1\nclusters: []", "There are no contexts in it.")]
    public void Parse_NoKubeconfig_SaysSo(string text, string expected)
    {
        KubeconfigResult result = Kubeconfig.Parse(text, "upload");
        Assert.Contains(expected, Assert.Single(result.Faults).ToString(), StringComparison.Ordinal);
        Assert.Throws<KubeconfigException>(() => result.Require("x"));
    }

    [Theory]
    [InlineData("[", 200_000)]
    [InlineData("{a: ", 50_000)]
    [InlineData("- ", 100_000)]
    public void Parse_NestedBeyondReason_IsRefusedBeforeTheStackEnds(string nesting, int times)
    {
        KubeconfigResult result = Kubeconfig.Parse(string.Concat(Enumerable.Repeat(nesting, times)), "kubeconfig");

        Assert.Equal("kubeconfig: It is nested more than 64 levels deep, which no kubeconfig is.", Assert.Single(result.Faults).ToString());
    }

    [Theory]
    [InlineData("a: &a [x]\n? *a\n: x")]
    [InlineData("? [x]\n: x")]
    [InlineData("? {x: y}\n: x")]
    public void Parse_KeysThatAreNoText_AreRefused(string text) =>
        Assert.Equal(
            "kubeconfig: It has a key that is no plain text, which no kubeconfig has.", Assert.Single(Kubeconfig.Parse(text, "kubeconfig").Faults).ToString());

    [Fact]
    public void Parse_AnchorsAsKubectlReadsThem_AreFollowed()
    {
        KubeconfigResult result = Kubeconfig.Parse(
            "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: &u {token: t}}, {name: v, user: *u}]\ncontexts: [{name: x, context: {cluster: c, user: v}}]",
            "kubeconfig");

        Assert.NotNull(Assert.Single(result.Contexts).Connection);
    }

    public static TheoryData<string, string, string> Faults => new()
    {
        { "server: 10.0.0.1", "{token: t}", "clusters[k].server: The server '10.0.0.1' is not a URL" },
        { "server: ftp://x", "{token: t}", "is not a URL" },
        { "other: 1", "{token: t}", "clusters[k].server: The server is missing" },
        { "server: https://u:hunter2@x", "{token: t}", "basic authentication is not supported" },
        { "server: https://x, certificate-authority-data: '%%%'", "{token: t}", "clusters[k].certificate-authority-data: It is not base64." },
        { "server: https://x, certificate-authority-data: aGVsbG8=", "{token: t}", "holds no PEM certificate" },
        { "server: https://x, certificate-authority: missing.crt", "{token: t}", "missing.crt does not exist" },
        { "server: https://x, insecure-skip-tls-verify: maybe", "{token: t}", "must be true or false" },
        { "server: https://x, proxy-url: 'gopher://x'", "{token: t}", "clusters[k].proxy-url" },
        { "server: https://x", "{username: a, password: hunter2}", "users[u].username: Basic authentication is not supported" },
        { "server: https://x", "{auth-provider: {name: gcp}}", "users[u].auth-provider" },
        { "server: https://x", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}}", "users[u].exec: The credentials come from the exec plugin 'aws', which would run a program on this host. Use a token or a client certificate, or, to trust it, set AllowExec." },
        { "server: https://x", "{token: 'hunter 2'}", "users[u].token: The token holds characters" },
        { "server: https://x", "{tokenFile: missing-token}", "missing-token does not exist" },
        { "server: https://x", "{client-certificate-data: aGVsbG8=, client-key-data: aGVsbG8=}", "users[u].client-certificate-data: The client certificate holds no PEM certificate" },
        { "server: https://x", "{client-certificate-data: aGVsbG8=}", "has no key beside it" },
        { "server: https://x", "{client-key-data: aGVsbG8=}", "has no client certificate beside it" },
        { "server: https://x", "{token: t, as-groups: [g]}", "users[u].as: Impersonation" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void Load_FaultyContext_NamesFileContextAndField(string cluster, string user, string expected)
    {
        string path = Write("config", $"clusters: [{{name: k, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {user}}}]\n"
            + "contexts: [{name: ctx, context: {cluster: k, user: u}}]");
        KubeconfigContext context = Assert.Single(Kubeconfig.Load(path, time: _time).Contexts);
        Assert.Null(context.Connection);
        string fault = Assert.Single(context.Faults).ToString();
        Assert.StartsWith($"{path}, context ctx, ", fault, StringComparison.Ordinal);
        Assert.Contains(expected, fault, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_CertificateFaults_AreTold()
    {
        using var authority = TestCertificates.Authority();
        using var client = TestCertificates.Client(authority);
        using var other = TestCertificates.Client(authority);
        using var expired = TestCertificates.Client(authority, expired: true);
        Assert.Contains("client-key-data: The client key does not belong", FaultOf(client.ExportCertificatePem(), TestCertificates.KeyPem(other)), StringComparison.Ordinal);
        Assert.Contains("client-certificate-data: The client certificate expired at", FaultOf(expired.ExportCertificatePem(), TestCertificates.KeyPem(expired)), StringComparison.Ordinal);
        Assert.Contains("holds no PEM private key", FaultOf(client.ExportCertificatePem(), "nothing"), StringComparison.Ordinal);

        string FaultOf(string certificate, string key)
        {
            string yaml = $"clusters: [{{name: k, cluster: {{server: 'https://x'}}}}]\ncontexts: [{{name: ctx, context: {{cluster: k, user: u}}}}]\n"
                + $"users: [{{name: u, user: {{client-certificate-data: {Base64(certificate)}, client-key-data: {Base64(key)}}}}}]";
            return Assert.Single(Kubeconfig.Parse(yaml, "text", time: _time).Contexts[0].Faults).ToString();
        }
    }

    [Fact]
    public void Parse_MissingEntriesAndUnknownContexts_AreAllTold()
    {
        KubeconfigResult result = Kubeconfig.Parse(
            "current-context: gone\ncontexts: [{name: a, context: {cluster: k, user: u}}]", "text");
        KubeconfigException failure = Assert.Throws<KubeconfigException>(() => result.Select(["a", "b"]));
        Assert.Equal(3, failure.Faults.Length);
        Assert.Contains("the cluster 'k', which is not in clusters", failure.Message, StringComparison.Ordinal);
        Assert.Contains("the user 'u', which is not in users", failure.Message, StringComparison.Ordinal);
        Assert.Contains("text, context b: There is no such context; the file has a", failure.Message, StringComparison.Ordinal);
        Assert.Contains("context gone, current-context", Assert.Throws<KubeconfigException>(() => result.Require()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_TextFromTheNetwork_MayNotReadOurFiles()
    {
        string secret = Write("secret", "t");
        KubeconfigResult result = Kubeconfig.Parse(
            $"clusters: [{{name: k, cluster: {{server: 'https://x'}}}}]\nusers: [{{name: u, user: {{tokenFile: {secret}}}}}]\ncontexts: [{{name: a, context: {{cluster: k, user: u}}}}]", "upload");
        Assert.Contains("must not read", Assert.Single(result.Contexts[0].Faults).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void InCluster_MountedServiceAccount_IsRead()
    {
        using var authority = TestCertificates.Authority();
        Write("ca.crt", authority.ExportCertificatePem());
        Write("token", "tok");
        Func<string, string?> environment = name => name.EndsWith("HOST", StringComparison.Ordinal) ? "fd00::1" : "443";
        Assert.True(InCluster.TryLoad(out ClusterConnection? connection, out _, _folder.FullName, environment));
        Assert.Equal("https://[fd00::1]/", connection.Server.AbsoluteUri);
        Assert.IsType<TokenSource.File>(connection.Credentials.Token);
        Assert.False(InCluster.TryLoad(out _, out string? fault, _folder.FullName, _ => null));
        Assert.Contains("no Kubernetes pod", fault, StringComparison.Ordinal);
        Assert.False(InCluster.TryLoad(out _, out fault, "/nowhere", environment));
        Assert.Contains("/nowhere", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void TryCreate_Parts_AreChecked()
    {
        Assert.True(ClusterConnection.TryCreate("https://x", null, "tok\n", out ClusterConnection? connection, out _));
        Assert.Equal(new TokenSource.Fixed("tok"), connection.Credentials.Token);
        Assert.False(ClusterConnection.TryCreate("x", null, null, out _, out string? fault));
        Assert.Contains("not a URL", fault, StringComparison.Ordinal);
        Assert.False(ClusterConnection.TryCreate("https://x", "no pem", null, out _, out fault));
        Assert.Contains("PEM", fault, StringComparison.Ordinal);
    }

    private string Write(string name, string content)
    {
        string path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, content);
        return path;
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
