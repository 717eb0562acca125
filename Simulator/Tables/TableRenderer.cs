using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Tables;

/// <summary>What a table row carries beside its cells.</summary>
internal enum RowObject { Metadata, None, Object }

/// <summary>Renders objects as the Table that kubectl prints.</summary>
internal static class TableRenderer
{
    /// <summary>The Table of a list, of one object, or of one watch event.</summary>
    /// <param name="printerColumns">additionalPrinterColumns of a custom resource; null for built-in kinds.</param>
    /// <param name="withColumns">False for every watch event but the first.</param>
    public static JsonObject Render(string group, string kind, IEnumerable<JsonObject> items, JsonObject listMetadata,
        RowObject include, DateTimeOffset now, JsonArray? printerColumns = null, bool withColumns = true)
    {
        TableLayout layout = printerColumns is null ? TableLayouts.For(group, kind) : CustomColumns.Layout(printerColumns);
        JsonArray rows = [];
        foreach (JsonObject item in items)
        {
            rows.Add(Row(item, layout.Cells(item, now), include));
        }

        return new JsonObject
        {
            ["kind"] = "Table",
            ["apiVersion"] = "meta.k8s.io/v1",
            ["metadata"] = listMetadata.DeepClone(),
            ["columnDefinitions"] = withColumns ? new JsonArray([.. layout.Columns.Select(c => c.ToJson())]) : null,
            ["rows"] = rows,
        };
    }

    private static JsonObject Row(JsonObject item, JsonNode?[] cells, RowObject include)
    {
        JsonObject row = new() { ["cells"] = new JsonArray(cells) };
        switch (include)
        {
            case RowObject.Metadata:
                row["object"] = new JsonObject
                {
                    ["kind"] = "PartialObjectMetadata",
                    ["apiVersion"] = "meta.k8s.io/v1",
                    ["metadata"] = item["metadata"]?.DeepClone() ?? new JsonObject(),
                };
                // A bookmark's row shows an empty name, and its object has none.
                if (item.TextAt("metadata", "name").Length == 0)
                {
                    row["object"]!["metadata"]!.AsObject().Remove("name");
                }

                break;
            case RowObject.Object:
                row["object"] = item.DeepClone();
                break;
            case RowObject.None:
                row["object"] = null;
                break;
        }

        return row;
    }
}
