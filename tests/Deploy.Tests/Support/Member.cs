using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Deploy.Tests.Support;

/// <summary>A simulated cluster to which manifests are applied as strictly as a server can: what it does not know, it refuses.</summary>
internal sealed class Member : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Dictionary<string, Dictionary<string, (string Plural, bool Namespaced)>> _kinds = new(StringComparer.Ordinal);
    private readonly HttpClient _http;

    private Member(SimulatedCluster cluster)
    {
        Cluster = cluster;
        var authority = X509Certificate2.CreateFromPem(cluster.CertificateAuthorityPem);
        _http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions =
            {
                CertificateChainPolicy = new X509ChainPolicy
                {
                    TrustMode = X509ChainTrustMode.CustomRootTrust,
                    CustomTrustStore = { authority },
                    RevocationMode = X509RevocationMode.NoCheck,
                },
            },
        })
        { BaseAddress = cluster.Url, Timeout = Patience };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", cluster.AdminToken);
    }

    public SimulatedCluster Cluster { get; }

    public static async Task<Member> StartAsync(string name = "member") =>
        new(await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = name }));

    /// <summary>Defines the kinds of the Prometheus Operator, in the parts that our manifests use.</summary>
    public async Task AddMonitoringKindsAsync()
    {
        foreach (JsonObject definition in Yaml.ReadAll(await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "Support", "monitoring-kinds.yaml"))))
        {
            await ApplyAsync(definition);
        }

        long start = TimeProvider.System.GetTimestamp();
        while (await FindKindAsync("monitoring.coreos.com/v1", "PrometheusRule") is null || await FindKindAsync("monitoring.coreos.com/v1", "PodMonitor") is null)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, "The custom kinds do not get served.");
            _kinds.Remove("monitoring.coreos.com/v1");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
        }
    }

    /// <summary>Applies a manifest; the server must take all of it.</summary>
    public async Task ApplyAsync(JsonObject manifest)
    {
        (int status, string answer) = await TryApplyAsync(manifest);
        Assert.True(status is 200 or 201, $"{manifest.Id()}: {status} {answer}");
    }

    /// <summary>Applies a manifest on the server's side, with unknown fields refused.</summary>
    public async Task<(int Status, string Answer)> TryApplyAsync(JsonObject manifest)
    {
        string version = manifest.Text("apiVersion");
        (string plural, bool namespaced) = await FindKindAsync(version, manifest.Kind())
            ?? throw new InvalidOperationException($"{version} {manifest.Kind()} is not served.");
        string root = version.Contains('/', StringComparison.Ordinal) ? $"/apis/{version}" : $"/api/{version}";
        string scope = namespaced ? $"/namespaces/{manifest.Text("metadata.namespace")}" : "";
        return await SendAsync(
            "PATCH", $"{root}{scope}/{plural}/{manifest.Name()}?fieldManager=tests&fieldValidation=Strict", manifest.ToJsonString(), "application/apply-patch+yaml");
    }

    public async Task<(int Status, string Answer)> SendAsync(
        string method, string path, string? body = null, string type = "application/json", string? token = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        if (body is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        }

        using HttpResponseMessage response = await _http.SendAsync(request).WaitAsync(Patience);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync().WaitAsync(Patience));
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await Cluster.DisposeAsync();
    }

    private async Task<(string Plural, bool Namespaced)?> FindKindAsync(string version, string kind)
    {
        if (!_kinds.TryGetValue(version, out Dictionary<string, (string, bool)>? kinds))
        {
            string root = version.Contains('/', StringComparison.Ordinal) ? $"/apis/{version}" : $"/api/{version}";
            (int status, string answer) = await SendAsync("GET", root);
            kinds = status == 200
                ? JsonNode.Parse(answer).Items("resources").Where(r => !r.Text("name").Contains('/', StringComparison.Ordinal))
                    .ToDictionary(r => r.Text("kind"), r => (r.Text("name"), r["namespaced"]!.GetValue<bool>()))
                : [];
            _kinds[version] = kinds;
        }

        return kinds.TryGetValue(kind, out (string, bool) found) ? found : null;
    }
}
