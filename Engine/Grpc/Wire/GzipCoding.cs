using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>Gzip over whole messages, with a bound on what may come out.</summary>
internal static class GzipCoding
{
    private const int Step = 16 * 1024;

    public static void Compress(ReadOnlySpan<byte> message, IBufferWriter<byte> output, CompressionLevel level)
    {
        using var gzip = new GZipStream(new BufferWriterStream(output), level);
        gzip.Write(message);
    }

    /// <summary>Fills <paramref name="output"/> with the message.</summary>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED when it is larger than the limit, INTERNAL when it is no gzip.</exception>
    public static void Decompress(in ReadOnlySequence<byte> compressed, PooledBuffer output, int? limit)
    {
        try
        {
            using var gzip = new GZipStream(PipeReader.Create(compressed).AsStream(), CompressionMode.Decompress);
            while (true)
            {
                int read = gzip.Read(output.GetSpan(Step));
                if (read == 0)
                {
                    return;
                }

                output.Advance(read);
                if (output.Length > limit)
                {
                    throw MessageReader.TooLarge($"larger than {limit}", limit.Value);
                }
            }
        }
        catch (InvalidDataException e)
        {
            throw new RpcException(new Status(StatusCode.Internal, "A compressed message is not valid gzip.", e));
        }
    }

    private sealed class BufferWriterStream(IBufferWriter<byte> output) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer) => output.Write(buffer);

        public override void Write(byte[] buffer, int offset, int count) => output.Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
