using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Storage;

/// <summary>Reads and writes JSON trees the way a Go server does: the last of duplicate keys wins, nulls vanish, labels are sorted.</summary>
internal static class JsonTree
{
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
    private static readonly JsonWriterOptions Indented = Compact with { Indented = true, IndentSize = 2, NewLine = "\n" };
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = 256 };

    // The order of the fields of ObjectMeta on the wire of a real server; custom resources are sorted by name instead.
    private static readonly string[] MetadataOrder =
    [
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers", "managedFields",
    ];

    /// <summary>Parses one JSON value that fills the whole span.</summary>
    /// <param name="json">UTF-8.</param>
    /// <param name="duplicates">Receives the paths of duplicate keys, such as <c>data.k</c>; null when nobody asks.</param>
    /// <exception cref="JsonException">Not JSON, or more than one value.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> json, List<string>? duplicates = null)
    {
        var reader = new Utf8JsonReader(json, Reading);
        reader.Read();
        JsonNode? root = ReadValue(ref reader, duplicates, "");
        if (reader.Read())
        {
            throw new JsonException("More than one JSON value.");
        }

        return root;
    }

    /// <summary>Parses a JSON object; see <see cref="Parse"/>.</summary>
    public static JsonObject ParseObject(ReadOnlySpan<byte> json, List<string>? duplicates = null) =>
        Parse(json, duplicates) as JsonObject ?? throw new JsonException("Not a JSON object.");

    /// <summary>The value as compact UTF-8 JSON.</summary>
    public static byte[] ToUtf8(JsonNode? node)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        Write(buffer, node);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes the value as compact UTF-8 JSON.</summary>
    public static void Write(IBufferWriter<byte> target, JsonNode? node)
    {
        using var writer = new Utf8JsonWriter(target, Compact);
        WriteValue(writer, node);
    }

    /// <summary>Writes the value with two spaces of indentation, as browsers and curl receive it.</summary>
    public static byte[] ToIndentedUtf8(JsonNode? node)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, Indented))
        {
            WriteValue(writer, node);
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Brings an object of a built-in kind into the order of the wire: type, metadata, the rest; metadata as ObjectMeta has it.</summary>
    public static JsonObject InBuiltInOrder(JsonObject obj)
    {
        var ordered = new JsonObject();
        Move(obj, ordered, "kind");
        Move(obj, ordered, "apiVersion");
        JsonObject metadata = obj["metadata"] as JsonObject ?? [];
        obj.Remove("metadata");
        var orderedMetadata = new JsonObject();
        foreach (string key in MetadataOrder)
        {
            Move(metadata, orderedMetadata, key);
        }

        MoveRest(metadata, orderedMetadata);
        SortIn(orderedMetadata, "labels");
        SortIn(orderedMetadata, "annotations");
        ordered["metadata"] = orderedMetadata;
        MoveRest(obj, ordered);
        return ordered;
    }

    /// <summary>A copy with all keys sorted, as custom resources are stored.</summary>
    public static JsonNode? Sorted(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject obj:
                var sorted = new JsonObject();
                foreach ((string key, JsonNode? value) in obj.OrderBy(p => p.Key, StringComparer.Ordinal))
                {
                    sorted[key] = Sorted(value);
                }

                return sorted;
            case JsonArray array:
                return new JsonArray([.. array.Select(Sorted)]);
            default:
                return node?.DeepClone();
        }
    }

    /// <summary>Whether two trees mean the same, whatever the order of their keys.</summary>
    public static bool Same(JsonNode? a, JsonNode? b) => JsonNode.DeepEquals(a, b) || CanonicalEquals(a, b);

    private static bool CanonicalEquals(JsonNode? a, JsonNode? b)
    {
        switch (a, b)
        {
            case (JsonObject x, JsonObject y):
                return x.Count == y.Count && x.All(p => y.TryGetPropertyValue(p.Key, out JsonNode? other) && CanonicalEquals(p.Value, other));
            case (JsonArray x, JsonArray y):
                return x.Count == y.Count && x.Zip(y).All(p => CanonicalEquals(p.First, p.Second));
            case (JsonValue x, JsonValue y):
                return x.GetValueKind() == y.GetValueKind() && x.ToJsonString() == y.ToJsonString();
            default:
                return a is null && b is null;
        }
    }

    private static JsonNode? ReadValue(ref Utf8JsonReader reader, List<string>? duplicates, string path)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                var obj = new JsonObject();
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    string key = reader.GetString()!;
                    reader.Read();
                    string inner = duplicates is null ? "" : path.Length == 0 ? key : $"{path}.{key}";
                    JsonNode? value = ReadValue(ref reader, duplicates, inner);
                    if (obj.ContainsKey(key))
                    {
                        duplicates?.Add(inner);
                    }

                    obj[key] = value;
                }

                return obj;
            case JsonTokenType.StartArray:
                var array = new JsonArray();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    array.Add(ReadValue(ref reader, duplicates, duplicates is null ? "" : $"{path}[{array.Count}]"));
                }

                return array;
            case JsonTokenType.String:
                return JsonValue.Create(reader.GetString());
            case JsonTokenType.True:
                return JsonValue.Create(true);
            case JsonTokenType.False:
                return JsonValue.Create(false);
            case JsonTokenType.Null:
                return null;
            default:
                // Kept as written, so that a number goes out exactly as it came in.
                return JsonValue.Create(JsonElement.ParseValue(ref reader));
        }
    }

    private static void WriteValue(Utf8JsonWriter writer, JsonNode? node)
    {
        switch (node)
        {
            case null:
                writer.WriteNullValue();
                break;
            case JsonObject obj:
                writer.WriteStartObject();
                foreach ((string key, JsonNode? value) in obj)
                {
                    writer.WritePropertyName(key);
                    WriteValue(writer, value);
                }

                writer.WriteEndObject();
                break;
            case JsonArray array:
                writer.WriteStartArray();
                foreach (JsonNode? item in array)
                {
                    WriteValue(writer, item);
                }

                writer.WriteEndArray();
                break;
            default:
                node.WriteTo(writer);
                break;
        }
    }

    private static void Move(JsonObject from, JsonObject to, string key)
    {
        if (from.TryGetPropertyValue(key, out JsonNode? value))
        {
            from.Remove(key);
            if (value is not null)
            {
                to[key] = value;
            }
        }
    }

    private static void MoveRest(JsonObject from, JsonObject to)
    {
        foreach (string key in from.Select(p => p.Key).ToArray())
        {
            Move(from, to, key);
        }
    }

    private static void SortIn(JsonObject parent, string key)
    {
        if (parent[key] is JsonObject map)
        {
            if (map.Count == 0)
            {
                parent.Remove(key);
            }
            else
            {
                parent[key] = Sorted(map);
            }
        }
    }
}
