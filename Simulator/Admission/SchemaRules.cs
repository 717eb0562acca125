using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>Pruning, defaulting and validation of custom resources by the schema of their CRD.</summary>
internal static class SchemaRules
{
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromMilliseconds(100);

    /// <summary>Drops unknown fields, then fills in defaults.</summary>
    public static void Prepare(AdmissionContext context, CustomResourceVersion version, JsonObject tree)
    {
        _ = context;
        if (version.Schema is { } schema)
        {
            Prune(schema, tree, "", []);
            FillDefaults(schema, tree);
        }
    }

    /// <summary>Drops the fields that the schema does not know and adds their paths to <paramref name="unknown"/>.</summary>
    public static void Prune(JsonObject schema, JsonNode? node, string path, List<string> unknown)
    {
        if (schema.Flag("x-kubernetes-preserve-unknown-fields"))
        {
            return;
        }

        switch (node)
        {
            case JsonObject obj when !schema.Flag("x-kubernetes-embedded-resource"):
                var properties = schema["properties"] as JsonObject;
                JsonNode? additional = schema["additionalProperties"];
                foreach (string key in obj.Select(p => p.Key).ToArray())
                {
                    if (path.Length == 0 && key is "metadata" or "kind" or "apiVersion")
                    {
                        continue;
                    }

                    string inner = path.Length == 0 ? key : $"{path}.{key}";
                    if (properties?[key] is JsonObject known)
                    {
                        Prune(known, obj[key], inner, unknown);
                    }
                    else if (additional is JsonObject values)
                    {
                        Prune(values, obj[key], inner, unknown);
                    }
                    else if (!additional.Flag())
                    {
                        unknown.Add(inner);
                        obj.Remove(key);
                    }
                }

                break;
            case JsonArray array when schema["items"] is JsonObject items:
                for (int i = 0; i < array.Count; i++)
                {
                    Prune(items, array[i], $"{path}[{i}]", unknown);
                }

                break;
        }
    }

    /// <summary>Adds what violates the schema.</summary>
    public static void Validate(CustomResourceVersion version, JsonObject tree, List<FieldCause> causes)
    {
        if (version.Schema is { } schema)
        {
            Check(schema, tree, "", causes);
        }
    }

    private static void FillDefaults(JsonObject schema, JsonNode? node)
    {
        switch (node)
        {
            case JsonObject obj:
                foreach ((string key, JsonNode? property) in schema["properties"] as JsonObject ?? [])
                {
                    if (property is not JsonObject inner)
                    {
                        continue;
                    }

                    if (obj[key] is null && inner["default"] is { } value && !inner.Flag("nullable"))
                    {
                        obj[key] = value.DeepClone();
                    }

                    FillDefaults(inner, obj[key]);
                }

                if (schema["additionalProperties"] is JsonObject values)
                {
                    foreach ((_, JsonNode? value) in obj)
                    {
                        FillDefaults(values, value);
                    }
                }

                break;
            case JsonArray array when schema["items"] is JsonObject items:
                foreach (JsonNode? item in array)
                {
                    FillDefaults(items, item);
                }

                break;
        }
    }

    private static void Check(JsonObject schema, JsonNode? node, string path, List<FieldCause> causes)
    {
        string? type = schema.Text("type");
        string actual = TypeOf(node);
        if (node is null ? !schema.Flag("nullable") && path.Length > 0 : !Fits(schema, type, actual))
        {
            causes.Add(new FieldCause(
                "FieldValueTypeInvalid", path, $"Invalid value: \"{actual}\": {path} in body must be of type {type}: \"{actual}\""));
            return;
        }

        if (schema["enum"] is JsonArray allowed && node is not null && !allowed.Any(a => JsonTree.Same(a, node)))
        {
            string[] supported = [.. allowed.Select(a => a is JsonValue v && v.TryGetValue(out string? s) ? s : a!.ToJsonString())];
            string given = node is JsonValue text && text.TryGetValue(out string? given0) ? $"\"{given0}\"" : node.ToJsonString();
            causes.Add(FieldCause.Unsupported(path, given, supported));
        }

        switch (node)
        {
            case JsonObject obj:
                CheckObject(schema, obj, path, causes);
                break;
            case JsonArray array:
                CheckArray(schema, array, path, causes);
                break;
            case JsonValue value when actual is "integer" or "number":
                CheckNumber(schema, value, path, causes);
                break;
            case JsonValue value when actual == "string":
                CheckText(schema, value.GetValue<string>(), path, causes);
                break;
        }
    }

    private static void CheckObject(JsonObject schema, JsonObject obj, string path, List<FieldCause> causes)
    {
        foreach (JsonNode? required in schema["required"] as JsonArray ?? [])
        {
            string key = required!.GetValue<string>();
            if (!obj.ContainsKey(key))
            {
                causes.Add(FieldCause.Required(Join(path, key)));
            }
        }

        var properties = schema["properties"] as JsonObject;

        // In the order of the document, as the recorded messages come.
        foreach ((string key, JsonNode? value) in obj)
        {
            if (path.Length == 0 && key is "metadata" or "kind" or "apiVersion")
            {
                continue;
            }

            if ((properties?[key] ?? schema["additionalProperties"]) is JsonObject inner)
            {
                Check(inner, value, Join(path, key), causes);
            }
        }
    }

    private static void CheckArray(JsonObject schema, JsonArray array, string path, List<FieldCause> causes)
    {
        if (schema.Number("maxItems") is { } max && array.Count > max)
        {
            causes.Add(new FieldCause("FieldValueTooMany", path, $"Too many: {array.Count}: must have at most {max} items"));
        }

        if (schema.Number("minItems") is { } min && array.Count < min)
        {
            causes.Add(FieldCause.Invalid(path, array.Count.ToString(CultureInfo.InvariantCulture), $"{path} in body should have at least {min} items"));
        }

        if (schema["items"] is JsonObject items)
        {
            for (int i = 0; i < array.Count; i++)
            {
                Check(items, array[i], $"{path}[{i}]", causes);
            }
        }
    }

    private static void CheckNumber(JsonObject schema, JsonValue value, string path, List<FieldCause> causes)
    {
        string text = value.ToJsonString();
        double number = double.Parse(text, CultureInfo.InvariantCulture);
        if (Bound("maximum") is { } max && (schema.Flag("exclusiveMaximum") ? number >= max : number > max))
        {
            string than = schema.Flag("exclusiveMaximum") ? "less than" : "less than or equal to";
            causes.Add(FieldCause.Invalid(path, text, $"{path} in body should be {than} {schema["maximum"]!.ToJsonString()}"));
        }

        if (Bound("minimum") is { } min && (schema.Flag("exclusiveMinimum") ? number <= min : number < min))
        {
            string than = schema.Flag("exclusiveMinimum") ? "greater than" : "greater than or equal to";
            causes.Add(FieldCause.Invalid(path, text, $"{path} in body should be {than} {schema["minimum"]!.ToJsonString()}"));
        }

        double? Bound(string key) =>
            schema[key] is JsonValue bound ? double.Parse(bound.ToJsonString(), CultureInfo.InvariantCulture) : null;
    }

    private static void CheckText(JsonObject schema, string text, string path, List<FieldCause> causes)
    {
        if (schema.Number("maxLength") is { } max && text.Length > max)
        {
            causes.Add(new FieldCause("FieldValueTooLong", path, $"Too long: may not be more than {max} bytes"));
        }

        if (schema.Number("minLength") is { } min && text.Length < min)
        {
            causes.Add(FieldCause.Invalid(path, $"\"{text}\"", $"{path} in body should be at least {min} chars long"));
        }

        if (schema.Text("pattern") is { } pattern && !Regex.IsMatch(text, pattern, RegexOptions.None, PatternTimeout))
        {
            causes.Add(FieldCause.Invalid(path, $"\"{text}\"", $"{path} in body should match '{pattern}'"));
        }
    }

    private static bool Fits(JsonObject schema, string? type, string actual) =>
        type is null || type == actual || (type == "number" && actual == "integer")
        || (schema.Flag("x-kubernetes-int-or-string") && actual is "integer" or "string");

    private static string TypeOf(JsonNode? node) => node switch
    {
        null => "null",
        JsonObject => "object",
        JsonArray => "array",
        _ => node.GetValueKind() switch
        {
            JsonValueKind.String => "string",
            JsonValueKind.True or JsonValueKind.False => "boolean",
            _ => node.ToJsonString().AsSpan().IndexOfAny('.', 'e', 'E') >= 0 ? "number" : "integer",
        },
    };

    private static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";
}
