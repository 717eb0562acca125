using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Storage;

/// <summary>Binds pods to nodes, for schedulers over HTTP and for our own.</summary>
internal static class PodBinding
{
    /// <summary>Sets the node and the condition that goes with it; nobody owns these fields.</summary>
    /// <exception cref="StatusException">404, or 409 when it is bound already.</exception>
    public static JsonObject Apply(ObjectRegistry registry, ApiResource pods, string ns, string name, string node, WriteOptions options) => registry.Update(
        pods, ns, name,
        pod =>
        {
            if (pod.Text("spec", "nodeName") is { Length: > 0 } bound)
            {
                throw Refusal.ConflictOf("pods/binding", name, $"pod {name} is already assigned to node \"{bound}\"");
            }

            pod.Section("spec")["nodeName"] = node;
            JsonObject status = pod.Section("status");
            JsonArray conditions = [.. (status["conditions"] as JsonArray ?? []).Where(c => c.Text("type") != "PodScheduled").Select(c => c!.DeepClone())];
            conditions.Add(new JsonObject { ["type"] = "PodScheduled", ["status"] = "True", ["lastProbeTime"] = null, ["lastTransitionTime"] = registry.Now });
            status["conditions"] = conditions;
            return pod;
        },
        options with { IsPatch = true, Subresource = "binding", IsApply = true });
}
