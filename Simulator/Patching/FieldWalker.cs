using System.Text.Json.Nodes;
using MultiCluster.Simulator.OpenApi;

namespace MultiCluster.Simulator.Patching;

/// <summary>Which fields differ between two versions of an object.</summary>
internal sealed class FieldDifference
{
    public FieldSet Added { get; } = new();
    public FieldSet Modified { get; } = new();
    public FieldSet Removed { get; } = new();

    public FieldSet AddedOrModified => Added.Union(Modified);
}

/// <summary>Walks objects along their schema and names their fields as server-side apply does.</summary>
internal static class FieldWalker
{
    /// <summary>The fields that an applied configuration speaks of.</summary>
    public static FieldSet FieldsOf(JsonObject config, SchemaNode node)
    {
        FieldSet set = new();
        Visit(config, node, [], set);
        return set;
    }

    /// <summary>What changed between two versions; an added or removed container counts itself and everything in it.</summary>
    public static FieldDifference Compare(JsonObject before, JsonObject after, SchemaNode node)
    {
        FieldDifference difference = new();
        CompareMembers(before, after, node, [], difference);
        return difference;
    }

    /// <summary>The object as it is written before any field is set.</summary>
    public static JsonObject Zero(SchemaNode node)
    {
        JsonObject zero = [];
        foreach ((string name, SchemaField field) in node.Type?.Fields ?? [])
        {
            if (field.Always)
            {
                zero[name] = ZeroOf(field.Node);
            }
        }

        return zero;
    }

    /// <summary>Writes the fields that are always written where their object is present; a Go server cannot leave them out.</summary>
    public static void FillZero(JsonNode? value, SchemaNode node)
    {
        switch (value)
        {
            case JsonObject obj when node.Shape == ValueShape.Struct:
                foreach ((string name, SchemaField field) in node.Type!.Fields)
                {
                    if (obj[name] is { } present)
                    {
                        FillZero(present, field.Node);
                    }
                    else if (field.Always && !obj.ContainsKey(name))
                    {
                        obj[name] = ZeroOf(field.Node);
                    }
                }

                break;
            case JsonObject map when node.Shape == ValueShape.Map && node.Element!.Shape is ValueShape.Struct:
                foreach ((_, JsonNode? item) in map)
                {
                    FillZero(item, node.Element!);
                }

                break;
            case JsonArray list when node.Shape == ValueShape.List:
                foreach (JsonNode? item in list)
                {
                    FillZero(item, node.Element!);
                }

                break;
        }
    }

    private static JsonNode? ZeroOf(SchemaNode node) => node.Shape switch
    {
        // The one struct that Go keeps behind a pointer and writes as null.
        ValueShape.Struct => node.Type!.Name == "LabelSelector" ? null : Zero(node),
        ValueShape.String => "",
        ValueShape.Int32 or ValueShape.Int64 => 0,
        ValueShape.Boolean => false,
        _ => null,
    };

    /// <summary>Live object and configuration together; the configuration wins.</summary>
    public static JsonNode? Merge(JsonNode? live, JsonNode? config, SchemaNode node)
    {
        if (config is JsonObject changes && live is JsonObject existing && node.Merge != MergeKind.Atomic)
        {
            JsonObject merged = (JsonObject)existing.DeepClone();
            foreach ((string key, JsonNode? change) in changes)
            {
                if (change is not null || !existing.ContainsKey(key))
                {
                    merged[key] = Merge(existing[key], change, node.Child(key));
                }
            }

            return merged;
        }

        return config is JsonArray wanted && live is JsonArray present && node.Merge is MergeKind.Keyed or MergeKind.Set
            ? MergeLists(live as JsonArray ?? [], config as JsonArray ?? [], node)
            : config?.DeepClone();
    }

    /// <summary>The step that names an item of a list that merges by item.</summary>
    public static string ItemStep(JsonNode? item, SchemaNode list)
    {
        if (list.Merge != MergeKind.Keyed || item is not JsonObject entry)
        {
            return FieldSet.ValueStep(item);
        }

        List<KeyValuePair<string, JsonNode?>> keys = [];
        foreach (ListKey key in list.Keys)
        {
            if (entry[key.Name] is { } value)
            {
                keys.Add(new(key.Name, value));
            }
            else if (key.Default is not null)
            {
                keys.Add(new(key.Name, JsonValue.Create(key.Default)));
            }
        }

        return FieldSet.KeyStep(keys);
    }

    /// <summary>Removes what the path names; says whether it was there.</summary>
    public static bool Remove(JsonNode? root, ReadOnlySpan<string> path, SchemaNode node)
    {
        string step = path[0];
        if (root is JsonObject parent && step[0] == 'f')
        {
            string name = step[2..];
            return path.Length == 1 ? parent.Remove(name) : Remove(parent[name], path[1..], node.Child(name));
        }

        if (root is JsonArray list)
        {
            int index = IndexOf(list, step, node);
            if (index >= 0 && path.Length > 1)
            {
                return Remove(list[index], path[1..], node.Element ?? SchemaNode.Unknown);
            }

            if (index >= 0)
            {
                list.RemoveAt(index);
                return true;
            }
        }

        return false;
    }

    /// <summary>True when the path names an object or list without content.</summary>
    public static bool IsEmptyContainer(JsonNode? root, ReadOnlySpan<string> path, SchemaNode node)
    {
        foreach (string step in path)
        {
            if (root is JsonArray list)
            {
                int index = IndexOf(list, step, node);
                root = index < 0 ? null : list[index];
                node = node.Element ?? SchemaNode.Unknown;
            }
            else
            {
                root = (root as JsonObject)?[step[2..]];
                node = node.Child(step[2..]);
            }
        }

        return root is JsonObject { Count: 0 } or JsonArray { Count: 0 };
    }

    private static int IndexOf(JsonArray list, string step, SchemaNode node)
    {
        for (int i = 0; i < list.Count; i++)
        {
            if (ItemStep(list[i], node) == step)
            {
                return i;
            }
        }

        return -1;
    }

    private static JsonArray MergeLists(JsonArray live, JsonArray config, SchemaNode node)
    {
        Dictionary<string, JsonNode?> present = new(StringComparer.Ordinal);
        foreach (JsonNode? item in live)
        {
            present.TryAdd(ItemStep(item, node), item);
        }

        // The configuration's order wins; items only the live list has stay in front of the item they stood before.
        HashSet<string> wanted = [.. config.Select(item => ItemStep(item, node))];
        Queue<JsonNode?> left = new(live);
        JsonArray merged = [];
        foreach (JsonNode? item in config)
        {
            string step = ItemStep(item, node);
            if (present.TryGetValue(step, out JsonNode? twin))
            {
                while (left.TryPeek(out JsonNode? head) && !wanted.Contains(ItemStep(head, node)))
                {
                    merged.Add(left.Dequeue()?.DeepClone());
                }

                if (left.TryPeek(out JsonNode? same) && ItemStep(same, node) == step)
                {
                    left.Dequeue();
                }
            }

            merged.Add(Merge(twin, item, node.Element!));
        }

        foreach (JsonNode? rest in left.Where(item => !wanted.Contains(ItemStep(item, node))))
        {
            merged.Add(rest?.DeepClone());
        }

        return merged;
    }

    private static void Visit(JsonNode? value, SchemaNode node, List<string> path, FieldSet set)
    {
        switch (value)
        {
            case JsonObject { Count: > 0 } map when node.Merge != MergeKind.Atomic:
                foreach ((string key, JsonNode? child) in map)
                {
                    path.Add(FieldSet.FieldStep(key));
                    Visit(child, node.Child(key), path, set);
                    // A declared field is no member by itself; a free key of a map is.
                    if (node.Type?.Fields.ContainsKey(key) != true)
                    {
                        set.Insert(path);
                    }

                    path.RemoveAt(path.Count - 1);
                }

                break;
            case JsonArray { Count: > 0 } list when node.Merge is MergeKind.Keyed or MergeKind.Set:
                foreach (JsonNode? item in list)
                {
                    path.Add(ItemStep(item, node));
                    Visit(item, node.Element!, path, set);
                    set.Insert(path);
                    path.RemoveAt(path.Count - 1);
                }

                break;
            default:
                if (path.Count > 0)
                {
                    set.Insert(path);
                }

                break;
        }
    }

    private static void CompareMembers(JsonObject before, JsonObject after, SchemaNode node, List<string> path, FieldDifference difference)
    {
        foreach (string key in before.Select(p => p.Key).Union(after.Select(p => p.Key), StringComparer.Ordinal).ToArray())
        {
            bool had = before.TryGetPropertyValue(key, out JsonNode? old);
            bool has = after.TryGetPropertyValue(key, out JsonNode? now);
            path.Add(FieldSet.FieldStep(key));
            CompareValue(had, old, has, now, node.Child(key), path, difference);
            path.RemoveAt(path.Count - 1);
        }
    }

    private static void CompareValue(bool had, JsonNode? old, bool has, JsonNode? now, SchemaNode node, List<string> path, FieldDifference difference)
    {
        bool maps = old is null or JsonObject && now is null or JsonObject && node.Merge != MergeKind.Atomic
            && (old is JsonObject { Count: > 0 } || now is JsonObject { Count: > 0 });
        bool lists = old is null or JsonArray && now is null or JsonArray && node.Merge is MergeKind.Keyed or MergeKind.Set
            && (old is JsonArray { Count: > 0 } || now is JsonArray { Count: > 0 });
        if (!had)
        {
            difference.Added.Insert(path);
        }
        else if (!has)
        {
            difference.Removed.Insert(path);
        }
        else if (!maps && !lists && !JsonNode.DeepEquals(old, now))
        {
            difference.Modified.Insert(path);
        }

        if (maps)
        {
            CompareMembers(old as JsonObject ?? [], now as JsonObject ?? [], node, path, difference);
        }
        else if (lists)
        {
            CompareItems(old as JsonArray ?? [], now as JsonArray ?? [], node, path, difference);
        }
    }

    private static void CompareItems(JsonArray before, JsonArray after, SchemaNode node, List<string> path, FieldDifference difference)
    {
        Dictionary<string, JsonNode?> old = Index(before, node);
        Dictionary<string, JsonNode?> now = Index(after, node);
        foreach (string step in old.Keys.Union(now.Keys, StringComparer.Ordinal))
        {
            bool had = old.TryGetValue(step, out JsonNode? was);
            bool has = now.TryGetValue(step, out JsonNode? becomes);
            path.Add(step);
            // An item that is there twice cannot be told apart: it counts as a whole.
            bool twice = after.Count > now.Count && after.Count(i => ItemStep(i, node) == step) > 1;
            CompareValue(had, was, has, becomes, twice ? new SchemaNode { Shape = ValueShape.Any, Merge = MergeKind.Atomic } : node.Element!, path, difference);
            path.RemoveAt(path.Count - 1);
        }
    }

    private static Dictionary<string, JsonNode?> Index(JsonArray list, SchemaNode node)
    {
        Dictionary<string, JsonNode?> index = new(StringComparer.Ordinal);
        foreach (JsonNode? item in list)
        {
            index.TryAdd(ItemStep(item, node), item);
        }

        return index;
    }
}
