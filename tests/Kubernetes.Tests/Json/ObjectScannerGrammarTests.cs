using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Tests.Json;

/// <summary>The scanner takes what a strict JSON reader takes, and writes nothing that such a reader would refuse.</summary>
public sealed class ObjectScannerGrammarTests
{
    private static readonly ResourceType Pods = new("", "v1", "pods", "Pod", Namespaced: true);

    private const string Pod =
        """
        {"metadata":{"name":"a","namespace":"demo","uid":"u-1","resourceVersion":"5","labels":{"x":"y","\u006b":"v\"1"},"managedFields":[{"k:{\"a\":1}":{}}],"generation":2},"spec":{"nodeName":"n","containers":[{"image":"i","resources":{"requests":{"cpu":"1","memory":"1Gi"}},"n":[1,-0.5e+3,true,null]}],"initContainers":[]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"x":{"a":[{},[],[[{"b":"\\\""}]]]}}}
        """;

    [Fact]
    public void Scan_AnyOneByteChanged_AgreesWithStrictReader()
    {
        byte[] original = Encoding.UTF8.GetBytes(Pod.Trim());
        byte[] replacements = [0, 9, (byte)' ', (byte)'"', (byte)'\\', (byte)'{', (byte)'}', (byte)'[', (byte)']', (byte)',', (byte)':', (byte)'0', (byte)'x', 0x80, 0xFF];
        for (int at = 0; at < original.Length; at++)
        {
            foreach (byte replacement in replacements)
            {
                byte[] changed = (byte[])original.Clone();
                changed[at] = replacement;
                AssertAgrees(changed);
            }

            AssertAgrees([.. original[..at], .. original[(at + 1)..]]);
            AssertAgrees(original[..at]);
        }
    }

    [Fact]
    public void Scan_ManyBytesChanged_AgreesWithStrictReader() => Prop.ForAll<int>(seed =>
    {
        var random = new Random(seed);
        byte[] text = Encoding.UTF8.GetBytes(Pod.Trim());
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            int from = random.Next(text.Length);
            int length = random.Next(Math.Min(12, text.Length - from));
            int to = random.Next(text.Length - length + 1);
            text.AsSpan(from, length).ToArray().CopyTo(text.AsSpan(to));
        }

        AssertAgrees(text);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    [Fact]
    public void Scan_RandomDocuments_KeepsEveryByteButManagedFields() => Prop.ForAll<int>(seed =>
    {
        var random = new Random(seed);
        string managed = RandomValue(random, 3);
        string[] members =
        [
            "\"name\":\"a\"", "\"uid\":\"u\"", "\"resourceVersion\":\"1\"", $"\"managedFields\":[{managed}]", $"\"annotations\":{RandomValue(random, 2)}",
        ];
        random.Shuffle(members);
        string[] top = ["\"kind\":\"Pod\"", "\"apiVersion\":\"v1\"", $"\"metadata\":{{{string.Join(",", members)}}}", $"\"data\":{RandomValue(random, 4)}", $"\"spec\":{RandomValue(random, 4)}"];
        random.Shuffle(top);
        string kept = string.Join(",", members.Where(static m => !m.StartsWith("\"managedFields\"", StringComparison.Ordinal)));
        string expected = $"{{{string.Join(",", top.Select(t => t.StartsWith("\"metadata\"", StringComparison.Ordinal) ? $"\"metadata\":{{{kept}}}" : t))}}}";

        Assert.Equal(expected, Stored(Encoding.UTF8.GetBytes($"{{{string.Join(",", top)}}}")));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Theory]
    [InlineData("{\"managedFields\":[],ID}", "{ID}")]
    [InlineData("{ID,\"managedFields\":[]}", "{ID}")]
    [InlineData("{ID ,\n \"managedFields\" : {\"a\":\"]}\\\\\"}\n}", "{ID\n}")]
    [InlineData("{ID,\"managedFields\":null,\"x\":1}", "{ID,\"x\":1}")]
    public void Scan_ManagedFieldsAnywhere_GoesWithOneComma(string metadata, string expected)
    {
        const string Identity = "\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"1\"";
        string json = $"{{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{metadata.Replace("ID", Identity, StringComparison.Ordinal)}}}";
        string wanted = $"{{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{expected.Replace("ID", Identity, StringComparison.Ordinal)}}}";
        Assert.Equal(wanted, Stored(Encoding.UTF8.GetBytes(json)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html>")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"metadata":{"name":"a","uid":"u"}}""")]
    [InlineData("""{"metadata":{"name":"a","resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"name":"","uid":"u","resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"name":"a/b","uid":"u","resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"name":"a\u0000","uid":"u","resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"name":"\ud800","uid":"u","resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"name":7,"uid":"u","resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"name":"a","uid":"u","resourceVersion":"1","labels":{"a\u0000":"b"}}}""")]
    [InlineData("""{"metadata":{"name":"a","uid":"u","resourceVersion":"1"},"metadata":{}}""")]
    [InlineData("""{"metadata":{"name":"a","uid":"u","resourceVersion":"1"}}{}""")]
    public void Scan_NoUsableObject_IsRefusedWithoutContent(string json)
    {
        var scanner = new ObjectScanner(Pods);
        FormatException fault = Assert.Throws<FormatException>(() => { scanner.Scan(Encoding.UTF8.GetBytes(json)); });
        Assert.StartsWith("Not a usable JSON object", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Scan_NestedToTheLimit_IsTakenAndOneMoreIsRefused()
    {
        var scanner = new ObjectScanner(Pods);
        string At(int depth) => $$"""{"metadata":{"name":"a","uid":"u","resourceVersion":"1"},"x":{{new string('[', depth)}}{{new string(']', depth)}}}""";
        scanner.Scan(Encoding.UTF8.GetBytes(At(1024)));
        Assert.Throws<FormatException>(() => { scanner.Scan(Encoding.UTF8.GetBytes(At(1025))); });
    }

    private static void AssertAgrees(byte[] json)
    {
        string? stored = null;
        try
        {
            stored = Stored(json);
        }
        catch (FormatException)
        {
            // refused: then either it is no JSON, or no object that could be kept
        }

        if (stored is not null)
        {
            Assert.True(IsJson(Encoding.UTF8.GetBytes(stored)), $"What was kept is no JSON: {stored}");
        }
        else if (IsJson(json) && HasIdentity(json))
        {
            Assert.Fail($"A good object was refused: {Encoding.UTF8.GetString(json)}");
        }
    }

    private static bool IsJson(byte[] json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 2000 });
            while (reader.Read())
            {
            }

            return System.Text.Unicode.Utf8.IsValid(json);   // which the reader leaves to whoever asks for a text
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool HasIdentity(byte[] json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || root.EnumerateObject().GroupBy(static m => m.Name).Any(static g => g.Count() > 1)
                || !root.TryGetProperty("metadata", out JsonElement metadata) || metadata.ValueKind != JsonValueKind.Object)
            {
                return false;
            }

            bool Text(string name, bool required) => metadata.TryGetProperty(name, out JsonElement value)
                ? value.ValueKind == JsonValueKind.String && !value.GetString()!.Contains('/', StringComparison.Ordinal)
                    && !value.GetString()!.Contains('\0', StringComparison.Ordinal) && (!required || value.GetString()!.Length > 0)
                : !required;
            bool labels = !metadata.TryGetProperty("labels", out JsonElement map) || map.ValueKind == JsonValueKind.Null
                || (map.ValueKind == JsonValueKind.Object && map.EnumerateObject().All(static l => l.Value.ValueKind == JsonValueKind.String
                    && !l.Value.GetString()!.Contains('\0', StringComparison.Ordinal)));
            return Text("name", true) && Text("uid", true) && Text("resourceVersion", true) && Text("namespace", false) && labels
                && metadata.EnumerateObject().Count(static m => m.Name == "managedFields") < 2;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;   // invalid UTF-8 or half surrogates in a text
        }
    }

    private static string Stored(byte[] json)
    {
        ScannedObject scanned = new ObjectScanner(Pods).Scan(json);
        byte[] kept = new byte[scanned.JsonLength];
        scanned.CopyJson(kept);
        return Encoding.UTF8.GetString(kept);
    }

    private static string RandomValue(Random random, int depth) => random.Next(depth > 0 ? 8 : 5) switch
    {
        0 => "null",
        1 => random.Next(2) == 0 ? "true" : "false",
        2 => $"{random.Next(-9, 9)}.{random.Next(99)}e-{random.Next(9)}",
        3 => JsonSerializer.Serialize(new string([.. Enumerable.Range(0, random.Next(90)).Select(_ => "ab\"\\{}[],:\n\u00e9\u2028"[random.Next(13)])])),
        4 => "\"" + string.Concat(Enumerable.Repeat("\\\\", random.Next(70))) + "\\\"\"",
        5 => $"[{string.Join(",", Enumerable.Range(0, random.Next(4)).Select(_ => RandomValue(random, depth - 1)))}]",
        _ => $"{{{string.Join(",", Enumerable.Range(0, random.Next(4)).Select(i => $"\"k{i}\\n\":{RandomValue(random, depth - 1)}"))}}}",
    };
}
