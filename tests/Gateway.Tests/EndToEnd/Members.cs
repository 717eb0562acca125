using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>Small simulated members with a known content.</summary>
internal static class Members
{
    public static async Task<SimulatedCluster> StartAsync(string name, int pods = 3, bool controllers = false)
    {
        SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = name, Controllers = controllers, Seed = name.Sum(c => c) });
        for (int i = 0; i < pods; i++)
        {
            cluster.Objects.Create(Pod($"{name}-pod-{i}"));
        }

        return cluster;
    }

    public static string Pod(string name, string ns = "default", string app = "web") => $$$"""
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","namespace":"{{{ns}}}","labels":{"app":"{{{app}}}"} },
         "spec":{"containers":[{"name":"main","image":"nginx:1.27"}]} }
        """;

    public static string ConfigMap(string name, string value, string ns = "default") => $$$"""
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"{{{ns}}}"},"data":{"key":"{{{value}}}"} }
        """;

    public static string Deployment(string name, int replicas, int ready) => $$$"""
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{{name}}}","namespace":"default"},
         "spec":{"replicas":{{{replicas}}},"selector":{"matchLabels":{"app":"{{{name}}}"} },
          "template":{"metadata":{"labels":{"app":"{{{name}}}"} },"spec":{"containers":[{"name":"main","image":"nginx:1.27"}]} } },
         "status":{"observedGeneration":1,"replicas":{{{replicas}}},"updatedReplicas":{{{replicas}}},"readyReplicas":{{{ready}}},"availableReplicas":{{{ready}}} } }
        """;
}
