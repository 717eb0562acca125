using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>Frames messages into a buffer writer.</summary>
/// <remarks>
/// One message at a time. A serialiser that announces its size writes straight into the output; everything else goes through a
/// pooled buffer. Nothing reaches the output of a message that is larger than the limit.
/// </remarks>
internal sealed class MessageWriter(int? maxMessageSize, CompressionLevel compressionLevel) : SerializationContext
{
    private IBufferWriter<byte> _output = null!;
    private PooledBuffer? _collected;
    private int? _announced;
    private bool _compress;
    private bool _direct;
    private bool _completed;

    /// <exception cref="RpcException">RESOURCE_EXHAUSTED: the message is larger than this side may send.</exception>
    public void Write<T>(T message, Action<T, SerializationContext> encode, IBufferWriter<byte> output, bool compress)
    {
        _output = output;
        _compress = compress;
        _announced = null;
        _direct = false;
        _completed = false;
        try
        {
            encode(message, this);
            if (!_completed)
            {
                throw new InvalidOperationException("The serialiser returned without completing the message.");
            }
        }
        finally
        {
            _collected?.Dispose();
            _collected = null;
        }
    }

    public override void SetPayloadLength(int payloadLength)
    {
        ThrowIfTooLarge(payloadLength);
        _announced = payloadLength;
    }

    public override IBufferWriter<byte> GetBufferWriter()
    {
        if (_announced is { } length && !_compress)
        {
            if (!_direct)
            {
                WriteHeader(compressed: false, length);
                _direct = true;
            }

            return _output;
        }

        return _collected ??= new PooledBuffer(_announced ?? 256);
    }

    public override void Complete()
    {
        if (!_direct)
        {
            WriteFrame(_collected is null ? default : _collected.Written.Span);
        }

        _completed = true;
    }

    public override void Complete(byte[] payload)
    {
        WriteFrame(payload);
        _completed = true;
    }

    private void WriteFrame(ReadOnlySpan<byte> message)
    {
        ThrowIfTooLarge(message.Length);
        if (!_compress || message.IsEmpty)
        {
            WriteHeader(compressed: false, message.Length);
            _output.Write(message);
            return;
        }

        using var compressed = new PooledBuffer(Math.Max(64, message.Length / 4));
        GzipCoding.Compress(message, compressed, compressionLevel);
        WriteHeader(compressed: true, compressed.Length);
        _output.Write(compressed.Written.Span);
    }

    private void WriteHeader(bool compressed, int length)
    {
        Span<byte> header = _output.GetSpan(GrpcNames.FrameHeaderSize);
        header[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(header[1..], (uint)length);
        _output.Advance(GrpcNames.FrameHeaderSize);
    }

    private void ThrowIfTooLarge(int length)
    {
        if (length > maxMessageSize)
        {
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted, $"A message of {length} bytes is more than the {maxMessageSize} that may be sent."));
        }
    }
}
