using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace MultiCluster.Deploy.Tests.Support;

/// <summary>Reads manifests as kubectl reads them.</summary>
internal static class Yaml
{
    /// <summary>The objects of a file or of kubectl's output, in order.</summary>
    public static List<JsonObject> ReadAll(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(d => Convert(d.RootNode)).OfType<JsonObject>()];
    }

    private static JsonNode? Convert(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Select(p => KeyValuePair.Create(((YamlScalarNode)p.Key).Value!, Convert(p.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Select(Convert)]),
        YamlScalarNode scalar => Scalar(scalar),
        _ => throw new InvalidDataException($"Unexpected YAML: {node}"),
    };

    private static JsonNode? Scalar(YamlScalarNode scalar)
    {
        string text = scalar.Value ?? "";
        if (scalar.Style != ScalarStyle.Plain)
        {
            return text;
        }

        return text switch
        {
            "" or "null" or "~" => null,
            "true" => true,
            "false" => false,
            ['0', .. { Length: > 0 } octal] when octal.All(c => c is >= '0' and <= '7') => System.Convert.ToInt64(octal, 8),
            _ when long.TryParse(text, CultureInfo.InvariantCulture, out long number) => number,
            _ => text,
        };
    }
}
