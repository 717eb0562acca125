using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace MultiCluster.Simulator.Protocol;

/// <summary>YAML bodies: read by the rules of the JSON-compatible schema, written with sorted keys as the real server writes them.</summary>
internal static class YamlText
{
    /// <summary>Reads one document.</summary>
    /// <exception cref="JsonException">Not YAML, or not one document.</exception>
    public static JsonNode? ToJson(ReadOnlySpan<byte> utf8)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(Encoding.UTF8.GetString(utf8)));
        }
        catch (YamlException e)
        {
            throw new JsonException($"error converting YAML to JSON: yaml: line {e.Start.Line}: {e.Message}", e);
        }

        return stream.Documents.Count switch
        {
            0 => null,
            1 => Read(stream.Documents[0].RootNode),
            _ => throw new JsonException("more than one YAML document"),
        };
    }

    /// <summary>Writes a tree.</summary>
    public static byte[] FromJson(JsonNode? node)
    {
        var text = new StringBuilder();
        Write(text, node, 0, false);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static JsonNode? Read(YamlNode node)
    {
        switch (node)
        {
            case YamlMappingNode map:
                var obj = new JsonObject();
                foreach ((YamlNode key, YamlNode value) in map.Children)
                {
                    obj[((YamlScalarNode)key).Value ?? ""] = Read(value);
                }

                return obj;
            case YamlSequenceNode sequence:
                return new JsonArray([.. sequence.Children.Select(Read)]);
            case YamlScalarNode scalar:
                return ReadScalar(scalar);
            default:
                throw new JsonException("YAML aliases are not read.");
        }
    }

    private static JsonNode? ReadScalar(YamlScalarNode scalar)
    {
        string text = scalar.Value ?? "";
        if (scalar.Style is ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted or ScalarStyle.Literal or ScalarStyle.Folded)
        {
            return JsonValue.Create(text);
        }

        switch (text)
        {
            case "" or "~" or "null" or "Null" or "NULL":
                return null;
            case "true" or "True" or "TRUE" or "yes" or "on":
                return JsonValue.Create(true);
            case "false" or "False" or "FALSE" or "no" or "off":
                return JsonValue.Create(false);
        }

        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long integer))
        {
            return JsonNode.Parse(integer.ToString(CultureInfo.InvariantCulture));
        }

        bool number = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double real) && double.IsFinite(real)
            && (char.IsAsciiDigit(text[0]) || text[0] is '-' or '+' or '.');
        return number ? JsonValue.Create(real) : JsonValue.Create(text);
    }

    private static void Write(StringBuilder text, JsonNode? node, int indent, bool inSequence)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } obj:
                bool first = inSequence;
                foreach ((string key, JsonNode? value) in obj.OrderBy(p => p.Key, StringComparer.Ordinal))
                {
                    text.Append(' ', first ? 0 : indent).Append(Quote(key)).Append(':');
                    first = false;
                    WriteBelow(text, value, indent);
                }

                break;
            case JsonArray { Count: > 0 } array:
                foreach (JsonNode? item in array)
                {
                    text.Append(' ', indent).Append("- ");
                    if (item is JsonObject { Count: > 0 })
                    {
                        Write(text, item, indent + 2, true);
                    }
                    else
                    {
                        text.Append(Scalar(item)).Append('\n');
                    }
                }

                break;
            default:
                text.Append(Scalar(node)).Append('\n');
                break;
        }
    }

    private static void WriteBelow(StringBuilder text, JsonNode? value, int indent)
    {
        switch (value)
        {
            case JsonObject { Count: > 0 }:
                text.Append('\n');
                Write(text, value, indent + 2, false);
                break;
            case JsonArray { Count: > 0 }:
                text.Append('\n');
                Write(text, value, indent, false);
                break;
            default:
                text.Append(' ').Append(Scalar(value)).Append('\n');
                break;
        }
    }

    private static string Scalar(JsonNode? node) => node switch
    {
        null => "null",
        JsonObject => "{}",
        JsonArray array => array.Count == 0 ? "[]" : array.ToJsonString(),
        JsonValue value when value.TryGetValue(out string? s) => Quote(s),
        _ => node.ToJsonString(),
    };

    private static string Quote(string text)
    {
        bool plain = text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/')
            && (char.IsAsciiLetter(text[0]) || text[0] is '/' or '.')
            && ReadScalar(new YamlScalarNode(text)) is JsonValue value && value.TryGetValue(out string? _);
        return plain ? text : JsonValue.Create(text).ToJsonString();
    }
}
