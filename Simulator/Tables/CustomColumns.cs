using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Tables;

/// <summary>Columns of custom resources, taken from <c>additionalPrinterColumns</c>.</summary>
/// <remarks>Of JSONPath: fields, quoted fields, numeric indexes, <c>[*]</c> and filters of the form <c>[?(@.a=="x")]</c>.</remarks>
internal static class CustomColumns
{
    public static TableLayout Layout(JsonArray printerColumns)
    {
        List<(TableColumn Column, string Path)> columns = [];
        foreach (JsonObject column in printerColumns.OfType<JsonObject>())
        {
            string path = column.TextAt("jsonPath");
            string description = column.TextAt("description") is { Length: > 0 } text ? text : $"Custom resource definition column (in JSONPath format): {path}";
            columns.Add((new TableColumn(column.TextAt("name"), column.TextAt("type"), column.TextAt("format"), (int)column.NumberAt("priority"), description), path));
        }

        // Without declared columns the age is shown; with them only what was asked for.
        if (columns.Count == 0)
        {
            return TableLayouts.Default;
        }

        TableColumn name = TableLayouts.Default.Columns[0];
        return new TableLayout([name, .. columns.Select(c => c.Column)],
            (item, now) => [item.TextAt("metadata", "name"), .. columns.Select(c => Cell(c.Column.Type, Find(item, c.Path), now))]);
    }

    private static JsonNode? Cell(string type, List<JsonNode?> found, DateTimeOffset now)
    {
        if (found.Count == 0 || found[0] is not { } first)
        {
            return null;
        }

        return type switch
        {
            "integer" or "number" => first.GetValueKind() == JsonValueKind.Number ? first.DeepClone() : null,
            "boolean" => first.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? first.DeepClone() : null,
            "date" => Durations.Since(first, now),
            _ => JsonValue.Create(string.Join(",", found.Select(Show))),
        };
    }

    private static string Show(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : node?.ToJsonString() ?? "";

    /// <summary>What the path selects, in order; empty when nothing does or the path is not understood.</summary>
    internal static List<JsonNode?> Find(JsonNode root, string path)
    {
        List<JsonNode?> found = [root];
        int at = 0;
        while (at < path.Length && found.Count > 0)
        {
            if (path[at] == '.')
            {
                int end = path.AsSpan(at + 1).IndexOfAny('.', '[');
                end = end < 0 ? path.Length : at + 1 + end;
                string name = path[(at + 1)..end].Replace("\\", "", StringComparison.Ordinal);
                // A backslash before a dot keeps it in the name.
                while (end < path.Length && path[end - 1] == '\\')
                {
                    int next = path.AsSpan(end + 1).IndexOfAny('.', '[');
                    next = next < 0 ? path.Length : end + 1 + next;
                    name += path[end..next].Replace("\\", "", StringComparison.Ordinal);
                    end = next;
                }

                found = name.Length == 0 ? found : [.. found.OfType<JsonObject>().Where(o => o.ContainsKey(name)).Select(o => o[name])];
                at = end;
            }
            else if (path[at] == '[' && path.IndexOf(']', at) is var close and > 0)
            {
                found = Select(found, path[(at + 1)..close]);
                at = close + 1;
            }
            else
            {
                return [];
            }
        }

        return found;
    }

    private static List<JsonNode?> Select(List<JsonNode?> nodes, string selector)
    {
        if (selector is ['\'', .. var quoted, '\''])
        {
            return [.. nodes.OfType<JsonObject>().Where(o => o.ContainsKey(quoted)).Select(o => o[quoted])];
        }

        if (selector == "*")
        {
            return [.. nodes.SelectMany(n => n switch { JsonArray list => list.AsEnumerable(), JsonObject map => map.Select(p => p.Value), _ => [] })];
        }

        if (int.TryParse(selector, out int index))
        {
            return [.. nodes.OfType<JsonArray>().Where(l => index < l.Count && index >= -l.Count).Select(l => l[index < 0 ? index + l.Count : index])];
        }

        if (selector is ['?', '(', '@', '.', .. var filter, ')'] && filter.Split("==") is [var field, var wanted])
        {
            string value = wanted.Trim().Trim('"', '\'');
            return [.. nodes.OfType<JsonArray>().SelectMany(l => l).Where(i => Show(i.At(field.Trim().Split('.'))) == value)];
        }

        return [];
    }
}
