using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Gateway.Tests.Faults;
using MultiCluster.Simulator.Hosting;
using MultiCluster.V1;

namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>Clients that send what no client should: each hears what is wrong with it, and the log stays as it is.</summary>
public sealed class HostileClientTests : IAsyncLifetime
{
    private readonly LogCapture _log = new();
    private ServiceUnderTest _service = null!;
    private SimulatedCluster _member = null!;

    public async Task InitializeAsync()
    {
        _service = await ServiceUnderTest.StartAsync(builder => builder.Services.AddSingleton<ILoggerProvider>(_log));
        _member = await Members.StartAsync("eu-1");
        await _service.RegisterAsync(_member);
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _member.DisposeAsync();
    }

    [Fact]
    public async Task Http2_RapidReset_EndsTheConnectionAndWarnsNobody()
    {
        await FloodAsync();

        Assert.Equal(HttpStatusCode.OK, (await _service.Http.GetAsync("/v1/clusters")).StatusCode);
        Assert.DoesNotContain(_log.Lines, line => line.Level >= LogLevel.Warning);
    }

    [Theory]
    [InlineData("""{"server":"https://10.0.0.1:6443","token":"abc","tlsServerName":"na\u0000me"}""", "tls-server-name")]
    [InlineData("""{"server":"https://10.0.0.1:6443","token":"abc","tlsServerName":"na\r\nme"}""", "tls-server-name")]
    [InlineData("""{"server":"https://10.0.0.1:6443\r\n/x","token":"abc"}""", "server URL")]
    [InlineData("""{"server":"https://10.0.0.1:6443/a b","token":"abc"}""", "server URL")]
    [InlineData("""{"server":"https://10.0.0.1:6443","token":"abc","proxyUrl":"http://10.0.0.2:1\n/x"}""", "proxy")]
    [InlineData("""{"server":"https://10.0.0.1:6443","token":"abc","context":"c"}""", "context")]
    [InlineData("""{"kubeconfig":"{}","server":"https://10.0.0.1:6443","token":"abc"}""", "beside the kubeconfig there are server, token.")]
    [InlineData("""{"kubeconfig":"{}","certificateAuthority":"x"}""", "beside the kubeconfig there is certificateAuthority.")]
    [InlineData("""{"kubeconfig":"{}","insecureSkipTlsVerify":true,"proxyUrl":"http://p:1","clientKey":"k","tlsServerName":"n"}""", "clientKey, tlsServerName, insecureSkipTlsVerify, proxyUrl.")]
    public async Task Register_ContradictoryOrBroken_IsAnInvalidRequest(string connection, string said)
    {
        string body = $"{{\"name\":\"odd\",\"force\":true,{connection[1..]}";
        using HttpResponseMessage answer = await _service.Http.PostAsync("/v1/clusters", new StringContent(body, Encoding.UTF8, "application/json"));

        await AssertRefusedAsync(answer, said);
    }

    [Fact]
    public async Task Register_KubeconfigWithABrokenServerName_IsAnInvalidRequest()
    {
        string kubeconfig = _member.KubeconfigYaml().Replace("    server:", "    tls-server-name: \"na\\u0007me\"\n    server:", StringComparison.Ordinal);
        Assert.Contains("tls-server-name", kubeconfig, StringComparison.Ordinal);
        using HttpResponseMessage answer = await _service.Http.PostAsJsonAsync("/v1/clusters", new { name = "odd", kubeconfig, force = true });

        await AssertRefusedAsync(answer, "tls-server-name");
    }

    [Fact]
    public async Task Register_ScopeWithoutBounds_IsAnInvalidRequest()
    {
        string kubeconfig = _member.KubeconfigYaml();
        string[] many = [.. Enumerable.Range(0, 1_001).Select(i => $"k{i}.dev")];
        using HttpResponseMessage tooMany = await _service.Http.PostAsJsonAsync("/v1/clusters", new { name = "odd", kubeconfig, mirror = new { include = many } });
        await AssertRefusedAsync(tooMany, "at most 1000 entries");
        using HttpResponseMessage patch = await _service.Http.PatchAsJsonAsync("/v1/clusters/eu-1", new { mirror = new { exclude = many } });
        await AssertRefusedAsync(patch, "at most 1000 entries");
        using HttpResponseMessage tooLong = await _service.Http.PostAsJsonAsync(
            "/v1/clusters", new { name = "odd", kubeconfig, mirror = new { include = new[] { new string('k', 100_000) } } });
        Assert.True((await AssertRefusedAsync(tooLong, "at most 253 characters")).Length < 2_000);
    }

    [Fact]
    public async Task Update_OfNothing_ChangesNothing()
    {
        using HttpResponseMessage first = await _service.Http.PatchAsJsonAsync(
            "/v1/clusters/eu-1", new { labels = new { a = "b" }, mirror = new { include = new[] { "pods", "nodes" } } });
        JsonElement changed = await first.Content.ReadFromJsonAsync<JsonElement>();
        foreach (object same in new object[]
        {
            new { },
            new { enabled = true },
            new { labels = new { a = "b" }, enabled = true, mirror = new { include = new[] { "pods", "nodes" } } },
        })
        {
            using HttpResponseMessage answer = await _service.Http.PatchAsJsonAsync("/v1/clusters/eu-1", same);
            JsonElement cluster = await answer.Content.ReadFromJsonAsync<JsonElement>();
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(changed.GetProperty("generation").GetInt64(), cluster.GetProperty("generation").GetInt64());
        }

        using HttpResponseMessage other = await _service.Http.PatchAsJsonAsync("/v1/clusters/eu-1", new { mirror = new { include = new[] { "pods" } } });
        Assert.Equal(changed.GetProperty("generation").GetInt64() + 1, (await other.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("generation").GetInt64());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    public async Task Grpc_WithoutTheToken_IsUnauthenticatedAndSaysWhatToSend(string? token)
    {
        var client = new ClusterService.ClusterServiceClient(_service.Grpc);
        Metadata headers = token is null ? [] : new Metadata { { "authorization", $"Bearer {token}" } };

        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await client.ListClustersAsync(new ListClustersRequest(), headers, Soon));

        Assert.Equal(StatusCode.Unauthenticated, error.StatusCode);
        Assert.StartsWith("Send the header 'Authorization: Bearer TOKEN'.", error.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("multicluster.v1.ClusterService")]
    [InlineData("multicluster.v1.ResourceService")]
    public async Task GrpcHealth_OfEachService_IsServing(string service)
    {
        await _service.UntilSyncedAsync("pods", 3);
        var client = new Health.HealthClient(_service.Grpc);

        HealthCheckResponse answer = await client.CheckAsync(new HealthCheckRequest { Service = service }, deadline: Soon);

        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, answer.Status);
    }

    private static DateTime Soon => TimeProvider.System.GetUtcNow().UtcDateTime + ServiceUnderTest.Patience;

    private async Task<string> AssertRefusedAsync(HttpResponseMessage answer, string said)
    {
        string text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.BadRequest, text);
        JsonElement problem = JsonSerializer.Deserialize<JsonElement>(text);
        Assert.Contains(said, problem.GetProperty("detail").GetString()!, StringComparison.Ordinal);
        Assert.All(problem.GetProperty("faults").EnumerateArray(), fault => Assert.Equal("InvalidRequest", fault.GetProperty("kind").GetString()));
        Assert.DoesNotContain(_log.Lines, line => line.Level >= LogLevel.Error);
        return text;
    }

    /// <summary>Opens streams and resets them at once, reading nothing of what is answered, until the server has had enough.</summary>
    private async Task FloodAsync()
    {
        using var stop = new CancellationTokenSource(ServiceUnderTest.Patience, TimeProvider.System);
        await using SslStream tls = await _service.ConnectAsync(SslApplicationProtocol.Http2, stop.Token);
        byte[] host = Encoding.ASCII.GetBytes("localhost");
        byte[] headers = [0x82, 0x84, 0x87, 0x01, (byte)host.Length, .. host];   // GET / over https
        try
        {
            await tls.WriteAsync(Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), stop.Token);
            await tls.WriteAsync(Frame(4, 0, 0, []), stop.Token);
            int stream = 1;
            while (true)
            {
                var batch = new List<byte>();
                for (int i = 0; i < 100; i++, stream += 2)
                {
                    batch.AddRange(Frame(1, 5, stream, headers));
                    batch.AddRange(Frame(3, 0, stream, [0, 0, 0, 8]));
                }

                await tls.WriteAsync(batch.ToArray(), stop.Token);
            }
        }
        catch (IOException)
        {
            // The server has ended the connection.
        }
    }

    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload) =>
    [
        (byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags,
        (byte)(stream >> 24), (byte)(stream >> 16), (byte)(stream >> 8), (byte)stream, .. payload,
    ];
}
