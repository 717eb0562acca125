using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>Finds where one JSON object or array ends, in text that arrives piece by piece.</summary>
/// <remarks>
/// <para>Works on 64 bytes at a time as bit masks: quotes and backslashes give the bytes inside strings, and brackets outside of
/// them give the depth. A block whose closing brackets cannot bring the depth to zero is only counted. It checks nothing but
/// that brackets balance; <c>{</c> and <c>[</c> count as the same, since they differ in one bit.</para>
/// <para>A mutable struct: the owner keeps it for one value and calls <see cref="Reset"/> before the next.</para>
/// </remarks>
internal struct JsonValueEnd
{
    private const int BlockBytes = 64;

    private int _scanned;
    private int _depth;
    private ulong _inString;   // all ones when the text before _scanned ends inside a string
    private ulong _escaped;    // 1 when the byte at _scanned is escaped

    public void Reset() => this = default;

    /// <summary>Looks on from where the last call stopped.</summary>
    /// <param name="value">All bytes that there are so far, from the value's first bracket on.</param>
    /// <returns>Length of the value; -1 when it goes on beyond the bytes.</returns>
    public int Find(ReadOnlySpan<byte> value)
    {
        ref byte start = ref MemoryMarshal.GetReference(value);
        while (value.Length - _scanned >= BlockBytes)
        {
            int end = FindInBlock(ref Unsafe.Add(ref start, _scanned));
            if (end >= 0)
            {
                return _scanned + end;
            }

            _scanned += BlockBytes;
        }

        // The rest is tried on a copy of the state, because its bytes come again with the next call.
        Span<byte> block = stackalloc byte[BlockBytes];
        block.Clear();
        value[_scanned..].CopyTo(block);
        JsonValueEnd probe = this;
        int found = probe.FindInBlock(ref MemoryMarshal.GetReference(block));
        return found < 0 ? -1 : _scanned + found;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int FindInBlock(ref byte block)
    {
        Vector256<byte> low = Vector256.LoadUnsafe(ref block);
        Vector256<byte> high = Vector256.LoadUnsafe(ref block, 32);
        ulong escaped = Escaped(Mask(low, high, (byte)'\\'));
        ulong quotes = Mask(low, high, (byte)'"') & ~escaped;
        ulong inString = ParityOfBitsBelow(quotes) ^ _inString;
        _inString = (ulong)((long)inString >> 63);

        var fold = Vector256.Create((byte)0x20);   // '[' and ']' become '{' and '}'
        Vector256<byte> lowFolded = low | fold;
        Vector256<byte> highFolded = high | fold;
        ulong opens = Mask(lowFolded, highFolded, (byte)'{') & ~inString;
        ulong closes = Mask(lowFolded, highFolded, (byte)'}') & ~inString;
        int closing = BitOperations.PopCount(closes);
        if (_depth > closing)
        {
            _depth += BitOperations.PopCount(opens) - closing;
            return -1;
        }

        return Walk(opens, closes);
    }

    private int Walk(ulong opens, ulong closes)
    {
        ulong brackets = opens | closes;
        while (brackets != 0)
        {
            ulong lowest = brackets & (~brackets + 1);
            if ((opens & lowest) != 0)
            {
                _depth++;
            }
            else if (--_depth <= 0)
            {
                return BitOperations.TrailingZeroCount(lowest) + 1;
            }

            brackets ^= lowest;
        }

        return -1;
    }

    /// <summary>The bytes that a backslash before them takes the meaning from; every second one in a run of backslashes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Escaped(ulong backslashes)
    {
        if (backslashes == 0)
        {
            ulong only = _escaped;
            _escaped = 0;
            return only;
        }

        // A run of backslashes that starts at an even (odd) place has its escaping ones at even (odd) places. Adding the starts
        // of one parity to the runs lets a carry ripple through them, which leaves the parity of each place against its run.
        const ulong even = 0x5555_5555_5555_5555;
        backslashes &= ~_escaped;
        ulong follows = (backslashes << 1) | _escaped;
        ulong oddStarts = backslashes & ~even & ~follows;
        ulong rippled = oddStarts + backslashes;
        _escaped = rippled < backslashes ? 1UL : 0UL;   // the carry out of the block
        return (even ^ (rippled << 1)) & follows;
    }

    /// <summary>Bit i is set when an odd number of bits at or below i is set: from each opening quote up to its closing one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong ParityOfBitsBelow(ulong bits)
    {
        bits ^= bits << 1;
        bits ^= bits << 2;
        bits ^= bits << 4;
        bits ^= bits << 8;
        bits ^= bits << 16;
        bits ^= bits << 32;
        return bits;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mask(Vector256<byte> low, Vector256<byte> high, byte wanted)
    {
        var pattern = Vector256.Create(wanted);
        return Vector256.Equals(low, pattern).ExtractMostSignificantBits()
            | ((ulong)Vector256.Equals(high, pattern).ExtractMostSignificantBits() << 32);
    }
}
