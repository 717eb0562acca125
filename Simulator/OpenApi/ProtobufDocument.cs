using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>Writes the OpenAPI 2 document as the protobuf message <c>openapi.v2.Document</c>.</summary>
/// <remarks>
/// The field numbers are those of gnostic's <c>openapiv2/OpenAPIv2.proto</c>. Older kubectl, such as 1.20, knows the API in this form only. Bounds and
/// patterns of custom resources are left out: no client that we know checks them.
/// </remarks>
internal static class ProtobufDocument
{
    /// <summary>The media type under which a server answers, and which newer clients may ask for.</summary>
    public const string MediaType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

    /// <summary>What kubectl asks for. The @ is not valid in a media type, so that servers answer with <see cref="MediaType"/>.</summary>
    public const string RequestedMediaType = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

    private static readonly (string Method, int Field)[] Methods = [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)];

    /// <summary>Whether the first form in an Accept header that we have is this one.</summary>
    public static bool IsPreferred(string accept)
    {
        foreach (string range in accept.Split(',', StringSplitOptions.TrimEntries))
        {
            switch (range.Split(';', 2)[0].TrimEnd())
            {
                case MediaType or RequestedMediaType:
                    return true;
                case "application/json" or "application/*" or "*/*":
                    return false;
                default:
                    continue;
            }
        }

        return false;
    }

    /// <summary>Translates a document that has a swagger version, info, paths and definitions.</summary>
    public static byte[] Write(JsonObject document)
    {
        var message = new ProtobufMessage();
        Text(message, 1, document["swagger"]);
        message.Message(2, info =>
        {
            Text(info, 1, document["info"]!["title"]);
            Text(info, 2, document["info"]!["version"]);
        });
        message.Message(8, paths => WriteNamed(paths, 2, document["paths"]!.AsObject(), WritePath));
        message.Message(9, definitions => WriteNamed(definitions, 1, document["definitions"]!.AsObject(), WriteSchema));
        return message.ToArray();
    }

    private static void WritePath(ProtobufMessage message, JsonObject path)
    {
        foreach ((string method, int field) in Methods)
        {
            if (path[method] is JsonObject operation)
            {
                message.Message(field, m => WriteOperation(m, operation));
            }
        }
    }

    private static void WriteOperation(ProtobufMessage message, JsonObject operation)
    {
        foreach (JsonNode? parameter in operation["parameters"]!.AsArray())
        {
            // ParametersItem, Parameter, NonBodyParameter: each wraps the next; all our parameters are in the query.
            message.Message(8, item => item.Message(1, any => any.Message(2, kind => kind.Message(3, query =>
            {
                Text(query, 2, parameter!["in"]);
                Text(query, 4, parameter["name"]);
                Text(query, 6, parameter["type"]);
            }))));
        }

        message.Message(9, responses => WriteNamed(responses, 1, operation["responses"]!.AsObject(),
            static (value, response) => value.Message(1, r => Text(r, 1, response["description"]))));
        WriteExtensions(message, 13, operation);
    }

    private static void WriteSchema(ProtobufMessage message, JsonObject schema)
    {
        Text(message, 1, schema["$ref"]);
        Text(message, 2, schema["format"]);
        Text(message, 4, schema["description"]);
        foreach (JsonNode? name in schema["required"] as JsonArray ?? [])
        {
            Text(message, 19, name);
        }

        foreach (JsonNode? value in schema["enum"] as JsonArray ?? [])
        {
            message.Message(20, any => any.Text(2, value?.ToJsonString() ?? "null"));
        }

        switch (schema["additionalProperties"])
        {
            case JsonObject values:
                message.Message(21, item => item.Message(1, s => WriteSchema(s, values)));
                break;
            case JsonValue allowed:
                message.Message(21, item => item.Flag(2, allowed.GetValue<bool>()));
                break;
        }

        var items = schema["items"] as JsonObject;
        string? type = schema["type"]?.GetValue<string>();
        if (type is not null && (type != "array" || items is not null))
        {
            // Clients refuse the whole document for one array without items; without a type it is a value of any kind to them.
            message.Message(22, t => t.Text(1, type));
        }

        if (items is not null)
        {
            message.Message(23, item => item.Message(1, s => WriteSchema(s, items)));
        }

        if (schema["properties"] is JsonObject properties)
        {
            message.Message(25, p => WriteNamed(p, 1, properties, WriteSchema));
        }

        WriteExtensions(message, 31, schema);
    }

    private static void WriteNamed(ProtobufMessage message, int field, JsonObject entries, Action<ProtobufMessage, JsonObject> write)
    {
        foreach ((string name, JsonNode? value) in entries)
        {
            message.Message(field, entry =>
            {
                entry.Text(1, name);
                entry.Message(2, m => write(m, value as JsonObject ?? []));
            });
        }
    }

    private static void WriteExtensions(ProtobufMessage message, int field, JsonObject owner)
    {
        foreach ((string name, JsonNode? value) in owner)
        {
            if (name.StartsWith("x-", StringComparison.Ordinal))
            {
                message.Message(field, entry =>
                {
                    entry.Text(1, name);
                    // The value is YAML text, and JSON is YAML.
                    entry.Message(2, any => any.Text(2, value?.ToJsonString() ?? "null"));
                });
            }
        }
    }

    private static void Text(ProtobufMessage message, int field, JsonNode? value)
    {
        if (value is not null)
        {
            message.Text(field, value.GetValue<string>());
        }
    }
}
