using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Engine.Tests.Grpc.Protos;

namespace MultiCluster.Engine.Tests.Grpc;

/// <summary>A Kestrel on 127.0.0.1 with the probe service, HTTP/2 without TLS on one port and HTTP/1.1 on another.</summary>
internal sealed class GrpcTestServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private GrpcTestServer(WebApplication app, ProbeRecord record)
    {
        _app = app;
        Record = record;
        string[] addresses = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        Address = addresses[0];
        Http1Address = addresses[1];
        Channel = GrpcChannel.ForAddress(Address);
        Probe = new Probe.ProbeClient(Channel);
    }

    public string Address { get; }

    public string Http1Address { get; }

    public ProbeRecord Record { get; }

    public GrpcChannel Channel { get; }

    public Probe.ProbeClient Probe { get; }

    public IServiceProvider Services => _app.Services;

    public static async Task<GrpcTestServer> StartAsync(
        Action<GrpcServiceOptions>? grpc = null, Action<IServiceCollection>? services = null, Action<WebApplication>? map = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        var record = new ProbeRecord();
        builder.Services.AddSingleton(record);
        builder.Services.AddGrpc(grpc ?? (_ => { }));
        services?.Invoke(builder.Services);
        WebApplication app = builder.Build();
        if (map is null)
        {
            app.MapGrpcService<ProbeService>();
        }
        else
        {
            map(app);
        }

        await app.StartAsync();
        return new GrpcTestServer(app, record);
    }

    /// <summary>Stops as on shutdown: running calls get the time that the host gives them, here at most two seconds.</summary>
    public async Task StopAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(patience.Token);
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await StopAsync();
        await _app.DisposeAsync();
    }
}
