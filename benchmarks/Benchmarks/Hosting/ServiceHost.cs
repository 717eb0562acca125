using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Silo.Hosting;
using MultiCluster.V1;

namespace MultiCluster.Benchmarks.Hosting;

/// <summary>The whole service in this process, on free ports and with a data directory of its own, called over TLS and gRPC.</summary>
internal sealed class ServiceHost : IAsyncDisposable
{
    private readonly DirectoryInfo _data;
    private readonly Service _service;
    private readonly GrpcChannel _channel;

    private ServiceHost(DirectoryInfo data, Service service)
    {
        _data = data;
        _service = service;
        _channel = GrpcChannel.ForAddress(service.Address, new GrpcChannelOptions { HttpHandler = Trusting(service.AuthorityPem), MaxReceiveMessageSize = null });
        Resources = new ResourceService.ResourceServiceClient(_channel);
        Clusters = new ClusterService.ClusterServiceClient(_channel);
    }

    public ResourceService.ResourceServiceClient Resources { get; }

    public ClusterService.ClusterServiceClient Clusters { get; }

    public Metadata Admin => new() { { "authorization", $"Bearer {_service.Token.Value}" } };

    public static async Task<ServiceHost> StartAsync(Action<WebApplicationBuilder>? configure = null)
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory("mc-bench-");
        Service service = await Service.CreateAsync(
            new ServiceSettings { Listen = "127.0.0.1:0", ListenMetrics = "", DataDirectory = data.FullName },
            configure: builder =>
            {
                builder.Logging.ClearProviders();
                configure?.Invoke(builder);
            });
        await service.StartAsync(CancellationToken.None);
        return new ServiceHost(data, service);
    }

    /// <summary>Registers clusters and waits until all their pods are mirrored.</summary>
    public async Task RegisterAsync(IReadOnlyList<ClusterAddress> clusters, int podsOfEach)
    {
        var commands = _service.Services.GetRequiredService<ClusterCommands>();
        await Task.WhenAll(clusters.Select(c => commands.RegisterAsync(
            c.Name, [], new ConnectionInput { Server = c.Url.AbsoluteUri, CertificateAuthority = c.AuthorityPem, Token = c.Token }, MultiCluster.Clusters.MirrorScope.Default, force: false, dryRun: false, CancellationToken.None)));
        for (int tries = 0; ; tries++)
        {
            CountResponse count = await Resources.CountAsync(new CountRequest { Query = new V1.ObjectQuery { Kind = "pods" } }, Admin);
            if (count.Total == (long)clusters.Count * podsOfEach && count.Coverage.All(c => c.State == V1.CoverageState.Ok))
            {
                return;
            }

            if (tries == 1200)
            {
                throw new InvalidOperationException($"{count.Total} pods arrived; coverage: {string.Join(", ", count.Coverage)}.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
        }
    }

    public static SocketsHttpHandler Trusting(string authorityPem) => new()
    {
        EnableMultipleHttp2Connections = true,
        InitialHttp2StreamWindowSize = 1024 * 1024,
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509Certificate2.CreateFromPem(authorityPem) },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    };

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _service.App.StopAsync();
        await _service.DisposeAsync();
        _data.Delete(recursive: true);
    }
}
