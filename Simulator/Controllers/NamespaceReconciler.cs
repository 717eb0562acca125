using System.Text.Json.Nodes;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Namespaces: the default service account and the root certificate of a new one, the emptying of a leaving one.</summary>
internal sealed class NamespaceReconciler : IReconciler
{
    // The order matters: owners before what they would make again.
    private static readonly ResourceName[] Content =
    [
        ResourceName.CronJobs, ResourceName.Jobs, ResourceName.Deployments, ResourceName.StatefulSets, ResourceName.DaemonSets, ResourceName.ReplicaSets,
        ResourceName.Services, ResourceName.Pods, ResourceName.PodDisruptionBudgets, ResourceName.ConfigMaps, new("", "secrets"), ResourceName.ServiceAccounts,
        ResourceName.Endpoints, ServiceReconciler.EndpointSlices, new("", "persistentvolumeclaims"), ResourceName.Leases, ResourceName.Events,
        new("networking.k8s.io", "ingresses"), new("networking.k8s.io", "networkpolicies"), new("rbac.authorization.k8s.io", "roles"),
        new("rbac.authorization.k8s.io", "rolebindings"), new("autoscaling", "horizontalpodautoscalers"), new("", "resourcequotas"), new("", "limitranges"),
    ];

    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

    public ResourceName Resource => ResourceName.Namespaces;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        string name = obj.TextAt("metadata", "name");
        if (Selectors.IsEnding(obj))
        {
            return Empty(obj, name, context);
        }

        if (context.Store.Get(ResourceName.ServiceAccounts, name, "default") is null)
        {
            context.Store.Create(ResourceName.ServiceAccounts, Named("ServiceAccount", name, "default"));
        }

        if (context.Store.Get(ResourceName.ConfigMaps, name, "kube-root-ca.crt") is null)
        {
            JsonObject map = Named("ConfigMap", name, "kube-root-ca.crt");
            map["metadata"]!["annotations"] = new JsonObject
            {
                ["kubernetes.io/description"] = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
            };
            map["data"] = new JsonObject { ["ca.crt"] = "" };
            context.Store.Create(ResourceName.ConfigMaps, map);
        }

        return null;
    }

    private TimeSpan? Empty(JsonObject space, string name, ControllerContext context)
    {
        if (!space.Texts("spec", "finalizers").Contains("kubernetes"))
        {
            return null;
        }

        bool left = false;
        foreach (ResourceName resource in Content)
        {
            foreach (JsonObject obj in List(resource, name, context))
            {
                if (!Selectors.IsEnding(obj))
                {
                    context.Delete(resource, obj);
                }

                left |= context.Store.Get(resource, name, obj.TextAt("metadata", "name")) is not null;
            }
        }

        if (left)
        {
            return Patience;
        }

        var copy = (JsonObject)space.DeepClone();
        copy["spec"]!["finalizers"] = new JsonArray([.. space.Texts("spec", "finalizers").Where(f => f != "kubernetes").Select(f => (JsonNode)f)]);
        context.Store.Update(Resource, copy, "finalize");
        return null;
    }

    private static IReadOnlyList<JsonObject> List(ResourceName resource, string ns, ControllerContext context)
    {
        try
        {
            return context.Store.List(resource, ns);
        }
        catch (StatusException refusal) when (refusal.Code == 404)
        {
            // A simulator need not serve every kind.
            return [];
        }
    }

    private static JsonObject Named(string kind, string ns, string name) => new()
    {
        ["apiVersion"] = "v1", ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns },
    };
}
