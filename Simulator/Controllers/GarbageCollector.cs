using System.Text.Json.Nodes;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Collects objects whose owners are gone, and serves the two finalizers of deletion with a policy.</summary>
/// <remarks>One instance per watched kind; dependents of other kinds are not collected.</remarks>
internal sealed class GarbageCollector(ResourceName resource) : IReconciler
{
    private const string Foreground = "foregroundDeletion";
    private const string Orphan = "orphan";

    public ResourceName Resource => resource;

    public static IEnumerable<GarbageCollector> ForAll() =>
    [
        new(ResourceName.Deployments), new(ResourceName.ReplicaSets), new(ResourceName.StatefulSets), new(ResourceName.DaemonSets), new(ResourceName.CronJobs),
        new(ResourceName.Jobs), new(ResourceName.Pods), new(ResourceName.ConfigMaps), new(ResourceName.Services), new(ServiceReconciler.EndpointSlices),
    ];

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        if (Selectors.IsEnding(obj))
        {
            string[] finalizers = [.. obj.Texts("metadata", "finalizers")];
            if (finalizers.Contains(Orphan))
            {
                Release(obj, context);
                RemoveFinalizer(obj, Orphan, context);
            }
            else if (finalizers.Contains(Foreground))
            {
                DeleteDependents(obj, context);
            }

            return null;
        }

        JsonObject[] owners = [.. obj.Items("metadata", "ownerReferences")];
        if (owners.Length > 0 && Array.TrueForAll(owners, o => IsGone(obj, o, context)))
        {
            context.Delete(resource, obj);
        }

        return null;
    }

    // The cache may not have seen a new owner yet, hence the second look at the store.
    private static bool IsGone(JsonObject obj, JsonObject reference, ControllerContext context)
    {
        if (context.Cache.Find(reference.TextAt("uid")) is not null || ResourceOf(reference) is not { } owner)
        {
            return false;
        }

        string? ns = owner == ResourceName.Nodes ? null : obj.TextAt("metadata", "namespace");
        return context.Store.Get(owner, ns, reference.TextAt("name"))?.TextAt("metadata", "uid") != reference.TextAt("uid");
    }

    // Owners of other kinds are nobody's business here: their dependents stay.
    private static ResourceName? ResourceOf(JsonObject reference) => reference.TextAt("kind") switch
    {
        "Deployment" => ResourceName.Deployments,
        "ReplicaSet" => ResourceName.ReplicaSets,
        "StatefulSet" => ResourceName.StatefulSets,
        "DaemonSet" => ResourceName.DaemonSets,
        "Job" => ResourceName.Jobs,
        "CronJob" => ResourceName.CronJobs,
        "Service" => ResourceName.Services,
        "ConfigMap" => ResourceName.ConfigMaps,
        "Pod" => ResourceName.Pods,
        "Node" => ResourceName.Nodes,
        _ => null,
    };

    private static void Release(JsonObject owner, ControllerContext context)
    {
        string uid = owner.TextAt("metadata", "uid");
        foreach ((ResourceName kind, JsonObject dependent) in context.Cache.Dependents(uid))
        {
            var copy = (JsonObject)dependent.DeepClone();
            JsonObject metadata = copy["metadata"]!.AsObject();
            JsonObject[] left = [.. dependent.Items("metadata", "ownerReferences").Where(o => o.TextAt("uid") != uid)];
            if (left.Length == 0)
            {
                metadata.Remove("ownerReferences");
            }
            else
            {
                metadata["ownerReferences"] = new JsonArray([.. left.Select(o => o.DeepClone())]);
            }

            context.Update(kind, copy);
        }
    }

    private void DeleteDependents(JsonObject owner, ControllerContext context)
    {
        string uid = owner.TextAt("metadata", "uid");
        bool blocked = false;
        foreach ((ResourceName kind, JsonObject dependent) in context.Cache.Dependents(uid))
        {
            if (!Selectors.IsEnding(dependent))
            {
                DeleteForeground(kind, dependent, context);
            }

            blocked |= context.Cache.Get(kind, ObjectCache.KeyOf(dependent)) is not null
                && dependent.Items("metadata", "ownerReferences").Any(o => o.TextAt("uid") == uid && o.Flag("blockOwnerDeletion"));
        }

        if (!blocked)
        {
            RemoveFinalizer(owner, Foreground, context);
        }
    }

    // Foreground goes down the tree: a dependent with dependents of its own waits for them as well.
    private static void DeleteForeground(ResourceName kind, JsonObject dependent, ControllerContext context)
    {
        if (context.Cache.Dependents(dependent.TextAt("metadata", "uid")).Any())
        {
            var copy = (JsonObject)dependent.DeepClone();
            JsonObject metadata = copy["metadata"]!.AsObject();
            string[] finalizers = [.. dependent.Texts("metadata", "finalizers")];
            metadata["finalizers"] = new JsonArray([.. finalizers.Append(Foreground).Distinct().Select(f => (JsonNode)f)]);
            dependent = context.Update(kind, copy);
        }

        context.Delete(kind, dependent);
    }

    private void RemoveFinalizer(JsonObject obj, string finalizer, ControllerContext context)
    {
        var copy = (JsonObject)obj.DeepClone();
        JsonObject metadata = copy["metadata"]!.AsObject();
        string[] left = [.. obj.Texts("metadata", "finalizers").Where(f => f != finalizer)];
        if (left.Length == 0)
        {
            metadata.Remove("finalizers");
        }
        else
        {
            metadata["finalizers"] = new JsonArray([.. left.Select(f => (JsonNode)f)]);
        }

        context.Store.Update(resource, copy);
    }
}
