using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace MultiCluster.Engine.Tests.Grpc;

public sealed class HealthAndReflectionTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private HealthStatus _database = HealthStatus.Healthy;

    [Theory]
    [InlineData(HealthStatus.Healthy, ServingStatus.Serving)]
    [InlineData(HealthStatus.Degraded, ServingStatus.Serving)]
    [InlineData(HealthStatus.Unhealthy, ServingStatus.NotServing)]
    public async Task Check_FollowsTheHealthChecksOfTheService(HealthStatus database, ServingStatus expected)
    {
        await using GrpcTestServer server = await StartAsync();
        var health = new Health.HealthClient(server.Channel);
        _database = database;

        Assert.Equal(expected, (await health.CheckAsync(new HealthCheckRequest { Service = "store" }).ResponseAsync.WaitAsync(Patience)).Status);
        Assert.Equal(expected, (await health.CheckAsync(new HealthCheckRequest()).ResponseAsync.WaitAsync(Patience)).Status);
        Assert.Equal(ServingStatus.Unknown, (await health.CheckAsync(new HealthCheckRequest { Service = "empty" }).ResponseAsync.WaitAsync(Patience)).Status);
    }

    [Fact]
    public async Task Check_UnknownService_IsNotFound()
    {
        await using GrpcTestServer server = await StartAsync();

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => new Health.HealthClient(server.Channel).CheckAsync(new HealthCheckRequest { Service = "nobody" }).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.NotFound, e.StatusCode);
    }

    [Fact]
    public async Task Watch_StatusChanges_TellsEachChangeOnce_AndEndsWithTheServer()
    {
        await using GrpcTestServer server = await StartAsync();
        using AsyncServerStreamingCall<HealthCheckResponse> watch = new Health.HealthClient(server.Channel).Watch(new HealthCheckRequest { Service = "store" });
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));

        await PublishAsync(server, HealthStatus.Healthy);
        await PublishAsync(server, HealthStatus.Unhealthy);
        Assert.Equal(ServingStatus.NotServing, await NextAsync(watch));
        await PublishAsync(server, HealthStatus.Healthy);
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));

        Task stopping = server.StopAsync();
        Assert.Equal(ServingStatus.NotServing, await NextAsync(watch));
        Assert.False(await watch.ResponseStream.MoveNext().WaitAsync(Patience));
        await stopping.WaitAsync(Patience);
    }

    [Fact]
    public async Task Watch_UnknownService_SaysSoAndStaysOpen()
    {
        await using GrpcTestServer server = await StartAsync();
        using AsyncServerStreamingCall<HealthCheckResponse> watch = new Health.HealthClient(server.Channel).Watch(new HealthCheckRequest { Service = "nobody" });

        Assert.Equal(ServingStatus.ServiceUnknown, await NextAsync(watch));
        Task<bool> next = watch.ResponseStream.MoveNext();
        await PublishAsync(server, HealthStatus.Unhealthy);
        await Assert.ThrowsAsync<TimeoutException>(() => next.WaitAsync(TimeSpan.FromMilliseconds(200)));
    }

    [Theory]
    [InlineData("probe.v1.Probe")]
    [InlineData("probe.v1.Probe.Unary")]
    [InlineData("probe.v1.ProbeRequest")]
    [InlineData("probe.v1.ProbeRequest.Ending")]
    [InlineData("probe.v1.ProbeReply.Kind")]
    [InlineData("probe.v1.ProbeReply.payload")]
    public async Task Reflection_Symbol_GivesItsFile(string symbol)
    {
        await using GrpcTestServer server = await StartAsync();

        ServerReflectionResponse answer = await AskAsync(server, new ServerReflectionRequest { Host = "h", FileContainingSymbol = symbol });

        FileDescriptorProto file = FileDescriptorProto.Parser.ParseFrom(Assert.Single(answer.FileDescriptorResponse.FileDescriptorProto));
        Assert.Equal("probe.proto", file.Name);
        Assert.Equal(("h", symbol), (answer.ValidHost, answer.OriginalRequest.FileContainingSymbol));
    }

    [Fact]
    public async Task Reflection_Services_AreAllThatAreMapped()
    {
        await using GrpcTestServer server = await StartAsync();

        ServerReflectionResponse answer = await AskAsync(server, new ServerReflectionRequest { ListServices = "*" });

        Assert.Equal(
            ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "probe.v1.Probe"],
            answer.ListServicesResponse.Service.Select(service => service.Name));
    }

    [Fact]
    public async Task Reflection_Unknown_IsAnErrorInsideTheStream()
    {
        await using GrpcTestServer server = await StartAsync();

        foreach (ServerReflectionRequest request in new ServerReflectionRequest[]
        {
            new() { FileByFilename = "nothing.proto" },
            new() { FileContainingSymbol = "no.such.Symbol" },
            new() { FileContainingExtension = new ExtensionRequest { ContainingType = "probe.v1.ProbeRequest", ExtensionNumber = 5 } },
            new() { AllExtensionNumbersOfType = "probe.v1.ProbeRequest" },
        })
        {
            Assert.Equal((int)StatusCode.NotFound, (await AskAsync(server, request)).ErrorResponse.ErrorCode);
        }
    }

    private static async Task<ServerReflectionResponse> AskAsync(GrpcTestServer server, ServerReflectionRequest request)
    {
        using AsyncDuplexStreamingCall<ServerReflectionRequest, ServerReflectionResponse> call =
            new ServerReflection.ServerReflectionClient(server.Channel).ServerReflectionInfo();
        await call.RequestStream.WriteAsync(request).WaitAsync(Patience);
        Assert.True(await call.ResponseStream.MoveNext().WaitAsync(Patience));
        ServerReflectionResponse answer = call.ResponseStream.Current;
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext().WaitAsync(Patience));
        return answer;
    }

    private static async Task<ServingStatus> NextAsync(AsyncServerStreamingCall<HealthCheckResponse> watch)
    {
        Assert.True(await watch.ResponseStream.MoveNext().WaitAsync(Patience));
        return watch.ResponseStream.Current.Status;
    }

    private async Task PublishAsync(GrpcTestServer server, HealthStatus status)
    {
        _database = status;
        HealthReport report = await server.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        foreach (IHealthCheckPublisher publisher in server.Services.GetServices<IHealthCheckPublisher>())
        {
            await publisher.PublishAsync(report, CancellationToken.None);
        }
    }

    private Task<GrpcTestServer> StartAsync() => GrpcTestServer.StartAsync(
        services: services =>
        {
            services.AddGrpcHealthChecks(options =>
            {
                options.Services.Map("store", check => check.Tags.Contains("store"));
                options.Services.Map("empty", _ => false);
            }).AddCheck("database", () => new HealthCheckResult(_database), ["store"]);
            services.AddGrpcReflection();
        },
        map: app =>
        {
            app.MapGrpcService<ProbeService>();
            app.MapGrpcHealthChecksService();
            app.MapGrpcReflectionService();
        });
}
