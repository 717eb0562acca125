using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Tests.Hosting;

namespace MultiCluster.Simulator.Tests.OpenApi;

public sealed class ProtobufDocumentTests
{
    private const string Asked = ProtobufDocument.RequestedMediaType;
    private const string Served = ProtobufDocument.MediaType;

    [Theory]
    [InlineData(Asked, true)]
    [InlineData(Served, true)]
    [InlineData(Asked + ";q=0.9, application/json", true)]
    [InlineData("application/json, " + Asked, false)]
    [InlineData("*/*", false)]
    [InlineData("", false)]
    public void IsPreferred_Accept_TakesTheFirstFormWeHave(string accept, bool preferred) => Assert.Equal(preferred, ProtobufDocument.IsPreferred(accept));

    [Fact]
    public async Task OpenApiV2_AskedForProtobuf_AnswersWithItAndElseWithJson()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions()).WaitAsync(ApiClient.Deadline);
        using var client = new ApiClient(cluster);

        using HttpResponseMessage protobuf = await client.SendAsync("GET", "/openapi/v2", accept: Asked).WaitAsync(ApiClient.Deadline);
        Assert.Equal(Served, protobuf.Content.Headers.ContentType?.ToString());
        byte[] document = await protobuf.Content.ReadAsByteArrayAsync().WaitAsync(ApiClient.Deadline);
        Assert.Equal([0x0A, 3, .. "2.0"u8], document[..5]);
        Assert.True(document.AsSpan().IndexOf("io.k8s.api.apps.v1.Deployment"u8) > 0);

        using HttpResponseMessage json = await client.SendAsync("GET", "/openapi/v2").WaitAsync(ApiClient.Deadline);
        Assert.Equal("application/json", json.Content.Headers.ContentType?.ToString());
    }

    [Fact]
    public void Write_Schema_HasTheFieldsOfTheMessage()
    {
        byte[] schema = Schema("""{"description":"d","type":"array","items":{"$ref":"#/r"},"x-a":["b"]}""");

        byte[] items = Field(23, Field(1, Field(1, "#/r")));
        byte[] extension = Field(31, [.. Field(1, "x-a"), .. Field(2, Field(2, """["b"]"""))]);
        Assert.Equal([.. Field(4, "d"), .. Field(22, Field(1, "array")), .. items, .. extension], schema);
    }

    [Fact]
    public void Write_ArrayWithoutItems_HasNoTypeSinceClientsRefuseIt() => Assert.Equal(Field(4, "d"), Schema("""{"description":"d","type":"array"}"""));

    [Fact]
    public void Write_ContentOver127Bytes_HasALengthOfTwoBytes()
    {
        string text = new('t', 300);
        Assert.Equal([(4 << 3) | 2, 0xAC, 0x02, .. Encoding.UTF8.GetBytes(text)], Schema($$"""{"description":"{{text}}"}"""));
    }

    /// <summary>The bytes of the only definition of a document.</summary>
    private static byte[] Schema(string json)
    {
        static JsonObject Document(JsonObject definitions) => new()
        {
            ["swagger"] = "2.0",
            ["info"] = new JsonObject { ["title"] = "t", ["version"] = "v" },
            ["paths"] = new JsonObject(),
            ["definitions"] = definitions,
        };
        byte[] empty = ProtobufDocument.Write(Document([]));
        byte[] full = ProtobufDocument.Write(Document(new JsonObject { ["T"] = JsonNode.Parse(json) }));

        // Before the definitions both are the same; then come the lengths of three messages around the schema, and the name.
        byte[] name = Field(1, "T");
        int start = full.AsSpan(empty.Length - 2).IndexOf(name) + empty.Length - 2 + name.Length;
        int at = start + 1;
        while (full[at++] > 0x7F)
        {
        }

        return full[at..];
    }

    private static byte[] Field(int number, string text) => Field(number, Encoding.UTF8.GetBytes(text));

    /// <summary>A field of short content; its tag takes two bytes from number 16 on.</summary>
    private static byte[] Field(int number, byte[] content)
    {
        int tag = (number << 3) | 2;
        return [.. tag > 0x7F ? (byte[])[(byte)(tag | 0x80), (byte)(tag >> 7)] : [(byte)tag], (byte)content.Length, .. content];
    }
}
