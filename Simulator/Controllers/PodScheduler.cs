using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Binds pods to the fitting node that has the fewest of them.</summary>
internal sealed class PodScheduler : IReconciler
{
    private const string Component = "default-scheduler";
    private readonly Dictionary<string, string> _nodeOf = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _load = new(StringComparer.Ordinal);

    public ResourceName Resource => ResourceName.Pods;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        Count(obj, context);
        if (obj.TextAt("spec", "schedulerName") is not ("" or "default-scheduler") || obj.TextAt("spec", "nodeName").Length > 0 || Selectors.IsEnding(obj) || Selectors.IsFinished(obj) || obj.Items("spec", "schedulingGates").Any())
        {
            return null;
        }

        JsonObject[] nodes = [.. context.Cache.All(ResourceName.Nodes)];
        JsonObject? node = nodes.Reverse().Where(n => Selectors.Fits(n, obj["spec"]) && Load(n) < Room(n)).MinBy(Load);
        if (node is null)
        {
            JsonObject waiting = obj["status"]?.DeepClone() as JsonObject ?? [];
            context.SetCondition(waiting, "PodScheduled", "False", "Unschedulable", $"0/{nodes.Length} nodes are available.");
            context.UpdateStatus(Resource, obj, waiting, "kube-scheduler");
            return null;
        }

        string name = node.TextAt("metadata", "name");
        JsonObject stored = context.Store.Bind(obj.TextAt("metadata", "namespace"), obj.TextAt("metadata", "name"), name);
        context.Cache.Put(Resource, stored);
        Count(stored, context);
        context.Events.Record(obj, "Normal", "Scheduled", $"Successfully assigned {ObjectCache.KeyOf(obj)} to {name}", Component);
        return null;
    }

    private int Load(JsonObject node) => _load.GetValueOrDefault(node.TextAt("metadata", "name"));

    private static long Room(JsonObject node) => long.TryParse(node.TextAt("status", "allocatable", "pods"), out long room) ? room : 110;

    // Kept up to date pod by pod: counting all pods for each one would be quadratic.
    private void Count(JsonObject pod, ControllerContext context)
    {
        string uid = pod.TextAt("metadata", "uid");
        string node = Selectors.IsFinished(pod) ? "" : pod.TextAt("spec", "nodeName");
        if (node.Length > 0 && _nodeOf.TryAdd(uid, node))
        {
            _load[node] = _load.GetValueOrDefault(node) + 1;
        }

        // Pods that are gone are forgotten now and then, when they are more than the living.
        int living = context.Cache.All(ResourceName.Pods).Count;
        if (_nodeOf.Count > (2 * living) + 100)
        {
            foreach ((string old, string where) in _nodeOf.Where(n => context.Cache.Find(n.Key) is null).ToArray())
            {
                _nodeOf.Remove(old);
                _load[where]--;
            }
        }
    }
}
