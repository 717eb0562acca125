using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Google.Rpc;
using Grpc.Core;
using Microsoft.Extensions.Configuration;
using MultiCluster.Gateway.Reads;
using MultiCluster.Silo.Hosting;
using MultiCluster.Simulator.Hosting;
using MultiCluster.V1;
using ObjectQuery = MultiCluster.V1.ObjectQuery;

namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>Only so many watches may be open at once, over every surface together.</summary>
public sealed class WatchPlacesTests
{
    private static readonly ObjectQuery Pods = new() { Kind = "pods" };

    [Theory]
    [InlineData(2, 10, "User admin has 2 watches open", "user")]
    [InlineData(10, 2, "The service has 2 watches open", "process")]
    public async Task Watch_BeyondTheLimit_IsRefusedUntilAnotherEnds(int perUser, int perProcess, string says, string limit)
    {
        await using SimulatedCluster member = await Members.StartAsync("eu-1");
        await using ServiceUnderTest service = await StartAsync(perUser, perProcess);
        await service.RegisterAsync(member);
        await service.UntilSyncedAsync("pods", 3);
        var resources = new ResourceService.ResourceServiceClient(service.Grpc);
        var clusters = new ClusterService.ClusterServiceClient(service.Grpc);
        var admin = new Metadata { { "authorization", $"Bearer {service.Service.Token.Value}" } };
        using HttpResponseMessage events = await service.Http.GetAsync("/v1/resources/pods?watch=true", HttpCompletionOption.ResponseHeadersRead);
        using AsyncServerStreamingCall<WatchClustersResponse> fleet = clusters.WatchClusters(new WatchClustersRequest(), admin, Soon);
        Assert.True(await fleet.ResponseStream.MoveNext(CancellationToken.None));

        using HttpResponseMessage refused = await service.Http.GetAsync("/v1/resources/pods?watch=true");
        JsonElement problem = await refused.Content.ReadFromJsonAsync<JsonElement>();
        using AsyncServerStreamingCall<WatchResponse> call = resources.Watch(new WatchRequest { Query = Pods }, admin, Soon);
        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await call.ResponseStream.MoveNext(CancellationToken.None));
        string metrics = await MetricsAsync(service);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(10), refused.Headers.RetryAfter!.Delta);
        Assert.StartsWith(says, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.False(problem.TryGetProperty("retryAfter", out _));
        Assert.Equal(global::Grpc.Core.StatusCode.ResourceExhausted, error.StatusCode);
        Assert.StartsWith(says, error.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(10, error.GetRpcStatus()!.Details[0].Unpack<RetryInfo>().RetryDelay.Seconds);
        Assert.Contains("\nmulticluster_watches_open 2\n", metrics, StringComparison.Ordinal);
        Assert.Contains($"\nmulticluster_watches_refused_total{{limit=\"{limit}\"}} 2\n", metrics, StringComparison.Ordinal);

        // A place is free again once the service has noticed that its reader went.
        fleet.Dispose();
        await UntilAsync(async () => (await MetricsAsync(service)).Contains("\nmulticluster_watches_open 1\n", StringComparison.Ordinal));
        using AsyncServerStreamingCall<WatchResponse> again = resources.Watch(new WatchRequest { Query = Pods }, admin, Soon);
        Assert.True(await again.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Theory]
    [InlineData(0, 1, "Watches:PerUser")]
    [InlineData(1, 100_001, "Watches:PerProcess")]
    public async Task Start_LimitOutOfRange_IsRefusedByName(int perUser, int perProcess, string setting)
    {
        ServiceStartException refused = await Assert.ThrowsAsync<ServiceStartException>(() => StartAsync(perUser, perProcess));

        Assert.StartsWith(setting, refused.Message, StringComparison.Ordinal);
    }

    private static DateTime Soon => TimeProvider.System.GetUtcNow().UtcDateTime + ServiceUnderTest.Patience;

    private static Task<ServiceUnderTest> StartAsync(int perUser, int perProcess) => ServiceUnderTest.StartAsync(builder =>
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            [$"{WatchOptions.Section}:{nameof(WatchOptions.PerUser)}"] = $"{perUser}",
            [$"{WatchOptions.Section}:{nameof(WatchOptions.PerProcess)}"] = $"{perProcess}",
        }));

    private static async Task<string> MetricsAsync(ServiceUnderTest service)
    {
        using var client = new HttpClient { BaseAddress = service.Service.OperationsAddress, Timeout = ServiceUnderTest.Patience };
        return await client.GetStringAsync("/metrics");
    }

    private static async Task UntilAsync(Func<Task<bool>> wish)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!await wish())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < ServiceUnderTest.Patience, "The place of a watch that has ended is not free.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, CancellationToken.None);
        }
    }
}
