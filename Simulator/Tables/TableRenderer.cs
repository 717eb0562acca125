using System.Text.Json.Nodes;

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
        _ = (group, kind, include, now, printerColumns, withColumns);
        JsonArray rows = [.. items.Select(i => (JsonNode)new JsonObject { ["cells"] = new JsonArray() })];
        return new JsonObject
        {
            ["kind"] = "Table", ["apiVersion"] = "meta.k8s.io/v1", ["metadata"] = listMetadata.DeepClone(), ["columnDefinitions"] = new JsonArray(), ["rows"] = rows,
        };
    }
}
