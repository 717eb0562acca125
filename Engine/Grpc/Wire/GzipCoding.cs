using System.Buffers;
using System.IO.Compression;
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
            using var gzip = new GZipStream(new SequenceStream(compressed), CompressionMode.Decompress);
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
}
