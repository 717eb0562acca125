using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Housekeeping;

/// <summary>The conditions by which a namespace that cannot go yet says what holds it.</summary>
internal static class NamespaceConditions
{
    /// <summary>Sets the conditions in the status of a namespace.</summary>
    public static JsonObject Describe(JsonObject ns, List<(ApiResource Resource, StoredObject Object)> remaining, string now)
    {
        string content = string.Join(", ", remaining.GroupBy(r => r.Resource.GroupResource).OrderBy(g => g.Key, StringComparer.Ordinal)
            .Select(g => $"{g.First().Resource.Plural}.{g.First().Resource.Group} has {g.Count()} resource instances"));
        string finalizers = string.Join(", ", remaining
            .SelectMany(r => r.Object.ToTree().At("metadata", "finalizers") as JsonArray ?? []).GroupBy(f => f!.GetValue<string>())
            .OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => $"{g.Key} in {g.Count()} resource instances"));
        var before = ns.At("status", "conditions") as JsonArray;
        ns.Section("status")["conditions"] = new JsonArray(
            Condition("NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered"),
            Condition("NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions", "All legacy kube types successfully parsed"),
            Condition("NamespaceDeletionContentFailure", false, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            remaining.Count > 0
                ? Condition("NamespaceContentRemaining", true, "SomeResourcesRemain", $"Some resources are remaining: {content}")
                : Condition("NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed"),
            finalizers.Length > 0
                ? Condition("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", $"Some content in the namespace has finalizers remaining: {finalizers}")
                : Condition("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "All content-preserving finalizers finished"));
        return ns;

        JsonObject Condition(string type, bool status, string reason, string message)
        {
            string value = status ? "True" : "False";
            JsonNode? same = before?.FirstOrDefault(c => c.Text("type") == type && c.Text("status") == value);
            return new JsonObject
            {
                ["type"] = type,
                ["status"] = value,
                ["lastTransitionTime"] = same.Text("lastTransitionTime") ?? now,
                ["reason"] = reason,
                ["message"] = message,
            };
        }
    }
}
