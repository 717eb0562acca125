using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;
using MultiCluster.Simulator.Tests.Hosting;

namespace MultiCluster.Simulator.Tests.Seeding;

[Collection(MemoryTests.Name)]
public sealed class SeededPodTests
{
    [Theory]
    [InlineData(true, 8_100, 8_500)]
    [InlineData(false, 4_000, 4_400)]
    public async Task SeedPods_OneOfThem_HasTheStatedSize(bool managedFields, int from, int to)
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false, Housekeeping = false });
        cluster.Objects.SeedPods(new PodSeed(30) { ManagedFields = managedFields, Namespaces = 2 });
        using var client = new ApiClient(cluster);

        using HttpResponseMessage response = await client.SendAsync("GET", "/api/v1/pods");
        byte[] body = await response.Content.ReadAsByteArrayAsync().WaitAsync(ApiClient.Deadline);

        Assert.Equal(30, JsonNode.Parse(body)!["items"]!.AsArray().Count);
        Assert.InRange(body.Length / 30, from, to);
    }

    [Fact]
    public async Task SeedPods_SameSeed_SameClusterInKeyOrderWithDistinctNames()
    {
        string[] first = await NamesAsync();
        string[] second = await NamesAsync();

        Assert.Equal(first, second);
        Assert.Equal(first.Order(StringComparer.Ordinal), first);
        Assert.Equal(first.Length, first.Distinct(StringComparer.Ordinal).Count());

        static async Task<string[]> NamesAsync()
        {
            await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false, Housekeeping = false });
            cluster.Objects.SeedPods(new PodSeed(2_000) { PodsPerOwner = 500, Namespaces = 3 });
            using var client = new ApiClient(cluster);
            JsonNode list = await client.GetAsync("/api/v1/pods");
            return [.. list["items"]!.AsArray().Select(p => $"{p!["metadata"]!["namespace"]}/{p["metadata"]!["name"]}")];
        }
    }

    [Fact]
    public async Task SeededPod_WrittenTo_BecomesAnOrdinaryObject()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false, Housekeeping = false });
        cluster.Objects.SeedPods(new PodSeed(20));
        using var client = new ApiClient(cluster);
        JsonNode pod = (await client.GetAsync("/api/v1/pods?limit=1"))["items"]![0]!;
        string path = $"/api/v1/namespaces/{pod["metadata"]!["namespace"]}/pods/{pod["metadata"]!["name"]}";
        using WatchReader watch = await client.WatchAsync($"/api/v1/pods?watch=true&resourceVersion={cluster.Revision}");

        (int status, JsonNode patched) = await client.CallAsync("PATCH", path, """{"metadata":{"labels":{"new":"yes"}}}""", "application/merge-patch+json");

        Assert.True(status == 200, patched.ToJsonString());
        JsonNode e = (await watch.NextAsync())!;
        Assert.Equal("MODIFIED", e["type"]!.GetValue<string>());
        Assert.Equal("yes", e["object"]!["metadata"]!["labels"]!["new"]!.GetValue<string>());
        Assert.Equal(pod["metadata"]!["uid"]!.ToString(), e["object"]!["metadata"]!["uid"]!.ToString());
    }

    [Fact]
    public async Task TouchPods_EachTouch_OneModifiedEvent()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false, Housekeeping = false });
        cluster.Objects.SeedPods(new PodSeed(3) { Namespaces = 1 });
        using var client = new ApiClient(cluster);
        long before = cluster.Revision;
        using WatchReader watch = await client.WatchAsync($"/api/v1/pods?watch=true&resourceVersion={before}");

        cluster.Objects.TouchPods(4);

        for (long i = 1; i <= 4; i++)
        {
            JsonNode e = (await watch.NextAsync())!;
            Assert.Equal("MODIFIED", e["type"]!.GetValue<string>());
            Assert.Equal((before + i).ToString(), e["object"]!["metadata"]!["resourceVersion"]!.GetValue<string>());
        }
    }

    [Fact]
    public async Task SeedPods_HundredThousand_HeldInAFewMegabytes()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false, Housekeeping = false });
        long before = GC.GetTotalMemory(forceFullCollection: true);

        cluster.Objects.SeedPods(new PodSeed(100_000));

        long held = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.Equal(100_000, cluster.Objects.Count("v1", "Pod"));
        Assert.InRange(held, 0, 40_000_000);
    }
}
