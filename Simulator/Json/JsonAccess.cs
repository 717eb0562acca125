using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Json;

/// <summary>Reads and fills JSON trees by paths.</summary>
internal static class JsonAccess
{
    /// <summary>The string at a path, or null when it is missing or no string.</summary>
    public static string? Text(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>The integer at a path, or null when it is missing or no integer.</summary>
    public static long? Number(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        if (node.At(path) is not JsonValue value || value.GetValueKind() != JsonValueKind.Number)
        {
            return null;
        }

        // Values set by code may be int, long or a parsed element; the text is the one form they share.
        return long.TryParse(value.ToJsonString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : null;
    }

    /// <summary>The flag at a path; false when missing.</summary>
    public static bool Flag(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.TryGetValue(out bool flag) && flag;

    /// <summary>The node at a path, or null.</summary>
    public static JsonNode? At(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (string step in path)
        {
            node = node is JsonObject obj && obj.TryGetPropertyValue(step, out JsonNode? next) ? next : null;
        }

        return node;
    }

    /// <summary>The object below a key, made when it is missing.</summary>
    public static JsonObject Section(this JsonObject parent, string key)
    {
        if (parent[key] is not JsonObject section)
        {
            parent[key] = section = [];
        }

        return section;
    }

    /// <summary>Sets a value when the key is missing or null.</summary>
    public static void Default(this JsonObject parent, string key, JsonNode? value)
    {
        if (parent[key] is null)
        {
            parent[key] = value;
        }
    }
}
