using System.Globalization;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Patching;

/// <summary>JSON patch (RFC 6902): add, remove, replace, move, copy and test over JSON pointers.</summary>
internal static class JsonPatch
{
    // The API server refuses more, so that one request cannot keep it busy.
    private const int MaxOperations = 10_000;

    /// <summary>Applies all operations to a copy; the first one that cannot be applied fails the whole patch.</summary>
    /// <exception cref="PatchFailedException">An operation is malformed, or does not fit the document.</exception>
    public static JsonNode? Apply(JsonNode doc, JsonArray ops)
    {
        if (ops.Count > MaxOperations)
        {
            throw new PatchFailedException(PatchFailure.Malformed,
                $"The allowed maximum operations in a JSON patch is {MaxOperations}, got {ops.Count}");
        }

        JsonNode? root = doc.DeepClone();
        foreach (JsonNode? entry in ops)
        {
            if (entry is not JsonObject operation || Text(operation, "op") is not { } name || Text(operation, "path") is not { } path)
            {
                throw new PatchFailedException(PatchFailure.Malformed, "A JSON patch operation needs op and path.");
            }

            root = ApplyOne(root, operation, name, Parse(path));
        }

        return root;
    }

    private static JsonNode? ApplyOne(JsonNode? root, JsonObject operation, string name, string[] path)
    {
        switch (name)
        {
            case "add":
                return Add(root, path, Value(operation));
            case "remove":
                return Remove(root, path);
            case "replace":
                _ = Find(root, path);
                return path.Length == 0 ? Value(operation) : Replace(root, path, Value(operation));
            case "copy":
                return Add(root, path, Find(root, From(operation))?.DeepClone());
            case "move":
                string[] from = From(operation);
                JsonNode? moved = Find(root, from)?.DeepClone();
                return Add(Remove(root, from), path, moved);
            case "test":
                if (!JsonNode.DeepEquals(Find(root, path), Value(operation)))
                {
                    throw NotApplicable($"testing value /{string.Join('/', path)} failed");
                }

                return root;
            default:
                throw new PatchFailedException(PatchFailure.Malformed, $"Unexpected kind: {name}");
        }
    }

    private static JsonNode? Add(JsonNode? root, string[] path, JsonNode? value)
    {
        if (path.Length == 0)
        {
            return value;
        }

        switch (Find(root, path[..^1]))
        {
            case JsonObject parent:
                parent[path[^1]] = value;
                break;
            case JsonArray list:
                list.Insert(path[^1] == "-" ? list.Count : Index(path[^1], list.Count + 1), value);
                break;
            default:
                throw NotApplicable($"add operation does not apply: doc is missing path: /{string.Join('/', path)}");
        }

        return root;
    }

    private static JsonNode? Replace(JsonNode? root, string[] path, JsonNode? value)
    {
        switch (Find(root, path[..^1]))
        {
            case JsonObject parent:
                parent[path[^1]] = value;
                break;
            case JsonArray list:
                list[Index(path[^1], list.Count)] = value;
                break;
        }

        return root;
    }

    private static JsonNode? Remove(JsonNode? root, string[] path)
    {
        if (path.Length == 0)
        {
            throw NotApplicable("The whole document cannot be removed.");
        }

        switch (Find(root, path[..^1]))
        {
            case JsonObject parent when parent.Remove(path[^1]):
                return root;
            case JsonArray list:
                list.RemoveAt(Index(path[^1], list.Count));
                return root;
            default:
                throw NotApplicable($"Unable to remove nonexistent key: {path[^1]}");
        }
    }

    private static JsonNode? Find(JsonNode? node, string[] path)
    {
        foreach (string step in path)
        {
            node = node switch
            {
                JsonObject parent when parent.TryGetPropertyValue(step, out JsonNode? child) => child,
                JsonArray list => list[Index(step, list.Count)],
                _ => throw NotApplicable($"doc is missing path: /{string.Join('/', path)}"),
            };
        }

        return node;
    }

    private static int Index(string step, int count)
    {
        if (!int.TryParse(step, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int index))
        {
            throw NotApplicable($"invalid array index: {step}");
        }

        // Negative indexes count from the end, as the library in the API server does.
        index = index < 0 ? index + count : index;
        return index >= 0 && index < count ? index : throw NotApplicable($"Unable to access invalid index: {step}");
    }

    private static string[] Parse(string pointer)
    {
        if (pointer.Length == 0)
        {
            return [];
        }

        if (pointer[0] != '/')
        {
            throw new PatchFailedException(PatchFailure.Malformed, $"The JSON pointer \"{pointer}\" must start with /.");
        }

        string[] steps = pointer[1..].Split('/');
        for (int i = 0; i < steps.Length; i++)
        {
            steps[i] = steps[i].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
        }

        return steps;
    }

    private static string[] From(JsonObject operation) =>
        Parse(Text(operation, "from") ?? throw new PatchFailedException(PatchFailure.Malformed, "move and copy need from."));

    private static JsonNode? Value(JsonObject operation) =>
        operation.TryGetPropertyValue("value", out JsonNode? value)
            ? value?.DeepClone()
            : throw new PatchFailedException(PatchFailure.Malformed, "add, replace and test need value.");

    private static string? Text(JsonObject operation, string field) =>
        operation[field] is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static PatchFailedException NotApplicable(string message) => new(PatchFailure.NotApplicable, message);
}
