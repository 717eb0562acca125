using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Tests.Protocol;

public sealed class ProtobufBodyTests
{
    [Fact]
    public void ToJson_NamespaceWithLabels_HasNameAndLabels()
    {
        byte[] metadata = [.. Message(1, "kdemo"u8), .. Message(2, ""u8), .. Message(11, [.. Message(1, "team"u8), .. Message(2, "blue"u8)])];
        byte[] body = Envelope("v1", "Namespace", Message(1, metadata));

        JsonObject ns = ProtobufBody.ToJson(body)!;

        Assert.Equal("""{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kdemo","labels":{"team":"blue"}}}""", ns.ToJsonString());
    }

    [Fact]
    public void ToJson_CutAnywhere_NullOrObjectButNeverAFault()
    {
        byte[] body = Envelope("v1", "Namespace", Message(1, Message(1, "kdemo"u8)));

        for (int length = 0; length < body.Length; length++)
        {
            _ = ProtobufBody.ToJson(body.AsSpan(0, length));
        }

        Assert.Null(ProtobufBody.ToJson(Encoding.ASCII.GetBytes("{}")));
        Assert.Null(ProtobufBody.ToJson(Envelope("apps/v1", "Deployment", [])));
    }

    private static byte[] Envelope(string apiVersion, string kind, byte[] raw) =>
        [.. "k8s\0"u8, .. Message(1, [.. Message(1, Encoding.UTF8.GetBytes(apiVersion)), .. Message(2, Encoding.UTF8.GetBytes(kind))]), .. Message(2, raw)];

    private static byte[] Message(int field, ReadOnlySpan<byte> content) => [(byte)((field << 3) | 2), (byte)content.Length, .. content];
}
