using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>Writes described types as JSON schemas into one document, with everything they refer to.</summary>
/// <param name="prefix">Where references point to.</param>
/// <param name="wrapReferences">OpenAPI 3 puts a reference into allOf so that it can have a description; OpenAPI 2 does not.</param>
/// <param name="target">Receives the definitions.</param>
internal sealed class SchemaWriter(string prefix, bool wrapReferences, JsonObject target)
{
    public void Define(SchemaType type, JsonObject? gvk = null)
    {
        if (target.ContainsKey(type.Definition))
        {
            return;
        }

        JsonObject schema = new() { ["description"] = type.Description, ["type"] = "object" };
        // Known before its fields are written: types may refer to each other.
        target[type.Definition] = schema;
        string[] required = [.. type.Fields.Values.Where(f => f.Required).Select(f => f.Name)];
        if (required.Length > 0)
        {
            schema["required"] = new JsonArray([.. required.Select(r => (JsonNode)r)]);
        }

        JsonObject properties = [];
        foreach (SchemaField field in type.Fields.Values.OrderBy(f => f.Name, StringComparer.Ordinal))
        {
            properties[field.Name] = Describe(field.Node, field.Description);
        }

        schema["properties"] = properties;
        if (gvk is not null)
        {
            schema["x-kubernetes-group-version-kind"] = new JsonArray(gvk);
        }
    }

    public JsonObject Reference(string type, string description)
    {
        SchemaType found = SchemaCatalog.BuiltIn.Types.First(t => t.Name == type);
        return Describe(new SchemaNode { Shape = ValueShape.Struct, Type = found }, description);
    }

    private JsonObject Describe(SchemaNode node, string description)
    {
        JsonObject schema = [];
        if (description.Length > 0)
        {
            schema["description"] = description;
        }

        switch (node.Shape)
        {
            case ValueShape.Struct:
                Define(node.Type!);
                JsonObject reference = new() { ["$ref"] = prefix + node.Type!.Definition };
                if (wrapReferences && description.Length > 0)
                {
                    schema["allOf"] = new JsonArray(reference);
                }
                else
                {
                    schema["$ref"] = reference["$ref"]!.DeepClone();
                }

                break;
            case ValueShape.List:
                schema["type"] = "array";
                schema["items"] = Describe(node.Element!, "");
                DescribeMerging(node, schema);
                break;
            case ValueShape.Map:
                schema["type"] = "object";
                schema["additionalProperties"] = Describe(node.Element!, "");
                break;
            case ValueShape.Any:
                schema["type"] = "object";
                break;
            case ValueShape.IntOrString:
                schema["type"] = "string";
                schema["format"] = "int-or-string";
                break;
            default:
                (string type, string? format) = node.Shape switch
                {
                    ValueShape.Int32 => ("integer", "int32"),
                    ValueShape.Int64 => ("integer", "int64"),
                    ValueShape.Boolean => ("boolean", null),
                    ValueShape.Double => ("number", "double"),
                    ValueShape.Time or ValueShape.MicroTime => ("string", "date-time"),
                    ValueShape.Bytes => ("string", "byte"),
                    _ => ("string", (string?)null),
                };
                schema["type"] = type;
                if (format is not null)
                {
                    schema["format"] = format;
                }

                break;
        }

        if (node is { Merge: MergeKind.Atomic, Shape: ValueShape.Map })
        {
            schema["x-kubernetes-map-type"] = "atomic";
        }

        return schema;
    }

    private static void DescribeMerging(SchemaNode node, JsonObject schema)
    {
        schema["x-kubernetes-list-type"] = node.Merge switch { MergeKind.Keyed => "map", MergeKind.Set => "set", _ => "atomic" };
        if (node.Keys.Count > 0)
        {
            schema["x-kubernetes-list-map-keys"] = new JsonArray([.. node.Keys.Select(k => (JsonNode)k.Name)]);
        }

        if (node.PatchMerges)
        {
            schema["x-kubernetes-patch-strategy"] = node.RetainKeys ? "merge,retainKeys" : "merge";
        }

        if (node.PatchMergeKey is not null)
        {
            schema["x-kubernetes-patch-merge-key"] = node.PatchMergeKey;
        }
    }
}
