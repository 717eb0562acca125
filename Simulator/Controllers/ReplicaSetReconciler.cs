using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Replica sets: as many active pods as asked for.</summary>
internal sealed class ReplicaSetReconciler : IReconciler
{
    private const string Component = "replicaset-controller";

    // A bound per turn keeps one big set from holding up every other object of the cluster.
    private const int BatchSize = 100;

    public ResourceName Resource => ResourceName.ReplicaSets;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        List<JsonObject> pods = [.. context.Cache.OwnedBy(ResourceName.Pods, obj).Where(Selectors.IsActive)];
        int missing = (int)obj.NumberAt("spec", "replicas") - pods.Count;
        if (!Selectors.IsEnding(obj))
        {
            for (int i = 0; i < Math.Min(missing, BatchSize); i++)
            {
                JsonObject pod = ControllerContext.PodFor(obj, obj.At("spec", "template"));
                pod["metadata"]!["generateName"] = obj.TextAt("metadata", "name") + "-";
                JsonObject created = context.Create(ResourceName.Pods, pod);
                context.Events.Record(obj, "Normal", "SuccessfulCreate", $"Created pod: {created.TextAt("metadata", "name")}", Component);
            }

            foreach (JsonObject pod in pods.OrderBy(Worth).ThenByDescending(p => p.TextAt("metadata", "creationTimestamp"), StringComparer.Ordinal)
                .Take(Math.Min(Math.Max(0, -missing), BatchSize)))
            {
                context.Delete(ResourceName.Pods, pod);
                context.Events.Record(obj, "Normal", "SuccessfulDelete", $"Deleted pod: {pod.TextAt("metadata", "name")}", Component);
            }

            if (Math.Abs(missing) > BatchSize)
            {
                context.Enqueue(Resource, ObjectCache.KeyOf(obj));
            }

            pods = [.. context.Cache.OwnedBy(ResourceName.Pods, obj).Where(Selectors.IsActive)];
        }

        TimeSpan? again = Availability.Count(pods, obj.NumberAt("spec", "minReadySeconds"), context.Now, out long ready, out long available);
        JsonObject status = new() { ["replicas"] = pods.Count };
        DeploymentReconciler.Set(status, "fullyLabeledReplicas", pods.Count);
        DeploymentReconciler.Set(status, "readyReplicas", ready);
        DeploymentReconciler.Set(status, "availableReplicas", available);
        DeploymentReconciler.Set(status, "observedGeneration", obj.NumberAt("metadata", "generation"));
        context.UpdateStatus(Resource, context.Cache.Get(Resource, ObjectCache.KeyOf(obj)) ?? obj, status);
        return again;
    }

    // What is lost least by deleting goes first: unbound, then not ready, then the rest.
    private static int Worth(JsonObject pod) => pod.TextAt("spec", "nodeName").Length == 0 ? 0 : Selectors.IsReady(pod) ? 2 : 1;
}

/// <summary>Counts ready and available pods.</summary>
internal static class Availability
{
    /// <returns>When the next ready pod becomes available by waiting, or null.</returns>
    public static TimeSpan? Count(IEnumerable<JsonObject> pods, long minReadySeconds, DateTimeOffset now, out long ready, out long available)
    {
        ready = 0;
        available = 0;
        TimeSpan? next = null;
        foreach (JsonObject pod in pods.Where(p => Selectors.IsReady(p)))
        {
            ready++;
            JsonObject condition = pod.Items("status", "conditions").First(c => c.TextAt("type") == "Ready");
            TimeSpan left = Durations.TryParse(condition["lastTransitionTime"], out DateTimeOffset since)
                ? since + TimeSpan.FromSeconds(minReadySeconds) - now : TimeSpan.Zero;
            if (minReadySeconds == 0 || left <= TimeSpan.Zero)
            {
                available++;
            }
            else if (next is null || left < next)
            {
                next = left;
            }
        }

        return next;
    }
}
