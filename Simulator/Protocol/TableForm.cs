using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Makes Tables of answers.</summary>
internal sealed class TableForm(TimeProvider time)
{
    /// <summary>The Table of some objects.</summary>
    /// <param name="resource">What they are.</param>
    /// <param name="items">With kind and apiVersion.</param>
    /// <param name="metadata">List metadata.</param>
    /// <param name="exchange">The request, for <c>includeObject</c>.</param>
    /// <param name="withColumns">False for every watch event but the first.</param>
    public JsonObject Render(ApiResource resource, IEnumerable<JsonObject> items, JsonObject metadata, Exchange exchange, bool withColumns = true)
    {
        RowObject include = exchange.Http.Request.Query["includeObject"].ToString() switch
        {
            "None" => RowObject.None,
            "Object" => RowObject.Object,
            _ => RowObject.Metadata,
        };
        JsonArray? columns = resource.Custom is { } custom ? custom.PrinterColumns ?? [] : null;
        JsonObject table = TableRenderer.Render(
            resource.Group, resource.Kind, items, metadata, include, time.GetUtcNow(), columns, withColumns);
        table["apiVersion"] = Negotiation.Of(exchange.Http.Request).TransformVersion;
        return table;
    }
}
