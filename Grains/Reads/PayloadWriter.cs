using System.Buffers;

namespace MultiCluster.Grains.Reads;

/// <summary>Collects the JSON of one answer in one array.</summary>
/// <remarks>Not an <see cref="ArrayBufferWriter{T}"/> because the array itself is handed out, without a copy when it is full.</remarks>
internal sealed class PayloadWriter(int capacity) : IBufferWriter<byte>
{
    private byte[] _bytes = capacity == 0 ? [] : GC.AllocateUninitializedArray<byte>(capacity);

    /// <summary>Bytes written.</summary>
    public int Length { get; private set; }

    /// <summary>Takes back what was written behind this length.</summary>
    public void Truncate(int length) => Length = Math.Min(Length, length);

    /// <summary>What was written behind an offset.</summary>
    public ReadOnlySpan<byte> From(int offset) => _bytes.AsSpan(offset, Length - offset);

    /// <inheritdoc/>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _bytes.Length - Length);
        Length += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsMemory(Length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsSpan(Length);
    }

    /// <summary>The payload, at its exact length. The writer must not be used afterwards.</summary>
    public byte[] ToPayload()
    {
        if (_bytes.Length != Length)
        {
            Array.Resize(ref _bytes, Length);
        }

        return _bytes;
    }

    private void Grow(int more)
    {
        more = Math.Max(more, 1);
        if (_bytes.Length - Length < more)
        {
            Array.Resize(ref _bytes, (int)Math.Min(Array.MaxLength, Math.Max((long)_bytes.Length * 2, Length + (long)more + 256)));
        }
    }
}
