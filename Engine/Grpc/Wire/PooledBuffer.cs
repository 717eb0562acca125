using System.Buffers;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>A growing buffer on pooled arrays. Not thread-safe; whoever creates it disposes it, once.</summary>
internal sealed class PooledBuffer(int initialSize = 256) : IBufferWriter<byte>, IDisposable
{
    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(initialSize);

    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, Length);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(_bytes.Length - Length), nameof(count));
        Length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsMemory(Length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsSpan(Length);
    }

    /// <summary>The first bytes again, to fill in what was not known when they were reserved.</summary>
    public Span<byte> Head(int count) => _bytes.AsSpan(0, count);

    public void Clear() => Length = 0;

    public void Dispose()
    {
        byte[] bytes = Interlocked.Exchange(ref _bytes, []);
        if (bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private void Grow(int sizeHint)
    {
        int free = _bytes.Length - Length;
        int wanted = Math.Max(sizeHint, 1);
        if (free >= wanted)
        {
            return;
        }

        byte[] larger = ArrayPool<byte>.Shared.Rent(checked((int)Math.Min(Math.Max((long)_bytes.Length * 2, (long)Length + wanted), Array.MaxLength)));
        _bytes.AsSpan(0, Length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
