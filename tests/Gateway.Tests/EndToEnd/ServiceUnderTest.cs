using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Grains.Cluster;
using MultiCluster.Silo.Hosting;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>The whole service on loopback with a data directory of its own, called as clients call it: over TLS, with a token.</summary>
internal sealed class ServiceUnderTest : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("mc-service-");
    private readonly Action<WebApplicationBuilder>? _configure;
    private Service? _service;

    private ServiceUnderTest(Action<WebApplicationBuilder>? configure) => _configure = configure;

    public Service Service => _service ?? throw new InvalidOperationException("The service is stopped.");

    public HttpClient Http { get; private set; } = new();

    public GrpcChannel Grpc { get; private set; } = null!;

    public string DataDirectory => _data.FullName;

    /// <param name="configure">Last word on the host; also after a restart.</param>
    public static async Task<ServiceUnderTest> StartAsync(Action<WebApplicationBuilder>? configure = null)
    {
        var test = new ServiceUnderTest(configure);
        await test.StartServiceAsync();
        return test;
    }

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartServiceAsync();
    }

    public HttpClient CreateClient(string? token)
    {
        var client = new HttpClient(Handler(Service.AuthorityPem)) { BaseAddress = Service.Address, Timeout = Patience };
        if (token is not null)
        {
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        return client;
    }

    /// <summary>A bare TLS connection, for what no client library sends.</summary>
    public async Task<SslStream> ConnectAsync(SslApplicationProtocol protocol, CancellationToken stop)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await socket.ConnectAsync(IPAddress.Loopback, Service.Address.Port, stop);
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "localhost", ApplicationProtocols = [protocol], CertificateChainPolicy = Trust(Service.AuthorityPem) }, stop);
        return tls;
    }

    public async Task RegisterAsync(SimulatedCluster cluster, string? region = null)
    {
        HttpResponseMessage answer = await Http.PostAsJsonAsync("/v1/clusters", new
        {
            name = cluster.Options.Name,
            kubeconfig = cluster.KubeconfigYaml(),
            labels = region is null ? null : new Dictionary<string, string> { ["region"] = region },
        });
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Asks until the answer is as wished, or patience ends; the last answer is in the message then.</summary>
    public async Task<JsonElement> UntilAsync(string path, Func<JsonElement, bool> wish)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            JsonElement answer = await Http.GetFromJsonAsync<JsonElement>(path);
            if (wish(answer))
            {
                return answer;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"{path} still answers {answer}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, CancellationToken.None);
        }
    }

    public Task<JsonElement> UntilSyncedAsync(string kind, int items) => UntilAsync(
        $"/v1/resources/{kind}?projection=none&limit=10000",
        page => page.GetProperty("items").GetArrayLength() == items
            && page.GetProperty("coverage").EnumerateArray().All(c => c.GetProperty("state").GetString() == "ok"));

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _data.Delete(recursive: true);
    }

    private async Task StartServiceAsync()
    {
        _service = await Service.CreateAsync(
            new ServiceSettings { Listen = "127.0.0.1:0", ListenMetrics = "127.0.0.1:0", DataDirectory = DataDirectory },
            configure: builder =>
            {
                builder.Logging.ClearProviders();
                builder.Services.Configure<HealthOptions>(o => o.ProbeInterval = TimeSpan.FromMilliseconds(200));
                _configure?.Invoke(builder);
            });
        await _service.StartAsync(CancellationToken.None).WaitAsync(Patience);
        Http = CreateClient(_service.Token.Value);
        Grpc = GrpcChannel.ForAddress(_service.Address, new GrpcChannelOptions { HttpHandler = Handler(_service.AuthorityPem) });
    }

    private async Task StopAsync()
    {
        if (_service is not null)
        {
            Http.Dispose();
            Grpc.Dispose();
            await _service.App.StopAsync().WaitAsync(Patience);
            await _service.DisposeAsync();
            _service = null;
        }
    }

    private static SocketsHttpHandler Handler(string authorityPem) => new() { SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = Trust(authorityPem) } };

    private static X509ChainPolicy Trust(string authorityPem) => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        CustomTrustStore = { X509Certificate2.CreateFromPem(authorityPem) },
        RevocationMode = X509RevocationMode.NoCheck,
    };
}
