using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>The defaults of services, with cluster IPs from 10.96.0.0/16.</summary>
internal static class ServiceDefaults
{
    public static void Apply(AdmissionContext context, JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        foreach (JsonObject port in (spec["ports"] as JsonArray ?? []).OfType<JsonObject>())
        {
            port.Default("protocol", "TCP");
            port.Default("targetPort", port["port"]?.DeepClone());
        }

        spec.Default("type", "ClusterIP");
        spec.Default("sessionAffinity", "None");
        if (spec.Text("type") != "ExternalName")
        {
            if (spec["clusterIP"] is null && isCreate)
            {
                spec["clusterIP"] = FreeAddress(context);
            }

            if (spec.Text("clusterIP") is { Length: > 0 } address)
            {
                spec.Default("clusterIPs", new JsonArray(address));
            }

            spec.Default("ipFamilies", new JsonArray("IPv4"));
            spec.Default("ipFamilyPolicy", "SingleStack");
            spec.Default("internalTrafficPolicy", "Cluster");
        }

        if (isCreate)
        {
            tree["status"] = new JsonObject { ["loadBalancer"] = new JsonObject() };
        }
    }

    private static string FreeAddress(AdmissionContext context)
    {
        // The uid is fresh for each service, and so is what is drawn from it; a clash harms nobody here.
        ulong drawn = IdSource.Mix((ulong)context.Registry.Store.Revision);
        return $"10.96.{drawn % 256}.{1 + (drawn >> 8) % 254}";
    }
}
