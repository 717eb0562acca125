using System.Buffers;
using System.Text;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>Collects the fields of one protobuf message, in the wire format.</summary>
/// <remarks>Only what the OpenAPI message needs: strings, flags and messages. Not thread-safe.</remarks>
internal sealed class ProtobufMessage
{
    private const int VarintField = 0;
    private const int LengthDelimited = 2;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>A copy of what was written so far.</summary>
    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    /// <summary>Writes a string, also an empty one: in a repeated field it counts.</summary>
    public void Text(int field, string value) => Content(field, Encoding.UTF8.GetBytes(value));

    public void Flag(int field, bool value)
    {
        Varint((uint)(field << 3) | VarintField);
        Varint(value ? 1u : 0u);
    }

    /// <summary>Writes a nested message, which <paramref name="fill"/> puts together.</summary>
    public void Message(int field, Action<ProtobufMessage> fill)
    {
        // A message is preceded by its length, so it has to be complete first.
        var inner = new ProtobufMessage();
        fill(inner);
        Content(field, inner._bytes.WrittenSpan);
    }

    private void Content(int field, ReadOnlySpan<byte> content)
    {
        Varint((uint)(field << 3) | LengthDelimited);
        Varint((uint)content.Length);
        _bytes.Write(content);
    }

    private void Varint(uint value)
    {
        Span<byte> target = _bytes.GetSpan(5);
        int count = 0;
        for (; value > 0x7F; value >>= 7)
        {
            target[count++] = (byte)(value | 0x80);
        }

        target[count++] = (byte)value;
        _bytes.Advance(count);
    }
}
