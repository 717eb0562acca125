using System.Text;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Reads the few protobuf bodies that typed clients such as kubectl send in small requests.</summary>
/// <remarks>
/// Known kinds: Namespace, ConfigMap, Secret, ServiceAccount, the self-subject reviews, TokenRequest, Eviction, DeleteOptions. Workloads are not
/// among them: their types are large, and no client that we know sends them without being able to send JSON. Answers are always JSON.
/// </remarks>
internal static class ProtobufBody
{
    /// <summary>Content type of such bodies.</summary>
    public const string ContentType = "application/vnd.kubernetes.protobuf";

    private static readonly Shape Meta = Shape.Of(
        ("name", 1, FieldType.Text), ("generateName", 2, FieldType.Text), ("namespace", 3, FieldType.Text), ("uid", 5, FieldType.Text),
        ("resourceVersion", 6, FieldType.Text), ("labels", 11, FieldType.Map), ("annotations", 12, FieldType.Map), ("finalizers", 14, FieldType.Texts));

    private static readonly Shape DeleteOptions = Shape.Of(
        [("preconditions", 2, Shape.Of(("uid", 1, FieldType.Text), ("resourceVersion", 2, FieldType.Text)))],
        ("gracePeriodSeconds", 1, FieldType.Number), ("orphanDependents", 3, FieldType.Flag), ("propagationPolicy", 4, FieldType.Text), ("dryRun", 5, FieldType.Texts));

    private static readonly Dictionary<string, Shape> Kinds = new(StringComparer.Ordinal)
    {
        ["Namespace"] = Shape.Of([("metadata", 1, Meta), ("spec", 2, Shape.Of(("finalizers", 1, FieldType.Texts)))]),
        ["ConfigMap"] = Shape.Of([("metadata", 1, Meta)], ("data", 2, FieldType.Map), ("binaryData", 3, FieldType.BytesMap), ("immutable", 4, FieldType.Flag)),
        ["Secret"] = Shape.Of(
            [("metadata", 1, Meta)], ("data", 2, FieldType.BytesMap), ("type", 3, FieldType.Text), ("stringData", 4, FieldType.Map), ("immutable", 5, FieldType.Flag)),
        ["ServiceAccount"] = Shape.Of([("metadata", 1, Meta)], ("automountServiceAccountToken", 4, FieldType.Flag)),
        ["SelfSubjectReview"] = Shape.Of([("metadata", 1, Meta)]),
        ["SelfSubjectRulesReview"] = Shape.Of([("metadata", 1, Meta), ("spec", 2, Shape.Of(("namespace", 1, FieldType.Text)))]),
        ["SelfSubjectAccessReview"] = Shape.Of(
        [
            ("metadata", 1, Meta),
            ("spec", 2, Shape.Of(
            [
                ("resourceAttributes", 1, Shape.Of(
                    ("namespace", 1, FieldType.Text), ("verb", 2, FieldType.Text), ("group", 3, FieldType.Text), ("version", 4, FieldType.Text),
                    ("resource", 5, FieldType.Text), ("subresource", 6, FieldType.Text), ("name", 7, FieldType.Text))),
                ("nonResourceAttributes", 2, Shape.Of(("path", 1, FieldType.Text), ("verb", 2, FieldType.Text))),
            ])),
        ]),
        ["TokenRequest"] = Shape.Of([("metadata", 1, Meta), ("spec", 2, Shape.Of(("audiences", 1, FieldType.Texts), ("expirationSeconds", 4, FieldType.Number)))]),
        ["Eviction"] = Shape.Of([("metadata", 1, Meta), ("deleteOptions", 2, DeleteOptions)]),
        ["DeleteOptions"] = DeleteOptions,
    };

    private static readonly Shape Envelope = Shape.Of([("type", 1, Shape.Of(("apiVersion", 1, FieldType.Text), ("kind", 2, FieldType.Text)))], ("raw", 2, FieldType.Bytes));

    private enum FieldType { Text, Number, Flag, Texts, Map, BytesMap, Bytes, Message }

    /// <summary>The body as JSON; null when it is damaged or of a kind that is not known here.</summary>
    public static JsonObject? ToJson(ReadOnlySpan<byte> body)
    {
        if (!body.StartsWith("k8s\0"u8))
        {
            return null;
        }

        try
        {
            JsonObject envelope = Read(body[4..], Envelope);
            string kind = envelope["type"]?["kind"]?.GetValue<string>() ?? "";
            if (!Kinds.TryGetValue(kind, out Shape? shape))
            {
                return null;
            }

            var obj = new JsonObject { ["kind"] = kind, ["apiVersion"] = envelope["type"]?["apiVersion"]?.GetValue<string>() };
            byte[] raw = Convert.FromBase64String(envelope["raw"]?.GetValue<string>() ?? "");
            foreach ((string key, JsonNode? value) in Read(raw, shape).ToArray())
            {
                obj[key] = value?.DeepClone();
            }

            return obj;
        }
        catch (Exception e) when (e is IndexOutOfRangeException or ArgumentOutOfRangeException or FormatException)
        {
            return null;
        }
    }

    private static JsonObject Read(ReadOnlySpan<byte> data, Shape shape)
    {
        var obj = new JsonObject();
        int at = 0;
        while (at < data.Length)
        {
            ulong tag = Varint(data, ref at);
            ReadOnlySpan<byte> content = default;
            ulong number = 0;
            switch (tag & 7)
            {
                case 0:
                    number = Varint(data, ref at);
                    break;
                case 1:
                    at += 8;
                    break;
                case 2:
                    int length = checked((int)Varint(data, ref at));
                    content = data.Slice(at, length);
                    at += length;
                    break;
                case 5:
                    at += 4;
                    break;
                default:
                    throw new FormatException("unknown wire type");
            }

            if (shape.Fields.TryGetValue((int)(tag >> 3), out Field? field))
            {
                Set(obj, field, content, number);
            }
        }

        return obj;
    }

    private static void Set(JsonObject obj, Field field, ReadOnlySpan<byte> content, ulong number)
    {
        switch (field.Type)
        {
            case FieldType.Text:
                // Go writes empty strings of required fields; JSON leaves them out.
                if (!content.IsEmpty)
                {
                    obj[field.Name] = Encoding.UTF8.GetString(content);
                }

                break;
            case FieldType.Number:
                obj[field.Name] = (long)number;
                break;
            case FieldType.Flag:
                obj[field.Name] = number != 0;
                break;
            case FieldType.Bytes:
                obj[field.Name] = Convert.ToBase64String(content);
                break;
            case FieldType.Texts:
                var texts = obj[field.Name] as JsonArray ?? [];
                texts.Add(Encoding.UTF8.GetString(content));
                if (texts.Parent is null)
                {
                    obj[field.Name] = texts;
                }

                break;
            case FieldType.Map or FieldType.BytesMap:
                JsonObject entry = Read(content, field.Type == FieldType.Map
                    ? Shape.Of(("key", 1, FieldType.Text), ("value", 2, FieldType.Text))
                    : Shape.Of(("key", 1, FieldType.Text), ("value", 2, FieldType.Bytes)));
                var map = obj[field.Name] as JsonObject ?? [];
                map[entry["key"]?.GetValue<string>() ?? ""] = entry["value"]?.GetValue<string>() ?? "";
                if (map.Parent is null)
                {
                    obj[field.Name] = map;
                }

                break;
            case FieldType.Message:
                obj[field.Name] = Read(content, field.Inner!);
                break;
        }
    }

    private static ulong Varint(ReadOnlySpan<byte> data, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte b = data[at++];
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }

        throw new FormatException("a number of more than ten bytes");
    }

    private sealed record Field(string Name, FieldType Type, Shape? Inner);

    private sealed record Shape(Dictionary<int, Field> Fields)
    {
        public static Shape Of(params (string Name, int Number, FieldType Type)[] fields) =>
            new(fields.ToDictionary(f => f.Number, f => new Field(f.Name, f.Type, null)));

        public static Shape Of((string Name, int Number, Shape Inner)[] messages, params (string Name, int Number, FieldType Type)[] fields)
        {
            Shape shape = Of(fields);
            foreach ((string name, int number, Shape inner) in messages)
            {
                shape.Fields[number] = new Field(name, FieldType.Message, inner);
            }

            return shape;
        }
    }
}
