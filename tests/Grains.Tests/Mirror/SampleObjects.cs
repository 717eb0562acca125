using System.Text;
using MultiCluster.Kubernetes.Discovery;

namespace MultiCluster.Grains.Tests.Mirror;

/// <summary>Objects as API servers write them, small enough to read in a failed test.</summary>
internal static class SampleObjects
{
    public static readonly ResourceType Pods = new("", "v1", "pods", "Pod", Namespaced: true);
    public static readonly ResourceType Nodes = new("", "v1", "nodes", "Node", Namespaced: false);
    public static readonly ResourceType ConfigMaps = new("", "v1", "configmaps", "ConfigMap", Namespaced: true);

    /// <summary>A uid that is a UUID and depends on the number alone.</summary>
    public static string Uid(int number) => $"{number:x8}-0000-4000-8000-{number * 7919L % 0xFFFFFFFFFFFF:x12}";

    public static byte[] Pod(
        string ns, string name, int uid, long resourceVersion, string phase = "Running", string node = "node-a", string owner = "web", string cpu = "100m")
    {
        string placed = node.Length == 0 ? "" : $"\"nodeName\":\"{node}\",";
        string ready = phase == "Running" ? "True" : "False";
        return Encoding.UTF8.GetBytes(
            $$$$"""
            {"metadata":{"name":"{{{{name}}}}","namespace":"{{{{ns}}}}","uid":"{{{{Uid(uid)}}}}","resourceVersion":"{{{{resourceVersion}}}}","creationTimestamp":"2026-11-21T02:07:03Z","labels":{"app":"{{{{owner}}}}","tier":"front"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{{{{owner}}}}","uid":"{{{{Uid(owner.Length + 1_000_000)}}}}","controller":true}],"managedFields":[{"manager":"x","fieldsV1":{"k:{\"a\":1}":{}}}]},"spec":{"containers":[{"name":"main","image":"registry.k8s.io/pause:3.9","resources":{"requests":{"cpu":"{{{{cpu}}}}","memory":"64Mi"}},"terminationMessagePath":"/dev/termination-log"}],{{{{placed}}}}"restartPolicy":"Always"},"status":{"phase":"{{{{phase}}}}","conditions":[{"type":"Ready","status":"{{{{ready}}}}","lastTransitionTime":"2026-11-21T02:07:03Z"}]}}
            """);
    }

    /// <summary>What the mirror keeps of <see cref="Pod"/>.</summary>
    public static string Stored(byte[] pod) => Encoding.UTF8.GetString(pod)
        .Replace("{\"metadata\"", "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\"", StringComparison.Ordinal)
        .Replace(",\"managedFields\":[{\"manager\":\"x\",\"fieldsV1\":{\"k:{\\\"a\\\":1}\":{}}}]", "", StringComparison.Ordinal);
}
