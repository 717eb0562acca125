using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>Turns the <c>openAPIV3Schema</c> of a custom resource into the form that merging and apply use.</summary>
internal static class CrdSchema
{
    /// <summary>The type of the whole object; undeclared parts merge as unknown ones.</summary>
    public static SchemaNode ToNode(JsonObject? openApiV3Schema, string kind)
    {
        var type = new SchemaType(kind, kind, "");
        _ = SchemaCatalog.BuiltIn.TryFind("", "ConfigMap", out SchemaNode? anyKind);
        foreach (string name in (string[])["apiVersion", "kind", "metadata"])
        {
            // Custom objects are kept as they were sent: no field is written while it is absent.
            type.Fields[name] = anyKind!.Type!.Fields[name] with { Always = false };
        }

        if (openApiV3Schema?["properties"] is JsonObject properties)
        {
            foreach ((string name, JsonNode? property) in properties)
            {
                if (!type.Fields.ContainsKey(name))
                {
                    type.Fields[name] = Field(name, property as JsonObject);
                }
            }
        }

        return new SchemaNode { Shape = ValueShape.Struct, Type = type };
    }

    private static SchemaField Field(string name, JsonObject? schema) =>
        new(name, Node(schema), schema?["description"]?.GetValue<string>() ?? "", Required: false, Always: false);

    private static SchemaNode Node(JsonObject? schema)
    {
        switch (schema?["type"]?.GetValue<string>())
        {
            case "string":
                return new SchemaNode { Shape = ValueShape.String };
            case "integer":
                return new SchemaNode { Shape = ValueShape.Int64 };
            case "number":
                return new SchemaNode { Shape = ValueShape.Double };
            case "boolean":
                return new SchemaNode { Shape = ValueShape.Boolean };
            case "array":
                string? list = schema["x-kubernetes-list-type"]?.GetValue<string>();
                return new SchemaNode
                {
                    Shape = ValueShape.List,
                    Element = Node(schema["items"] as JsonObject),
                    Merge = list switch { "map" => MergeKind.Keyed, "set" => MergeKind.Set, _ => MergeKind.Atomic },
                    Keys = schema["x-kubernetes-list-map-keys"] is JsonArray keys ? [.. keys.Select(k => new ListKey(k!.GetValue<string>(), null))] : [],
                };
            case "object":
                MergeKind merge = schema["x-kubernetes-map-type"]?.GetValue<string>() == "atomic" ? MergeKind.Atomic : MergeKind.Granular;
                if (schema["properties"] is JsonObject properties)
                {
                    var type = new SchemaType("", "", "");
                    foreach ((string name, JsonNode? property) in properties)
                    {
                        type.Fields[name] = Field(name, property as JsonObject);
                    }

                    return new SchemaNode { Shape = ValueShape.Struct, Type = type, Merge = merge };
                }

                return schema["additionalProperties"] is JsonObject values
                    ? new SchemaNode { Shape = ValueShape.Map, Element = Node(values), Merge = merge }
                    : SchemaNode.Unknown;
            default:
                return SchemaNode.Unknown;
        }
    }
}
