using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Storage;

/// <summary>Tells what a client set in a new object from what the server added after the client's fields were noted.</summary>
/// <remarks>Defaults of the API count as the client's; what admission and the strategies of storage add belongs to nobody.</remarks>
internal static class ServerAssigned
{
    private const string TokenVolume = "kube-api-access-";

    private static readonly string[] ServiceFields = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];

    private static readonly string[] PodFields = ["priority", "preemptionPolicy", "serviceAccount", "serviceAccountName", "tolerations"];

    /// <summary>A copy of the new object with only what its creator set.</summary>
    /// <param name="resource">What it is.</param>
    /// <param name="tree">The new object.</param>
    /// <param name="sent">The object as the client sent it.</param>
    public static JsonObject Without(ApiResource resource, JsonObject tree, JsonObject sent)
    {
        var owned = (JsonObject)tree.DeepClone();
        if (resource.Custom is null && resource.Subresources.Any(s => s.Name == "status"))
        {
            owned.Remove("status");
        }

        if (resource.Storage == ResourceName.Namespaces && sent.At("spec", "finalizers") is null)
        {
            owned.Remove("spec");
        }
        else if (resource.Storage == ResourceName.Nodes && sent.At("spec", "taints") is null)
        {
            (owned["spec"] as JsonObject)?.Remove("taints");
        }
        else if (resource.Storage == ResourceName.Services && owned["spec"] is JsonObject service)
        {
            foreach (string field in ServiceFields.Where(f => sent.At("spec", f) is null))
            {
                service.Remove(field);
            }
        }
        else if (resource.Storage == ResourceName.Pods && owned["spec"] is JsonObject spec)
        {
            foreach (string field in PodFields.Where(f => sent.At("spec", f) is null))
            {
                spec.Remove(field);
            }

            RemoveTokens(spec, "volumes");
            foreach (string list in (string[])["containers", "initContainers"])
            {
                foreach (JsonObject container in (spec[list] as JsonArray ?? []).OfType<JsonObject>())
                {
                    RemoveTokens(container, "volumeMounts");
                }
            }
        }

        return owned;
    }

    private static void RemoveTokens(JsonObject parent, string list)
    {
        if (parent[list] is JsonArray items)
        {
            foreach (JsonNode? token in items.Where(i => i.Text("name")?.StartsWith(TokenVolume, StringComparison.Ordinal) == true).ToArray())
            {
                items.Remove(token);
            }

            if (items.Count == 0)
            {
                parent.Remove(list);
            }
        }
    }
}
