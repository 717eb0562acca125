using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Patching;

/// <summary>JSON merge patch (RFC 7386): objects merge key by key, null removes, everything else replaces.</summary>
internal static class JsonMergePatch
{
    /// <summary>Returns a new document; neither argument is changed or shared with the result.</summary>
    public static JsonNode? Apply(JsonNode? target, JsonNode? patch)
    {
        if (patch is not JsonObject changes)
        {
            return patch?.DeepClone();
        }

        JsonObject result = target is JsonObject existing ? (JsonObject)existing.DeepClone() : [];
        Merge(result, changes);
        return result;
    }

    private static void Merge(JsonObject target, JsonObject changes)
    {
        foreach ((string key, JsonNode? change) in changes)
        {
            switch (change)
            {
                case null:
                    target.Remove(key);
                    break;
                case JsonObject nested when target[key] is JsonObject inner:
                    Merge(inner, nested);
                    break;
                case JsonObject nested:
                    JsonObject added = [];
                    Merge(added, nested);
                    target[key] = added;
                    break;
                default:
                    target[key] = change.DeepClone();
                    break;
            }
        }
    }
}
