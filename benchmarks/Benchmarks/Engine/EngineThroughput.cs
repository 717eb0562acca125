using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.V1;
using Orleans;
using Orleans.Hosting;

namespace MultiCluster.Benchmarks.Engine;

/// <summary>Calls per second of the engine: grains in process beside a bare queue with a loop, gRPC over TLS beside a bare endpoint of the same server.</summary>
internal static class EngineThroughput
{
    /// <param name="args">[seconds of each measurement]</param>
    public static async Task RunAsync(string[] args)
    {
        var each = TimeSpan.FromSeconds(args.Length > 0 ? double.Parse(args[0], CultureInfo.InvariantCulture) : 3);
        string load = Load.Average;
        var report = new Report("Engine", CallRates.Columns);
        var rates = new CallRates(report, each);
        await GrainsAsync(rates);
        await GrpcAsync(rates);
        report.Print($"Grains: every caller has a grain of its own (or all share one), beside a queue with a loop that gives the same promise. gRPC: a unary call of some 20 bytes each way "
            + $"over loopback, TLS and HTTP/2, client and server in this process, beside a POST to an endpoint that reads and writes as many bytes. Both in alternation, {each.TotalSeconds:0.#} s each, twice. "
            + $"Load average before {load}, after {Load.Average}.");
    }

    private static async Task GrainsAsync(CallRates rates)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.UseOrleans(static silo => silo.UseLocalhostClustering());
        using IHost host = builder.Build();
        await host.StartAsync();
        var grains = host.Services.GetRequiredService<IGrainFactory>();
        foreach (bool shared in new[] { false, true })
        {
            foreach (int callers in shared ? CallRates.Callers[1..] : CallRates.Callers)
            {
                string name = shared ? "grain calls, one grain" : "grain calls, a grain per caller";
                ICounterGrain[] targets = [.. Enumerable.Range(0, callers).Select(i => grains.GetGrain<ICounterGrain>($"{name}-{callers}-{(shared ? 0 : i)}"))];
                ChannelCounter[] bare = [.. Enumerable.Range(0, shared ? 1 : callers).Select(static _ => new ChannelCounter())];
                long calls = await rates.CompareAsync(
                    name, callers,
                    caller => targets[caller].AddAsync(1),
                    caller => bare[caller % bare.Length].AddAsync(1));
                await GrainCalls.ProveAsync(calls, targets.DistinctBy(static t => t.GetPrimaryKeyString()));
                foreach (ChannelCounter one in bare)
                {
                    await one.DisposeAsync();
                }
            }
        }

        await host.StopAsync();
    }

    private static async Task GrpcAsync(CallRates rates)
    {
        using X509Certificate2 certificate = SelfSigned();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(certificate);
        }));
        builder.Services.AddGrpc();
        await using WebApplication app = builder.Build();
        app.MapGrpcService<EchoService>();
        app.MapPost("/bare", BareAsync);
        await app.StartAsync();
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());
        using SocketsHttpHandler handler = ServiceHost.Trusting(certificate.ExportCertificatePem());
        using GrpcChannel channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler });
        var client = new ResourceService.ResourceServiceClient(channel);
        using var http = new HttpMessageInvoker(ServiceHost.Trusting(certificate.ExportCertificatePem()));
        var bareUrl = new Uri(address, "/bare");
        foreach (int callers in CallRates.Callers)
        {
            await rates.CompareAsync("gRPC unary calls", callers, _ => EchoAsync(client), _ => PostAsync(http, bareUrl));
        }

        await app.StopAsync();
    }

    private static async Task EchoAsync(ResourceService.ResourceServiceClient client)
    {
        GetResponse answer = await client.GetAsync(new GetRequest { Name = "the-name-of-a-pod" });
        if (answer.Objects[0].Name != "the-name-of-a-pod")
        {
            throw new InvalidOperationException("The answer is not the request's.");
        }
    }

    private static async Task PostAsync(HttpMessageInvoker http, Uri url)
    {
        byte[] body = [.. "the-name-of-a-pod-20"u8];
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Version = HttpVersion.Version20, Content = new ByteArrayContent(body) };
        using HttpResponseMessage response = await http.SendAsync(request, CancellationToken.None);
        byte[] answer = await response.Content.ReadAsByteArrayAsync();
        if (!answer.AsSpan().SequenceEqual(body))
        {
            throw new InvalidOperationException("The answer is not the request's.");
        }
    }

    private static async Task BareAsync(HttpContext context)
    {
        byte[] body = new byte[64];
        int length = await context.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, context.RequestAborted);
        context.Response.ContentLength = length;
        await context.Response.Body.WriteAsync(body.AsMemory(0, length), context.RequestAborted);
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    private sealed class EchoService : ResourceService.ResourceServiceBase
    {
        public override Task<GetResponse> Get(GetRequest request, ServerCallContext context) =>
            Task.FromResult(new GetResponse { Objects = { new V1.Object { Name = request.Name } } });
    }
}
