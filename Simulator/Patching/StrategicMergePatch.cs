using System.Text.Json.Nodes;
using MultiCluster.Simulator.OpenApi;

namespace MultiCluster.Simulator.Patching;

/// <summary>Strategic merge patch: a merge patch that merges the lists of built-in types by their keys.</summary>
/// <remarks>
/// Knows the directives <c>$patch</c> (merge, replace, delete), <c>$setElementOrder/x</c>, <c>$deleteFromPrimitiveList/x</c>
/// and <c>$retainKeys</c>. Lists without a merge key are replaced.
/// </remarks>
internal static class StrategicMergePatch
{
    private const string PatchDirective = "$patch";
    private const string OrderDirective = "$setElementOrder/";
    private const string DeleteDirective = "$deleteFromPrimitiveList/";
    private const string RetainDirective = "$retainKeys";

    /// <summary>Returns the patched copy; neither argument is changed.</summary>
    /// <exception cref="PatchFailedException">The patch does not fit the types, or has an unknown directive.</exception>
    public static JsonObject Apply(JsonObject target, JsonObject patch, string group, string kind) =>
        MergeObject((JsonObject)target.DeepClone(), patch, SchemaCatalog.BuiltIn.FindOrUnknown(group, kind)) ?? [];

    private static JsonObject? MergeObject(JsonObject target, JsonObject patch, SchemaNode node)
    {
        switch (Directive(patch))
        {
            case "replace":
                return Without(patch, PatchDirective);
            case "delete":
                return null;
        }

        if (patch[RetainDirective] is JsonArray retain)
        {
            HashSet<string> kept = [.. retain.Select(r => r?.GetValue<string>() ?? "")];
            foreach (string key in target.Select(p => p.Key).Where(k => !kept.Contains(k)).ToArray())
            {
                target.Remove(key);
            }
        }

        foreach ((string key, JsonNode? change) in patch)
        {
            if (key.StartsWith(DeleteDirective, StringComparison.Ordinal))
            {
                DeletePrimitives(target, key[DeleteDirective.Length..], change);
            }
            else if (key != PatchDirective && key != RetainDirective && !key.StartsWith(OrderDirective, StringComparison.Ordinal))
            {
                MergeField(target, key, change, node.Child(key));
            }
        }

        foreach ((string key, JsonNode? order) in patch)
        {
            if (key.StartsWith(OrderDirective, StringComparison.Ordinal) && order is JsonArray wanted)
            {
                string field = key[OrderDirective.Length..];
                if (target[field] is JsonArray list)
                {
                    Reorder(list, wanted, node.Child(field));
                }
            }
        }

        return target;
    }

    private static void MergeField(JsonObject target, string key, JsonNode? change, SchemaNode node)
    {
        switch (change)
        {
            case null:
                target.Remove(key);
                break;
            case JsonObject nested:
                JsonObject? merged = MergeObject(target[key] is JsonObject inner ? (JsonObject)inner.DeepClone() : [], nested, node);
                if (merged is null)
                {
                    target.Remove(key);
                }
                else
                {
                    target[key] = merged;
                }

                break;
            case JsonArray list when node.PatchMerges:
                target[key] = MergeList(target[key] as JsonArray ?? [], list, node);
                break;
            case JsonArray list:
                target[key] = list.DeepClone();
                break;
            default:
                target[key] = change.DeepClone();
                break;
        }
    }

    private static JsonArray MergeList(JsonArray target, JsonArray patch, SchemaNode node)
    {
        var result = (JsonArray)target.DeepClone();
        if (node.PatchMergeKey is not { } mergeKey)
        {
            foreach (JsonNode? item in patch)
            {
                if (!result.Any(existing => JsonNode.DeepEquals(existing, item)))
                {
                    result.Add(item?.DeepClone());
                }
            }

            return result;
        }

        // A bare {"$patch":"replace"} item makes the whole patch list the new list.
        if (patch.Any(item => item is JsonObject o && Directive(o) == "replace" && !o.ContainsKey(mergeKey)))
        {
            return new JsonArray([.. patch.Where(item => item is JsonObject o && !o.ContainsKey(PatchDirective)).Select(item => item!.DeepClone())]);
        }

        foreach (JsonNode? item in patch)
        {
            if (item is not JsonObject change)
            {
                throw new PatchFailedException(PatchFailure.Malformed, "expected an object in a list that is merged by key");
            }

            if (change[mergeKey] is not { } key)
            {
                throw new PatchFailedException(PatchFailure.Malformed, $"map: {change.ToJsonString()} does not contain declared merge key: {mergeKey}");
            }

            int index = IndexOf(result, mergeKey, key);
            if (Directive(change) == "delete")
            {
                if (index >= 0)
                {
                    result.RemoveAt(index);
                }
            }
            else if (index < 0)
            {
                result.Add(MergeObject([], change, node.Element!));
            }
            else
            {
                result[index] = MergeObject((JsonObject)result[index]!.DeepClone(), change, node.Element!);
            }
        }

        return result;
    }

    private static void Reorder(JsonArray list, JsonArray order, SchemaNode node)
    {
        string? mergeKey = node.PatchMergeKey;
        List<JsonNode?> items = [.. list];
        Dictionary<string, int> wanted = new(StringComparer.Ordinal);
        foreach (JsonNode? entry in order)
        {
            wanted.TryAdd(KeyOf(entry, mergeKey), wanted.Count);
        }

        // Items the directive names take their places in its order; the others keep their positions among them.
        Queue<JsonNode?> sorted = new(items.Where(i => wanted.ContainsKey(KeyOf(i, mergeKey))).OrderBy(i => wanted[KeyOf(i, mergeKey)]));
        list.Clear();
        foreach (JsonNode? item in items)
        {
            list.Add(wanted.ContainsKey(KeyOf(item, mergeKey)) ? sorted.Dequeue() : item);
        }
    }

    private static string KeyOf(JsonNode? item, string? mergeKey) =>
        (mergeKey is not null && item is JsonObject entry ? entry[mergeKey] : item)?.ToJsonString() ?? "null";

    private static void DeletePrimitives(JsonObject target, string field, JsonNode? values)
    {
        if (target[field] is not JsonArray list || values is not JsonArray removed)
        {
            return;
        }

        for (int i = list.Count - 1; i >= 0; i--)
        {
            if (removed.Any(r => JsonNode.DeepEquals(r, list[i])))
            {
                list.RemoveAt(i);
            }
        }
    }

    private static int IndexOf(JsonArray list, string mergeKey, JsonNode key)
    {
        for (int i = 0; i < list.Count; i++)
        {
            if (list[i] is JsonObject item && JsonNode.DeepEquals(item[mergeKey], key))
            {
                return i;
            }
        }

        return -1;
    }

    private static string? Directive(JsonObject patch)
    {
        string? directive = patch[PatchDirective]?.GetValue<string>();
        return directive is null or "merge" or "replace" or "delete"
            ? directive
            : throw new PatchFailedException(PatchFailure.Malformed, $"Unknown patch type found: {directive}");
    }

    private static JsonObject Without(JsonObject source, string key)
    {
        var copy = (JsonObject)source.DeepClone();
        copy.Remove(key);
        return copy;
    }
}
