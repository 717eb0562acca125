using System.Collections.Immutable;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Silo.Demo;

/// <summary>A workload of the demo.</summary>
/// <param name="Namespace">Namespace.</param>
/// <param name="Name">Name.</param>
/// <param name="Replicas">Pods.</param>
/// <param name="Image">Container image.</param>
/// <param name="Behaviour">How its pods misbehave in the simulator; empty for well.</param>
internal sealed record DemoWorkload(string Namespace, string Name, int Replicas, string Image, string Behaviour = "");

/// <summary>One simulated cluster of the demo: what is in it, and how it is registered.</summary>
internal sealed record DemoCluster(string Name, ImmutableSortedDictionary<string, string> Labels, int Nodes, ImmutableArray<DemoWorkload> Workloads)
{
    /// <summary>Three regions, three sizes; nginx is everywhere and not ready in us-1, and edge-1 will fail and recover.</summary>
    public static readonly ImmutableArray<DemoCluster> All =
    [
        new("eu-1", LabelsOf("eu", "prod"), 5,
        [
            new("shop", "nginx", 4, "nginx:1.27.2"),
            new("shop", "cart", 6, "registry.example.com/shop/cart:3.4.1"),
            new("shop", "payments", 3, "registry.example.com/shop/payments:2.0.0"),
            new("monitoring", "prometheus", 2, "prom/prometheus:v2.55.0"),
        ]),
        new("us-1", LabelsOf("us", "prod"), 8,
        [
            new("shop", "nginx", 6, "nginx:1.99.0", "image-pull"),
            new("shop", "cart", 12, "registry.example.com/shop/cart:3.4.1"),
            new("shop", "payments", 6, "registry.example.com/shop/payments:2.0.1"),
            new("search", "indexer", 10, "registry.example.com/search/indexer:0.9.3"),
            new("monitoring", "prometheus", 2, "prom/prometheus:v2.55.0"),
        ]),
        new("edge-1", LabelsOf("ap", "edge"), 2,
        [
            new("shop", "nginx", 2, "nginx:1.27.2"),
            new("shop", "cart", 2, "registry.example.com/shop/cart:3.4.1", "crash"),
        ]),
    ];

    /// <summary>Starts it, with its controllers, and puts its objects in.</summary>
    public async Task<SimulatedCluster> StartAsync(CancellationToken cancellationToken)
    {
        SimulatedCluster cluster = await SimulatedCluster.StartAsync(
            new SimulatedClusterOptions
            {
                Name = Name,
                Controllers = true,
                LeaseRenewal = TimeSpan.FromSeconds(10),

                // With one seed the uids of all three would be the same, and they would count as one cluster under three names.
                Seed = Name.Sum(c => c),
            },
            cancellationToken);
        cluster.Objects.SeedNodes(Nodes, "8", "32Gi", Labels["region"]);
        foreach (string ns in Workloads.Select(w => w.Namespace).Distinct(StringComparer.Ordinal))
        {
            cluster.Objects.Create($$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{ns}}}"}}""");
        }

        foreach (DemoWorkload workload in Workloads)
        {
            cluster.Objects.Create(Deployment(workload));
        }

        return cluster;
    }

    private static string Deployment(DemoWorkload workload)
    {
        string annotations = workload.Behaviour.Length == 0 ? "{}" : $$$"""{"simulator.multicluster.dev/behaviour":"{{{workload.Behaviour}}}"}""";
        return $$$"""
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{{workload.Name}}}","namespace":"{{{workload.Namespace}}}","labels":{"app":"{{{workload.Name}}}"}},
             "spec":{"replicas":{{{workload.Replicas}}},"selector":{"matchLabels":{"app":"{{{workload.Name}}}"}},
              "template":{"metadata":{"labels":{"app":"{{{workload.Name}}}"},"annotations":{{{annotations}}} },
               "spec":{"containers":[{"name":"main","image":"{{{workload.Image}}}","resources":{"requests":{"cpu":"100m","memory":"128Mi"} } }]} } } }
            """;
    }

    private static ImmutableSortedDictionary<string, string> LabelsOf(string region, string tier) =>
        ImmutableSortedDictionary<string, string>.Empty.Add("region", region).Add("tier", tier);
}
