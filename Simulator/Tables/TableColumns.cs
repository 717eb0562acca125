using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Tables;

/// <summary>One column of a Table.</summary>
/// <param name="Priority">0 is always shown, more only in wide output.</param>
internal sealed record TableColumn(string Name, string Type, string Format, int Priority, string Description)
{
    public JsonObject ToJson() => new()
    {
        ["name"] = Name,
        ["type"] = Type,
        ["format"] = Format,
        ["description"] = Description,
        ["priority"] = Priority,
    };
}

/// <summary>The columns of a kind and how an object fills them.</summary>
internal sealed record TableLayout(IReadOnlyList<TableColumn> Columns, Func<JsonObject, DateTimeOffset, JsonNode?[]> Cells)
{
    /// <summary>Builds the columns from names; <c>+</c> in front means wide only, <c>#</c> a number.</summary>
    public static TableLayout Of(string names, Func<JsonObject, DateTimeOffset, JsonNode?[]> cells) =>
        new([.. names.Split(',').Select(Column)], cells);

    private static TableColumn Column(string text)
    {
        string name = text.TrimStart('+', '#');
        string type = text.Contains('#', StringComparison.Ordinal) ? "integer" : "string";
        int priority = text[0] == '+' ? 1 : 0;
        return name switch
        {
            "Name" => new TableColumn(name, type, "name", priority, "Name of the object, unique within its kind and namespace."),
            "Age" => new TableColumn(name, type, "", priority, "Time since the server created the object."),
            _ => new TableColumn(name, type, "", priority, $"{name} of the object."),
        };
    }
}
