using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>Cuts messages out of a pipe.</summary>
/// <remarks>
/// One reader at a time. A message is decoded straight from the pipe's buffers, and what arrived together is handed out without
/// going back to the pipe, so that a stream of small messages costs one read per buffer. The announced length is checked before
/// anything of the message is buffered.
/// </remarks>
internal sealed class MessageReader(PipeReader pipe, int? maxMessageSize, string? encoding)
{
    private readonly Payload _payload = new();
    private ReadOnlySequence<byte> _rest;
    private bool _holdsBuffer;
    private bool _atEnd;

    /// <summary>The next message, or null when the peer has ended the stream between two messages.</summary>
    /// <exception cref="RpcException">What arrived is no gRPC message, is too large, or its encoding is unknown.</exception>
    /// <exception cref="OperationCanceledException">The token fired, or the read was cancelled.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<T?> ReadAsync<T>(Func<DeserializationContext, T> decode, CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            if (TryCut(out ReadOnlySequence<byte> body, out bool compressed, out long wanted))
            {
                return Decode(body, compressed, decode);
            }

            if (_atEnd)
            {
                return _rest.IsEmpty ? null : throw Broken("The stream ended in the middle of a message.");
            }

            Release();
            ReadResult result = await pipe.ReadAtLeastAsync(checked((int)wanted), cancellationToken);
            _rest = result.Buffer;
            _holdsBuffer = true;
            if (result.IsCanceled)
            {
                throw new OperationCanceledException("The call has ended.");
            }

            _atEnd = result.IsCompleted;
        }
    }

    /// <summary>The only message of a stream that must have exactly one.</summary>
    public async ValueTask<T> ReadSingleAsync<T>(Func<DeserializationContext, T> decode, CancellationToken cancellationToken)
        where T : class
    {
        T message = await ReadAsync(decode, cancellationToken) ?? throw Broken("A message is missing: the stream ended without one.");
        if (await ReadAsync<object>(static _ => throw Broken("There is more than the one message that this method takes."), cancellationToken) is not null)
        {
            throw Broken("There is more than the one message that this method takes.");
        }

        return message;
    }

    /// <summary>Gives the buffer back to the pipe; what was not handed out stays in it.</summary>
    public void Release()
    {
        if (_holdsBuffer)
        {
            _holdsBuffer = false;
            pipe.AdvanceTo(_rest.Start, _rest.End);
            _rest = default;
        }
    }

    public static RpcException TooLarge(string size, int limit) =>
        new(new Status(StatusCode.ResourceExhausted, $"A message is {size} bytes; at most {limit} are taken."));

    private static RpcException Broken(string why) => new(new Status(StatusCode.Internal, why));

    private bool TryCut(out ReadOnlySequence<byte> body, out bool compressed, out long wanted)
    {
        body = default;
        compressed = false;
        wanted = GrpcNames.FrameHeaderSize;
        if (_rest.Length < GrpcNames.FrameHeaderSize)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[GrpcNames.FrameHeaderSize];
        scoped ReadOnlySpan<byte> first = _rest.FirstSpan;
        if (first.Length < GrpcNames.FrameHeaderSize)
        {
            _rest.Slice(0, GrpcNames.FrameHeaderSize).CopyTo(header);
            first = header;
        }

        if (first[0] > 1)
        {
            throw Broken("A message does not begin with a compressed flag of 0 or 1.");
        }

        compressed = first[0] == 1;
        uint length = BinaryPrimitives.ReadUInt32BigEndian(first[1..]);
        int limit = maxMessageSize ?? Array.MaxLength - GrpcNames.FrameHeaderSize;
        if (length > (uint)limit)
        {
            throw TooLarge(length.ToString(), limit);
        }

        wanted += length;
        if (_rest.Length < wanted)
        {
            return false;
        }

        body = _rest.Slice(GrpcNames.FrameHeaderSize, length);
        _rest = _rest.Slice(wanted);
        return true;
    }

    private T Decode<T>(ReadOnlySequence<byte> body, bool compressed, Func<DeserializationContext, T> decode)
        where T : class
    {
        PooledBuffer? decompressed = null;
        try
        {
            if (compressed)
            {
                ThrowUnlessGzip();
                decompressed = new PooledBuffer();
                GzipCoding.Decompress(body, decompressed, maxMessageSize);
                body = new ReadOnlySequence<byte>(decompressed.Written);
            }

            _payload.Set(body);
            return decode(_payload);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.Internal, "A message cannot be decoded.", e));
        }
        finally
        {
            _payload.Set(default);
            decompressed?.Dispose();
        }
    }

    private void ThrowUnlessGzip()
    {
        if (encoding is null or GrpcNames.Identity)
        {
            throw Broken("A message is marked as compressed, but no grpc-encoding was named.");
        }

        if (encoding != GrpcNames.Gzip)
        {
            throw new RpcException(new Status(
                StatusCode.Unimplemented, $"The grpc-encoding '{encoding}' is not supported. Supported: {GrpcNames.AcceptedEncodings}."));
        }
    }

    private sealed class Payload : DeserializationContext
    {
        private ReadOnlySequence<byte> _bytes;

        public override int PayloadLength => (int)_bytes.Length;

        public void Set(in ReadOnlySequence<byte> bytes) => _bytes = bytes;

        public override byte[] PayloadAsNewBuffer() => _bytes.ToArray();

        public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => _bytes;
    }
}
