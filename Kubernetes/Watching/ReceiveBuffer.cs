using System.Buffers;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>The bytes of one response that have arrived and are not yet used, in one piece.</summary>
/// <remarks>
/// Grows with the largest object and never beyond what its reader lets it. Gives its array back while it is empty, because most
/// watches are silent most of the time and a process holds tens of thousands of them.
/// </remarks>
internal sealed class ReceiveBuffer(int readBytes) : IDisposable
{
    private byte[] _array = [];
    private int _start;
    private int _end;

    public ReadOnlySpan<byte> Unread => _array.AsSpan(_start, _end - _start);

    public bool IsEmpty => _start == _end;

    /// <summary>Space for one read.</summary>
    public Memory<byte> Free()
    {
        if (_array.Length - _end < readBytes)
        {
            MakeRoom();
        }

        return _array.AsMemory(_end);
    }

    public void Commit(int count) => _end += count;

    public void Consume(int count) => _start += count;

    /// <summary>Gives the array back when nothing is in it.</summary>
    public void ReleaseIfEmpty()
    {
        if (IsEmpty)
        {
            Dispose();
        }
    }

    public void Dispose()
    {
        if (_array.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_array);
        }

        _array = [];
        _start = _end = 0;
    }

    private void MakeRoom()
    {
        int kept = _end - _start;
        byte[] target = _array;
        // Moving is cheap while the rest is small against the array; else doubling keeps the cost of moving constant per byte.
        if (_array.Length < kept + (2 * readBytes))
        {
            target = ArrayPool<byte>.Shared.Rent(Math.Max(4 * readBytes, 2 * (kept + readBytes)));
        }

        Unread.CopyTo(target);
        if (target != _array)
        {
            if (_array.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_array);
            }

            _array = target;
        }

        _start = 0;
        _end = kept;
    }
}
