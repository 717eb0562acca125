using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Services: one endpoint slice with the addresses of the selected pods.</summary>
internal sealed class ServiceReconciler : IReconciler
{
    private const string Manager = "endpointslice-controller.k8s.io";
    private const string ServiceLabel = "kubernetes.io/service-name";
    public static readonly ResourceName EndpointSlices = new("discovery.k8s.io", "endpointslices");

    // As in a real cluster: slices never hold more.
    private const int MaxEndpoints = 100;

    public ResourceName Resource => ResourceName.Services;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        if (Selectors.IsEnding(obj) || obj.At("spec", "selector") is not JsonObject { Count: > 0 })
        {
            return null;
        }

        JsonArray endpoints = [];
        foreach (JsonObject pod in context.Cache.In(ResourceName.Pods, obj.TextAt("metadata", "namespace"))
            .Where(p => p.TextAt("status", "podIP").Length > 0 && !Selectors.IsFinished(p) && Selectors.Selects(obj, p)).Take(MaxEndpoints))
        {
            bool ready = Selectors.IsReady(pod);
            bool ending = Selectors.IsEnding(pod);
            endpoints.Add(new JsonObject
            {
                ["addresses"] = new JsonArray(pod.TextAt("status", "podIP")),
                ["conditions"] = new JsonObject { ["ready"] = ready && !ending, ["serving"] = ready, ["terminating"] = ending },
                ["nodeName"] = pod.TextAt("spec", "nodeName"),
                ["targetRef"] = new JsonObject
                {
                    ["kind"] = "Pod",
                    ["namespace"] = pod.TextAt("metadata", "namespace"),
                    ["name"] = pod.TextAt("metadata", "name"),
                    ["uid"] = pod.TextAt("metadata", "uid"),
                },
            });
        }

        JsonArray ports = [.. obj.Items("spec", "ports").Select(p => new JsonObject
        {
            ["name"] = p.TextAt("name"), ["protocol"] = p.TextAt("protocol"), ["port"] = p.At("targetPort") is { } target && target.NumberAt() > 0 ? target.NumberAt() : p.NumberAt("port"),
        })];
        string ns = obj.TextAt("metadata", "namespace");
        string name = obj.TextAt("metadata", "name") + "-slice";
        if (context.Store.Get(EndpointSlices, ns, name) is { } slice)
        {
            if (!JsonNode.DeepEquals(slice["endpoints"], endpoints) || !JsonNode.DeepEquals(slice["ports"], ports))
            {
                slice["endpoints"] = endpoints;
                slice["ports"] = ports;
                context.Store.Update(EndpointSlices, slice);
            }

            return null;
        }

        context.Store.Create(EndpointSlices, new JsonObject
        {
            ["apiVersion"] = "discovery.k8s.io/v1",
            ["kind"] = "EndpointSlice",
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["namespace"] = ns,
                ["labels"] = new JsonObject { ["endpointslice.kubernetes.io/managed-by"] = Manager, [ServiceLabel] = obj.TextAt("metadata", "name") },
                ["ownerReferences"] = new JsonArray(ControllerContext.OwnerReference(obj)),
            },
            ["addressType"] = "IPv4",
            ["endpoints"] = endpoints,
            ["ports"] = ports,
        });
        return null;
    }
}

/// <summary>Disruption budgets: how many of the selected pods may be evicted now.</summary>
internal sealed class DisruptionBudgetReconciler : IReconciler
{
    public ResourceName Resource => ResourceName.PodDisruptionBudgets;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        JsonObject[] pods = [.. context.Cache.In(ResourceName.Pods, obj.TextAt("metadata", "namespace")).Where(p => Selectors.IsActive(p) && Selectors.Selects(obj, p))];
        long expected = pods.Length;
        long healthy = pods.Count(p => Selectors.IsReady(p));
        long desired = obj.At("spec", "maxUnavailable") is { } most
            ? Math.Max(0, expected - DeploymentReconciler.Resolve(most, expected, roundUp: true, fallback: 0))
            : DeploymentReconciler.Resolve(obj.At("spec", "minAvailable"), expected, roundUp: true, fallback: 1);
        long allowed = Math.Max(0, healthy - desired);
        JsonObject status = [];
        if (obj.At("status", "conditions") is { } conditions)
        {
            status["conditions"] = conditions.DeepClone();
        }

        status["disruptionsAllowed"] = allowed;
        status["currentHealthy"] = healthy;
        status["desiredHealthy"] = desired;
        status["expectedPods"] = expected;
        DeploymentReconciler.Set(status, "observedGeneration", obj.NumberAt("metadata", "generation"));
        context.SetCondition(status, "DisruptionAllowed", allowed > 0 ? "True" : "False", allowed > 0 ? "SufficientPods" : "InsufficientPods", "");
        context.UpdateStatus(Resource, obj, status);
        return null;
    }
}
