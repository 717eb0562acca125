using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>Finds the fields that no schema knows.</summary>
internal static class UnknownFields
{
    /// <summary>Paths of the unknown fields, in the order of the document; nothing for kinds without a schema.</summary>
    public static List<string> Of(SchemaFieldTracker schemas, ApiResource resource, JsonObject tree)
    {
        var found = new List<string>();
        if (resource.Custom is { } custom)
        {
            if (custom.Schema is { } schema)
            {
                SchemaRules.Prune(schema, tree.DeepClone(), "", found);
            }

            return found;
        }

        Walk(schemas.SchemaOf(resource), tree, "", found);
        return found;
    }

    private static void Walk(SchemaNode node, JsonNode? value, string path, List<string> found)
    {
        switch (node.Shape, value)
        {
            case (ValueShape.Struct, JsonObject obj):
                foreach ((string key, JsonNode? child) in obj)
                {
                    string inner = path.Length == 0 ? key : $"{path}.{key}";
                    if (node.Type!.Fields.TryGetValue(key, out SchemaField? field))
                    {
                        Walk(field.Node, child, inner, found);
                    }
                    else if (path.Length > 0 || key is not ("kind" or "apiVersion"))
                    {
                        found.Add(inner);
                    }
                }

                break;
            case (ValueShape.Map, JsonObject map):
                foreach ((string key, JsonNode? child) in map)
                {
                    Walk(node.Element!, child, $"{path}.{key}", found);
                }

                break;
            case (ValueShape.List, JsonArray list):
                for (int i = 0; i < list.Count; i++)
                {
                    Walk(node.Element!, list[i], $"{path}[{i}]", found);
                }

                break;
        }
    }
}
