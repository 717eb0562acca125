using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>A server that says byte for byte what a test wants it to, where no API server would; everything else is as a client expects.</summary>
internal sealed class ScriptedMember : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, Channel<byte[]>> _watches = new();
    private readonly ConcurrentDictionary<string, int> _asked = new();
    private int _lists;

    private ScriptedMember(WebApplication app, X509Certificate2 certificate)
    {
        _app = app;
        _certificate = certificate;
    }

    /// <summary>Bearer token of the kubeconfig.</summary>
    public string Token => "token-of-the-scripted-member";

    /// <summary>Bodies by path; they come before everything else.</summary>
    public ConcurrentDictionary<string, byte[]> Answers { get; } = new();

    /// <summary>Paths whose answers never end; with true they are gzip of nothing but spaces.</summary>
    public ConcurrentDictionary<string, bool> Endless { get; } = new();

    /// <summary>Items of lists by path, as JSON.</summary>
    public ConcurrentDictionary<string, string[]> Items { get; } = new();

    /// <summary>Lists that were answered.</summary>
    public int Lists => Volatile.Read(ref _lists);

    /// <summary>How often a path was asked for.</summary>
    public int Asked(string path) => _asked.GetValueOrDefault(path);

    public static async Task<ScriptedMember> StartAsync(params (string Group, string Plural, string Kind)[] kinds)
    {
        X509Certificate2 certificate = MakeCertificate();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.UseHttps(certificate)));
        WebApplication app = builder.Build();
        var member = new ScriptedMember(app, certificate);
        member.Discover(kinds);
        app.Run(member.AnswerAsync);
        await app.StartAsync();
        return member;
    }

    public string KubeconfigYaml() => $"""
        apiVersion: v1
        kind: Config
        clusters: [ {"{"} name: c, cluster: {"{"} server: "{_app.Urls.First()}", certificate-authority-data: {Convert.ToBase64String(Encoding.ASCII.GetBytes(_certificate.ExportCertificatePem()))} {"}"} {"}"} ]
        users: [ {"{"} name: u, user: {"{"} token: {Token} {"}"} {"}"} ]
        contexts: [ {"{"} name: x, context: {"{"} cluster: c, user: u {"}"} {"}"} ]
        current-context: x

        """;

    /// <summary>Says what is served, all in version v1.</summary>
    public void Discover(params (string Group, string Plural, string Kind)[] kinds)
    {
        Answers["/api"] = Discovery(kinds.Where(k => k.Group.Length == 0));
        Answers["/apis"] = Discovery(kinds.Where(k => k.Group.Length > 0));
    }

    /// <summary>Sends bytes to the watch of a path, which may not be open yet.</summary>
    public void Send(string path, string text) => Send(path, Encoding.UTF8.GetBytes(text));

    /// <summary>Ends the watch of a path after what was sent before; what is sent then goes to the next watch.</summary>
    public void End(string path) => Send(path, []);

    public void Send(string path, byte[] bytes) => Assert.True(WatchOf(path).Writer.TryWrite(bytes));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _certificate.Dispose();
        _stop.Dispose();
    }

    private Channel<byte[]> WatchOf(string path) => _watches.GetOrAdd(path, _ => Channel.CreateUnbounded<byte[]>());

    private async Task AnswerAsync(HttpContext http)
    {
        string path = http.Request.Path;
        HttpResponse response = http.Response;
        _asked.AddOrUpdate(path, 1, static (_, count) => count + 1);
        response.ContentType = "application/json";
        if (http.Request.Query["watch"] == "true")
        {
            await WatchAsync(http, path);
        }
        else if (Endless.TryGetValue(path, out bool compressed))
        {
            await AnswerEndlesslyAsync(http, compressed);
        }
        else if (Answers.TryGetValue(path, out byte[]? scripted))
        {
            await response.Body.WriteAsync(scripted, http.RequestAborted);
        }
        else if (path is "/readyz")
        {
            await response.WriteAsync("ok", http.RequestAborted);
        }
        else if (path is "/version")
        {
            await response.WriteAsync("""{"major":"1","minor":"32","gitVersion":"v1.32.0"}""", http.RequestAborted);
        }
        else if (path.EndsWith("/selfsubjectrulesreviews", StringComparison.Ordinal))
        {
            await response.WriteAsync("""{"status":{"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}],"nonResourceRules":[],"incomplete":false}}""", http.RequestAborted);
        }
        else if (path.EndsWith("/selfsubjectreviews", StringComparison.Ordinal))
        {
            await response.WriteAsync("""{"status":{"userInfo":{"username":"scripted"}}}""", http.RequestAborted);
        }
        else if (path.StartsWith("/api", StringComparison.Ordinal) && !path.Contains("/namespaces/", StringComparison.Ordinal))
        {
            Interlocked.Increment(ref _lists);
            string items = string.Join(',', Items.GetValueOrDefault(path, []));
            await response.WriteAsync($$"""{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1000"},"items":[{{items}}]}""", http.RequestAborted);
        }
        else
        {
            response.StatusCode = 404;
        }
    }

    private async Task AnswerEndlesslyAsync(HttpContext http, bool compressed)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, _stop.Token);
        byte[] piece = Encoding.ASCII.GetBytes(new string(' ', 256 * 1024));
        try
        {
            http.Response.Headers.ContentEncoding = compressed ? "gzip" : "";
            await using Stream body = compressed ? new GZipStream(http.Response.Body, CompressionLevel.Fastest) : http.Response.Body;
            while (true)
            {
                await body.WriteAsync(piece, either.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // The client has had enough, or the test is over.
        }
    }

    private async Task WatchAsync(HttpContext http, string path)
    {
        if (http.Request.Query.ContainsKey("sendInitialEvents"))
        {
            http.Response.StatusCode = 422;
            return;
        }

        using var either = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, _stop.Token);
        try
        {
            await http.Response.StartAsync(either.Token);
            await http.Response.Body.FlushAsync(either.Token);
            await foreach (byte[] bytes in WatchOf(path).Reader.ReadAllAsync(either.Token))
            {
                if (bytes.Length == 0)
                {
                    return;
                }

                await http.Response.Body.WriteAsync(bytes, either.Token);
                await http.Response.Body.FlushAsync(either.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The watcher left, or the test is over.
        }
    }

    private static byte[] Discovery(IEnumerable<(string Group, string Plural, string Kind)> kinds)
    {
        string groups = string.Join(',', kinds.GroupBy(k => k.Group).Select(group =>
            $$"""{"metadata":{"name":"{{group.Key}}"},"versions":[{"version":"v1","freshness":"Current","resources":[{{string.Join(',', group.Select(Resource))}}]}]}"""));
        return Encoding.UTF8.GetBytes($$"""{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{{groups}}]}""");

        static string Resource((string Group, string Plural, string Kind) k) =>
            $$"""{"resource":"{{k.Plural}}","responseKind":{"group":"{{k.Group}}","version":"v1","kind":"{{k.Kind}}"},"scope":"Namespaced","verbs":["get","list","watch"]}""";
    }

    private static X509Certificate2 MakeCertificate()
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=scripted", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 made = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }
}
