using System.Text.Json.Nodes;
using MultiCluster.Simulator.Controllers;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Storage;
using MultiCluster.TestSupport;

namespace MultiCluster.Simulator.Tests.Controllers;

public sealed class WorkloadTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Deployment_ThousandPods_AllRunOnTheNodes()
    {
        var time = new ManualTimeProvider();
        await using SimulatedCluster cluster = await StartAsync(time, nodes: 10);
        cluster.Objects.Create(Deployment(1000));

        await UntilAsync(cluster, time, d => d?["status"]?["availableReplicas"]?.GetValue<int>() == 1000);

        Assert.Equal(1000, cluster.Objects.Count("v1", "Pod"));
        Assert.InRange(cluster.Objects.Count("v1", "Event"), 1, new ControllerOptions().MaxEvents + 1);
    }

    [Fact]
    public async Task Deployment_ChangedTemplate_NeverFallsBelowItsAvailability()
    {
        var time = new ManualTimeProvider();
        await using SimulatedCluster cluster = await StartAsync(time, nodes: 2);
        cluster.Objects.Create(Deployment(8));
        await UntilAsync(cluster, time, d => d?["status"]?["availableReplicas"]?.GetValue<int>() == 8);
        cluster.Objects.Update("apps/v1", "Deployment", "default", "web", d => d["spec"]!["template"]!["spec"]!["containers"]![0]!["image"] = "new");
        List<(int Available, long Wanted)> seen = [];

        await UntilAsync(cluster, time, d =>
        {
            JsonNode status = d!["status"]!;
            seen.Add((status["availableReplicas"]?.GetValue<int>() ?? 0, ReplicasOfSets(cluster)));
            return status["updatedReplicas"]?.GetValue<int>() == 8 && status["replicas"]?.GetValue<int>() == 8 && status["availableReplicas"]?.GetValue<int>() == 8;
        });

        // 25 % of 8: two may be missing, two may be too many. As with real controllers the bound above is on what the sets are
        // asked for: a new set may have made its pods before the old one has taken away what it no longer needs.
        Assert.All(seen, s => Assert.InRange(s.Available, 6, 10));
        Assert.All(seen, s => Assert.InRange(s.Wanted, 6, 10));
    }

    [Fact]
    public async Task Pod_WithBehaviourCrash_KeepsItsDeploymentUnavailable()
    {
        var time = new ManualTimeProvider();
        await using SimulatedCluster cluster = await StartAsync(time, nodes: 1);
        cluster.Objects.Create(Deployment(1, """{"simulator.multicluster.dev/behaviour":"crash"}"""));

        await UntilAsync(cluster, time, _ => cluster.Objects.Count("v1", "Pod") == 1 && cluster.Objects.Count("v1", "Event") >= 6);

        JsonNode deployment = Read(cluster)!;
        Assert.Null(deployment["status"]!["readyReplicas"]);
        Assert.Contains("MinimumReplicasUnavailable", deployment.ToJsonString(), StringComparison.Ordinal);
    }

    private static async Task<SimulatedCluster> StartAsync(TimeProvider time, int nodes)
    {
        SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Time = time, Tls = false, Controllers = true });
        for (int i = 0; i < nodes; i++)
        {
            string name = $"node-{i}";
            cluster.Objects.Create($$$"""{"apiVersion":"v1","kind":"Node","metadata":{"name":"{{{name}}}"}}""");
            cluster.Objects.Update("v1", "Node", null, name, n => n["spec"]!.AsObject().Remove("taints"));
            cluster.Objects.Update("v1", "Node", null, name, n => n["status"] = JsonNode.Parse("""{"conditions":[{"type":"Ready","status":"True"}]}"""), "status");
        }

        return cluster;
    }

    // The controllers run on the virtual clock: each look lets a little of it pass.
    private static async Task UntilAsync(SimulatedCluster cluster, ManualTimeProvider time, Func<JsonNode?, bool> condition)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!condition(Read(cluster)))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Deadline, $"Not reached: {Read(cluster)?["status"]?.ToJsonString()}");
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
        }
    }

    private static long ReplicasOfSets(SimulatedCluster cluster) =>
        cluster.Registry.Store.Snapshot(ResourceName.ReplicaSets).Objects.Range(null).Sum(set => set.ToTree()["spec"]!["replicas"]!.GetValue<long>());

    private static JsonNode? Read(SimulatedCluster cluster) => cluster.Objects.Get("apps/v1", "Deployment", "default", "web") is { } json ? JsonNode.Parse(json) : null;

    private static string Deployment(int replicas, string annotations = "{}") => $$$$$"""
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"default"},
         "spec":{"replicas":{{{{{replicas}}}}},"selector":{"matchLabels":{"app":"web"}},
         "template":{"metadata":{"labels":{"app":"web"},"annotations":{{{{{annotations}}}}}},"spec":{"containers":[{"name":"main","image":"old"}]}
         }}}
        """;
}
