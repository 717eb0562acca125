using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Daemon sets: one pod on every node that fits.</summary>
internal sealed class DaemonSetReconciler : IReconciler
{
    private const string Component = "daemonset-controller";
    private const string RevisionLabel = "controller-revision-hash";

    public ResourceName Resource => ResourceName.DaemonSets;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        string revision = DeploymentReconciler.HashOf(obj.At("spec", "template"));
        JsonNode? template = obj.At("spec", "template", "spec");
        HashSet<string> wanted = [.. context.Cache.All(ResourceName.Nodes).Where(n => Selectors.Fits(n, template, daemon: true)).Select(n => n.TextAt("metadata", "name"))];
        List<JsonObject> all = context.Cache.OwnedBy(ResourceName.Pods, obj);
        List<JsonObject> pods = [.. all.Where(Selectors.IsActive)];
        if (!Selectors.IsEnding(obj))
        {
            HashSet<string> taken = [.. all.Where(p => !Selectors.IsFinished(p)).Select(p => p.TextAt("spec", "nodeName"))];
            foreach (string node in wanted.Where(n => !taken.Contains(n)).Order(StringComparer.Ordinal))
            {
                Create(obj, node, revision, context);
            }

            foreach (JsonObject pod in pods.Where(p => !wanted.Contains(p.TextAt("spec", "nodeName"))))
            {
                context.Delete(ResourceName.Pods, pod);
            }

            RollOut(obj, pods, revision, wanted.Count, context);
            pods = [.. context.Cache.OwnedBy(ResourceName.Pods, obj).Where(Selectors.IsActive)];
        }

        TimeSpan? again = Availability.Count(pods, obj.NumberAt("spec", "minReadySeconds"), context.Now, out long ready, out long available);
        JsonObject status = new()
        {
            ["currentNumberScheduled"] = pods.Count,
            ["numberMisscheduled"] = 0,
            ["desiredNumberScheduled"] = wanted.Count,
            ["numberReady"] = ready,
        };
        DeploymentReconciler.Set(status, "observedGeneration", obj.NumberAt("metadata", "generation"));
        DeploymentReconciler.Set(status, "updatedNumberScheduled", pods.Count(p => p.TextAt("metadata", "labels", RevisionLabel) == revision));
        DeploymentReconciler.Set(status, "numberAvailable", available);
        DeploymentReconciler.Set(status, "numberUnavailable", wanted.Count - available);
        context.UpdateStatus(Resource, obj, status);
        return again;
    }

    private static void RollOut(JsonObject obj, List<JsonObject> pods, string revision, int nodes, ControllerContext context)
    {
        if (obj.TextAt("spec", "updateStrategy", "type") == "OnDelete")
        {
            return;
        }

        long missing = Math.Max(1, DeploymentReconciler.Resolve(obj.At("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), nodes, roundUp: true, fallback: 1));
        long spare = missing - (nodes - pods.Count(p => Selectors.IsReady(p)));
        foreach (JsonObject pod in pods.Where(p => p.TextAt("metadata", "labels", RevisionLabel) != revision).OrderBy(p => Selectors.IsReady(p)))
        {
            if (Selectors.IsReady(pod) && spare-- <= 0)
            {
                return;
            }

            context.Delete(ResourceName.Pods, pod);
        }
    }

    private static void Create(JsonObject obj, string node, string revision, ControllerContext context)
    {
        JsonObject pod = ControllerContext.PodFor(obj, obj.At("spec", "template"));
        JsonObject metadata = pod["metadata"]!.AsObject();
        metadata["generateName"] = obj.TextAt("metadata", "name") + "-";
        if (metadata["labels"] is not JsonObject labels)
        {
            metadata["labels"] = labels = [];
        }

        labels[RevisionLabel] = revision;
        labels["pod-template-generation"] = "1";
        // The scheduler would place it by affinity to this one node; binding it at once comes to the same.
        pod["spec"]!["nodeName"] = node;
        JsonObject created = context.Create(ResourceName.Pods, pod);
        context.Events.Record(obj, "Normal", "SuccessfulCreate", $"Created pod: {created.TextAt("metadata", "name")}", Component);
    }
}
