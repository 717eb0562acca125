using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Stateful sets: numbered pods, started in order and replaced from the highest number down.</summary>
internal sealed class StatefulSetReconciler : IReconciler
{
    private const string Component = "statefulset-controller";
    private const string RevisionLabel = "controller-revision-hash";
    private const string NameLabel = "statefulset.kubernetes.io/pod-name";

    public ResourceName Resource => ResourceName.StatefulSets;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        string update = $"{obj.TextAt("metadata", "name")}-{DeploymentReconciler.HashOf(obj.At("spec", "template"))}";
        if (!Selectors.IsEnding(obj))
        {
            Act(obj, update, context);
        }

        List<JsonObject> pods = [.. context.Cache.OwnedBy(ResourceName.Pods, obj).Where(Selectors.IsActive)];
        TimeSpan? again = Availability.Count(pods, obj.NumberAt("spec", "minReadySeconds"), context.Now, out long ready, out long available);
        long updated = pods.Count(p => p.TextAt("metadata", "labels", RevisionLabel) == update);
        bool complete = updated == pods.Count && pods.Count == obj.NumberAt("spec", "replicas") && ready == pods.Count;
        string known = obj.TextAt("status", "currentRevision");
        string current = complete || known.Length == 0 ? update : known;
        JsonObject status = new() { ["replicas"] = pods.Count, ["availableReplicas"] = available };
        DeploymentReconciler.Set(status, "observedGeneration", obj.NumberAt("metadata", "generation"));
        DeploymentReconciler.Set(status, "readyReplicas", ready);
        DeploymentReconciler.Set(status, "currentReplicas", pods.Count(p => p.TextAt("metadata", "labels", RevisionLabel) == current));
        DeploymentReconciler.Set(status, "updatedReplicas", updated);
        status["currentRevision"] = current;
        status["updateRevision"] = update;
        status["collisionCount"] = 0;
        context.UpdateStatus(Resource, obj, status);
        return again;
    }

    private static void Act(JsonObject obj, string update, ControllerContext context)
    {
        long replicas = obj.NumberAt("spec", "replicas");
        long start = obj.NumberAt("spec", "ordinals", "start");
        bool ordered = obj.TextAt("spec", "podManagementPolicy") != "Parallel";
        Dictionary<long, JsonObject> pods = [];
        foreach (JsonObject pod in context.Cache.OwnedBy(ResourceName.Pods, obj))
        {
            string name = pod.TextAt("metadata", "name");
            if (long.TryParse(name.AsSpan(name.LastIndexOf('-') + 1), out long ordinal))
            {
                pods[ordinal] = pod;
            }
        }

        for (long ordinal = start; ordinal < start + replicas; ordinal++)
        {
            JsonObject? pod = pods.GetValueOrDefault(ordinal);
            if (pod is null)
            {
                Create(obj, ordinal, update, context);
            }
            else if (Selectors.IsFinished(pod) && !Selectors.IsEnding(pod))
            {
                context.Delete(ResourceName.Pods, pod);
            }

            if (ordered && (pod is null || !Selectors.IsReady(pod) || Selectors.IsEnding(pod)))
            {
                return;
            }
        }

        foreach (long surplus in pods.Keys.Where(o => o < start || o >= start + replicas).OrderDescending())
        {
            if (!Selectors.IsEnding(pods[surplus]))
            {
                Delete(obj, pods[surplus], context);
            }

            if (ordered)
            {
                return;
            }
        }

        if (obj.TextAt("spec", "updateStrategy", "type") == "OnDelete")
        {
            return;
        }

        long partition = obj.NumberAt("spec", "updateStrategy", "rollingUpdate", "partition");
        for (long ordinal = start + replicas - 1; ordinal >= start + partition; ordinal--)
        {
            JsonObject? pod = pods.GetValueOrDefault(ordinal);
            if (pod is null || Selectors.IsEnding(pod))
            {
                return;
            }

            if (pod.TextAt("metadata", "labels", RevisionLabel) != update)
            {
                Delete(obj, pod, context);
                return;
            }

            if (!Selectors.IsReady(pod))
            {
                return;
            }
        }
    }

    private static void Create(JsonObject obj, long ordinal, string revision, ControllerContext context)
    {
        JsonObject pod = ControllerContext.PodFor(obj, obj.At("spec", "template"));
        string name = string.Create(CultureInfo.InvariantCulture, $"{obj.TextAt("metadata", "name")}-{ordinal}");
        JsonObject metadata = pod["metadata"]!.AsObject();
        metadata["name"] = name;
        if (metadata["labels"] is not JsonObject labels)
        {
            metadata["labels"] = labels = [];
        }

        labels[RevisionLabel] = revision;
        labels[NameLabel] = name;
        labels["apps.kubernetes.io/pod-index"] = ordinal.ToString(CultureInfo.InvariantCulture);
        pod["spec"]!["hostname"] = name;
        pod["spec"]!["subdomain"] = obj.TextAt("spec", "serviceName");
        context.Create(ResourceName.Pods, pod);
        context.Events.Record(obj, "Normal", "SuccessfulCreate", $"create Pod {name} in StatefulSet {obj.TextAt("metadata", "name")} successful", Component);
    }

    private static void Delete(JsonObject obj, JsonObject pod, ControllerContext context)
    {
        context.Delete(ResourceName.Pods, pod);
        context.Events.Record(obj, "Normal", "SuccessfulDelete",
            $"delete Pod {pod.TextAt("metadata", "name")} in StatefulSet {obj.TextAt("metadata", "name")} successful", Component);
    }
}
