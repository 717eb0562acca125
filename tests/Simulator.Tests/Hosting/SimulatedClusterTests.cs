using System.Net;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Simulator.Tests.Hosting;

public sealed class SimulatedClusterTests
{
    [Theory]
    [InlineData(true, "1.1")]
    [InlineData(true, "2.0")]
    [InlineData(false, "1.1")]
    public async Task Start_AnyTransport_AnswersVersion(bool tls, string http)
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = tls });
        using var client = new ApiClient(cluster, version: Version.Parse(http));

        JsonNode version = await client.GetAsync("/version");

        Assert.Equal("v1.32.13", version["gitVersion"]!.GetValue<string>());
    }

    [Fact]
    public async Task Objects_CreatedListedWatchedDeleted_AsOverHttp()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false });
        using var client = new ApiClient(cluster);
        JsonNode list = await client.GetAsync("/api/v1/namespaces/kube-public/configmaps?labelSelector=t%3Dy");
        using WatchReader watch = await client.WatchAsync(
            $"/api/v1/namespaces/kube-public/configmaps?watch=true&labelSelector=t%3Dy&resourceVersion={list["metadata"]!["resourceVersion"]}");

        await client.CreateAsync("/api/v1/namespaces/kube-public/configmaps", ApiClient.ConfigMap("a", labels: "\"t\":\"y\""));
        Assert.Equal("ADDED a", await watch.NextShortAsync());
        (int status, JsonNode body) = await client.CallAsync(
            "PATCH", "/api/v1/namespaces/kube-public/configmaps/a", """{"data":{"k":"w"}}""", "application/merge-patch+json");
        Assert.True(status == 200, body.ToJsonString());
        Assert.Equal("MODIFIED a", await watch.NextShortAsync());
        (status, body) = await client.CallAsync("DELETE", "/api/v1/namespaces/kube-public/configmaps/a");
        Assert.True(status == 200, body.ToJsonString());
        Assert.Equal("Success", body["status"]!.GetValue<string>());
        Assert.Equal("DELETED a", await watch.NextShortAsync());
    }
}
