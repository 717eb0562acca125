using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Simulator.Tests.Hosting;

/// <summary>A plain HTTP client of one simulated cluster.</summary>
internal sealed class ApiClient : IDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly X509Certificate2 _authority;

    public ApiClient(SimulatedCluster cluster, string? token = null, X509Certificate2? certificate = null, Version? version = null)
    {
        _authority = X509CertificateLoader.LoadCertificate(Encoding.ASCII.GetBytes(cluster.CertificateAuthorityPem));
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.None,
            SslOptions =
            {
                RemoteCertificateValidationCallback = (_, served, _, _) =>
                {
                    using var chain = new X509Chain();
                    chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
                    chain.ChainPolicy.CustomTrustStore.Add(_authority);
                    chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
                    return served is X509Certificate2 certificate2 && chain.Build(certificate2);
                },
                ClientCertificates = certificate is null ? null : [certificate],
            },
        };
        Http = new HttpClient(handler)
        {
            BaseAddress = cluster.Url,
            Timeout = Deadline,
            DefaultRequestVersion = version ?? HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        Http.DefaultRequestHeaders.UserAgent.ParseAdd("tests/1.0");
        string bearer = token ?? (certificate is null ? cluster.AdminToken : "");
        if (bearer.Length > 0)
        {
            Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        }
    }

    public HttpClient Http { get; }

    public Task<HttpResponseMessage> SendAsync(
        string method, string path, string? body = null, string contentType = "application/json", string? accept = "application/json",
        HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path) { Version = Http.DefaultRequestVersion, VersionPolicy = Http.DefaultVersionPolicy };
        if (accept is not null)
        {
            request.Headers.TryAddWithoutValidation("Accept", accept);
        }

        if (body is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        return Http.SendAsync(request, completion).WaitAsync(Deadline);
    }

    /// <summary>Sends and returns status and JSON.</summary>
    public async Task<(int Status, JsonNode Body)> CallAsync(string method, string path, string? body = null, string contentType = "application/json", string accept = "application/json")
    {
        using HttpResponseMessage response = await SendAsync(method, path, body, contentType, accept);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync().WaitAsync(Deadline)) ?? new JsonObject());
    }

    public async Task<JsonNode> GetAsync(string path)
    {
        (int status, JsonNode body) = await CallAsync("GET", path);
        Assert.True(status == 200, $"GET {path}: {status} {body.ToJsonString()}");
        return body;
    }

    public async Task<JsonNode> CreateAsync(string path, string body)
    {
        (int status, JsonNode answer) = await CallAsync("POST", path, body);
        Assert.True(status == 201, $"POST {path}: {status} {answer.ToJsonString()}");
        return answer;
    }

    public async Task<WatchReader> WatchAsync(string path, string? accept = "application/json")
    {
        HttpResponseMessage response = await SendAsync("GET", path, accept: accept, completion: HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return new WatchReader(response, new StreamReader(await response.Content.ReadAsStreamAsync().WaitAsync(Deadline)));
    }

    public static string ConfigMap(string name, string value = "v", string labels = "") =>
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","labels":{{{{labels}}}}},"data":{"k":"{{{value}}}"}}""";

    public void Dispose()
    {
        Http.Dispose();
        _authority.Dispose();
    }
}

/// <summary>Reads the events of one watch.</summary>
internal sealed class WatchReader(HttpResponseMessage response, StreamReader reader) : IDisposable
{
    /// <summary>The next event, or null at the end of the stream.</summary>
    public async Task<JsonNode?> NextAsync()
    {
        string? line = await reader.ReadLineAsync().WaitAsync(ApiClient.Deadline);
        return line is null ? null : JsonNode.Parse(line);
    }

    /// <summary>The next event as <c>ADDED name</c>.</summary>
    public async Task<string?> NextShortAsync() =>
        await NextAsync() is { } e ? $"{e["type"]} {e["object"]?["metadata"]?["name"]}".TrimEnd() : null;

    public void Dispose()
    {
        reader.Dispose();
        response.Dispose();
    }
}
