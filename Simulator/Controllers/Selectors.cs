using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Matching of labels, nodes and taints, and the state of pods that all controllers count by.</summary>
internal static class Selectors
{
    /// <summary>Whether the selector of a service or a disruption budget selects the pod.</summary>
    public static bool Selects(JsonObject selecting, JsonObject pod)
    {
        JsonNode? selector = selecting.At("spec", "selector");
        if (selecting.TextAt("kind") != "Service")
        {
            return Matches(selector, pod.At("metadata", "labels"));
        }

        return selector is JsonObject { Count: > 0 } labels && labels.All(l => pod.TextAt("metadata", "labels", l.Key) == l.Value.TextAt());
    }

    /// <summary>Whether labels satisfy a LabelSelector; a missing selector matches nothing, an empty one everything.</summary>
    public static bool Matches(JsonNode? selector, JsonNode? labels)
    {
        if (selector is not JsonObject)
        {
            return false;
        }

        bool labelsMatch = selector.At("matchLabels") is not JsonObject wanted || wanted.All(w => labels.TextAt(w.Key) == w.Value.TextAt() && labels.At(w.Key) is not null);
        return labelsMatch && selector.Items("matchExpressions").All(e =>
        {
            JsonNode? value = labels.At(e.TextAt("key"));
            return e.TextAt("operator") switch
            {
                "In" => value is not null && e.Texts("values").Contains(value.TextAt()),
                "NotIn" => value is null || !e.Texts("values").Contains(value.TextAt()),
                "Exists" => value is not null,
                "DoesNotExist" => value is null,
                _ => false,
            };
        });
    }

    /// <summary>Whether a pod may run on a node: ready, open, labels and taints fit.</summary>
    public static bool Fits(JsonObject node, JsonNode? podSpec, bool daemon = false)
    {
        if (!daemon && (node.Flag("spec", "unschedulable") || !IsReady(node)))
        {
            return false;
        }

        if (podSpec.At("nodeSelector") is JsonObject wanted && !wanted.All(w => node.TextAt("metadata", "labels", w.Key) == w.Value.TextAt()))
        {
            return false;
        }

        return node.Items("spec", "taints").Where(t => t.TextAt("effect") is "NoSchedule" or "NoExecute").All(t =>
            (daemon && t.TextAt("key").StartsWith("node.kubernetes.io/", StringComparison.Ordinal)) || podSpec.Items("tolerations").Any(o => Tolerates(o, t)));
    }

    /// <summary>Whether the condition Ready (or another) of an object is true.</summary>
    public static bool IsReady(JsonObject obj, string type = "Ready") =>
        obj.Items("status", "conditions").Any(c => c.TextAt("type") == type && c.TextAt("status") == "True");

    public static bool IsEnding(JsonObject obj) => obj.At("metadata", "deletionTimestamp") is not null;

    public static bool IsFinished(JsonObject pod) => pod.TextAt("status", "phase") is "Succeeded" or "Failed";

    /// <summary>Counts for its controller: neither finished nor on its way out.</summary>
    public static bool IsActive(JsonObject pod) => !IsEnding(pod) && !IsFinished(pod);

    /// <summary>True while pods wait that this node might now take.</summary>
    public static bool SchedulingChanged(JsonObject node, ControllerContext context) =>
        IsReady(node) && context.Cache.All(ResourceName.Pods).Any(p => p.TextAt("spec", "nodeName").Length == 0);

    private static bool Tolerates(JsonObject toleration, JsonObject taint) =>
        (toleration.TextAt("effect").Length == 0 || toleration.TextAt("effect") == taint.TextAt("effect"))
        && (toleration.TextAt("key").Length == 0 ? toleration.TextAt("operator") == "Exists" : toleration.TextAt("key") == taint.TextAt("key"))
        && (toleration.TextAt("operator") == "Exists" || toleration.TextAt("value") == taint.TextAt("value"));
}
