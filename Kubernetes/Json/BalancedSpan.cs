using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MultiCluster.Kubernetes.Json;

/// <summary>Finds the end of a JSON object or array by bracket counts, 64 bytes at a time.</summary>
/// <remarks>
/// Strings and escapes are honoured; kinds of brackets, commas and values are not looked at. Half of what an API server sends
/// is <c>managedFields</c>, which we throw away, so it must cost next to nothing.
/// </remarks>
internal static class BalancedSpan
{
    /// <summary>Length of the object or array at the start of <paramref name="json"/>; -1 when it does not end there.</summary>
    public static int Length(ReadOnlySpan<byte> json)
    {
        Span<byte> tail = stackalloc byte[64];
        ulong insideString = 0;   // all ones while a string goes on from the block before
        bool escapeOpen = false;  // the block before ended in a backslash that escapes our first byte
        int depth = 0;
        for (int offset = 0; offset < json.Length; offset += 64)
        {
            scoped ReadOnlySpan<byte> block = json[offset..];
            if (block.Length < 64)
            {
                tail.Fill((byte)' ');
                block.CopyTo(tail);
                block = tail;
            }

            Classify(block, out ulong quotes, out ulong backslashes, out ulong opens, out ulong closes);
            if (backslashes != 0 || escapeOpen)
            {
                quotes &= ~Escaped(backslashes, ref escapeOpen);
            }

            ulong strings = PrefixXor(quotes) ^ insideString;
            insideString = (ulong)((long)strings >> 63);
            opens &= ~strings;
            closes &= ~strings;
            int closing = BitOperations.PopCount(closes);
            if (closing < depth)
            {
                depth += BitOperations.PopCount(opens) - closing;
                continue;
            }

            for (ulong brackets = opens | closes; brackets != 0; brackets &= brackets - 1)
            {
                int at = BitOperations.TrailingZeroCount(brackets);
                depth += (opens >> at & 1) != 0 ? 1 : -1;
                if (depth == 0)
                {
                    return offset + at + 1;
                }
            }
        }

        return -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Classify(ReadOnlySpan<byte> block, out ulong quotes, out ulong backslashes, out ulong opens, out ulong closes)
    {
        ref byte start = ref MemoryMarshal.GetReference(block);
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<byte> bytes = Vector512.LoadUnsafe(ref start);
            Vector512<byte> folded = bytes | Vector512.Create((byte)0x20);   // '[' and '{' differ in this bit alone, as do ']' and '}'
            quotes = Vector512.Equals(bytes, Vector512.Create((byte)'"')).ExtractMostSignificantBits();
            backslashes = Vector512.Equals(bytes, Vector512.Create((byte)'\\')).ExtractMostSignificantBits();
            opens = Vector512.Equals(folded, Vector512.Create((byte)'{')).ExtractMostSignificantBits();
            closes = Vector512.Equals(folded, Vector512.Create((byte)'}')).ExtractMostSignificantBits();
            return;
        }

        quotes = backslashes = opens = closes = 0;
        for (int part = 0; part < 64; part += Vector256<byte>.Count)
        {
            Vector256<byte> bytes = Vector256.LoadUnsafe(ref start, (nuint)part);
            Vector256<byte> folded = bytes | Vector256.Create((byte)0x20);
            quotes |= (ulong)Vector256.Equals(bytes, Vector256.Create((byte)'"')).ExtractMostSignificantBits() << part;
            backslashes |= (ulong)Vector256.Equals(bytes, Vector256.Create((byte)'\\')).ExtractMostSignificantBits() << part;
            opens |= (ulong)Vector256.Equals(folded, Vector256.Create((byte)'{')).ExtractMostSignificantBits() << part;
            closes |= (ulong)Vector256.Equals(folded, Vector256.Create((byte)'}')).ExtractMostSignificantBits() << part;
        }
    }

    private static ulong Escaped(ulong backslashes, ref bool escapeOpen)
    {
        ulong escaped = 0;
        if (escapeOpen)
        {
            escaped = 1;
            backslashes &= ~1UL;
            escapeOpen = false;
        }

        while (backslashes != 0)
        {
            int at = BitOperations.TrailingZeroCount(backslashes);
            if (at == 63)
            {
                escapeOpen = true;
                break;
            }

            escaped |= 2UL << at;
            backslashes &= ~(3UL << at);   // an escaped backslash escapes nothing
        }

        return escaped;
    }

    /// <summary>Bit n of the answer is the parity of bits 0 to n: with quotes as input, one from each opening quote up to its closing one.</summary>
    private static ulong PrefixXor(ulong bits)
    {
        if (Pclmulqdq.IsSupported)
        {
            return Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(bits), Vector128<ulong>.AllBitsSet, 0).ToScalar();
        }

        bits ^= bits << 1;
        bits ^= bits << 2;
        bits ^= bits << 4;
        bits ^= bits << 8;
        bits ^= bits << 16;
        return bits ^ (bits << 32);
    }
}
