using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Transport;

public sealed class ExecCredentialTests : IDisposable
{
    private const string V1 = "client.authentication.k8s.io/v1";
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("exec-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Get_PluginSwitchedOn_SendsItsTokenUntilItExpires()
    {
        var time = new ManualTimeProvider();
        var seen = new List<string>();
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            seen.Add(context.Request.Headers.Authorization.ToString());
            return context.JsonAsync("{}");
        });
        string expiry = time.GetUtcNow().AddMinutes(10).ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture);
        // Prints what it was given, and counts how often it runs.
        string script = "n=$(cat $1/count 2>/dev/null || echo 0); n=$((n+1)); echo $n > $1/count; echo \"$KUBERNETES_EXEC_INFO\" > $1/info; "
            + $$"""echo '{"kind":"ExecCredential","apiVersion":"{{V1}}","status":{"expirationTimestamp":"{{expiry}}","token":"'$PREFIX-$n'"} }'""";
        await using var client = new KubeClient(Connection(api.Url, script), new KubeClientOptions { AllowExec = true }, time);
        _ = await client.GetAsync("/1").WaitAsync(Soon);
        _ = await client.GetAsync("/2").WaitAsync(Soon);
        time.Advance(TimeSpan.FromMinutes(9.6));   // within the slack of its expiry
        _ = await client.GetAsync("/3").WaitAsync(Soon);
        Assert.Equal(["Bearer s3cr3t-1", "Bearer s3cr3t-1", "Bearer s3cr3t-2"], seen);
        string info = await File.ReadAllTextAsync(Path.Combine(_folder.FullName, "info"));
        Assert.Contains("\"interactive\":false", info, StringComparison.Ordinal);
        Assert.Contains(api.Url.AbsoluteUri, info, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exit 3", "ended with code 3")]
    [InlineData("echo no", "other than an ExecCredential in JSON")]
    [InlineData("echo '{}'", "other than an ExecCredential of client.authentication.k8s.io/v1")]
    [InlineData("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{}}'", "neither a token nor")]
    [InlineData("head -c 300000 /dev/zero", "more than 256 KiB")]
    public async Task Get_PluginThatFails_SaysHowAndShowsNothingOfIt(string script, string expected)
    {
        await using var client = new KubeClient(Connection(new Uri("http://127.0.0.1:1"), script), new KubeClientOptions { AllowExec = true });
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
        Assert.Equal((KubeErrorKind.Unauthorized, KubeErrorReasons.CredentialSource), (failure.Kind, failure.Error.Reason));
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cr3t", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_PluginSwitchedOff_IsNotRun()
    {
        await using var client = new KubeClient(Connection(new Uri("http://127.0.0.1:1"), "touch $1/ran"));
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
        Assert.Contains("AllowExec", failure.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder.FullName, "ran")));
    }

    [Fact]
    public async Task Get_MissingProgram_SaysSoWithItsHint()
    {
        var plugin = new ExecPlugin(V1, "no-such-plugin-here", [], []) { InstallHint = "install it" };
        await using var client = new KubeClient(
            new ClusterConnection(new Uri("http://127.0.0.1:1")) { Credentials = new KubeCredentials(null, new TokenSource.Exec(plugin)) },
            new KubeClientOptions { AllowExec = true });
        KubeException failure = await Assert.ThrowsAsync<KubeException>(() => client.GetAsync("/x").WaitAsync(Soon));
        Assert.Contains("no such program", failure.Message, StringComparison.Ordinal);
        Assert.Contains("install it", failure.Message, StringComparison.Ordinal);
    }

    private ClusterConnection Connection(Uri server, string script) => new(server)
    {
        Credentials = new KubeCredentials(null, new TokenSource.Exec(
            new ExecPlugin(V1, "/bin/sh", ["-c", script, "sh", _folder.FullName], [new("PREFIX", "s3cr3t")]) { ProvideClusterInfo = true })),
    };
}
