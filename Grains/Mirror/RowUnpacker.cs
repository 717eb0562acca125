using System.Numerics;

namespace MultiCluster.Grains.Mirror;

/// <summary>Unpacks what <see cref="RowPacker"/> packed.</summary>
/// <remarks>
/// Keeps the text of the last base: rows are read in key order, in which siblings are neighbours. Not thread-safe; one per thread.
/// Bytes that no packer wrote are refused with <see cref="InvalidDataException"/> and never read or written outside the spans given.
/// </remarks>
internal sealed class RowUnpacker
{
    [ThreadStatic]
    private static RowUnpacker? _ofThisThread;

    private byte[] _base = new byte[8 * 1024];
    private MirrorRow? _basis;

    public static RowUnpacker OfThisThread => _ofThisThread ??= new RowUnpacker();

    /// <summary>Writes the text of <paramref name="row"/> to <paramref name="text"/>, whose length must be the row's.</summary>
    public void Unpack(MirrorRow row, Span<byte> text)
    {
        if (row.IsRaw)
        {
            row.Packed.CopyTo(text);
            return;
        }

        ReadOnlySpan<byte> basis = row.Basis switch
        {
            null => default,
            { IsRaw: true } raw => raw.Packed,
            { } packed => TextOf(packed),
        };
        Span<byte> preface = stackalloc byte[RowPreface.LengthFor(row.Key.Length, row.IsForeignUid)];
        RowPreface.Write(row.Uid, row.IsForeignUid, row.Key, preface);
        Unpack(row.Packed, basis, preface, text);
    }

    private ReadOnlySpan<byte> TextOf(MirrorRow basis)
    {
        if (!ReferenceEquals(_basis, basis))
        {
            _basis = null;   // stays so when unpacking fails
            if (_base.Length < basis.JsonLength)
            {
                _base = new byte[BitOperations.RoundUpToPowerOf2((uint)basis.JsonLength)];
            }

            // A base is packed against a raw row or nothing, never against a third one: this recursion ends here.
            Unpack(basis, _base.AsSpan(0, basis.JsonLength));
            _basis = basis;
        }

        return _base.AsSpan(0, basis.JsonLength);
    }

    /// <summary>Unpacks <paramref name="packed"/> to exactly the length of <paramref name="text"/>.</summary>
    internal static void Unpack(ReadOnlySpan<byte> packed, ReadOnlySpan<byte> basis, ReadOnlySpan<byte> preface, Span<byte> text)
    {
        int read = 0;
        int written = 0;
        int expected = 0;
        while (written < text.Length)
        {
            if (read >= packed.Length)
            {
                throw Corrupt();
            }

            byte token = packed[read++];
            int literals = token >> 4;
            if (literals == 15)
            {
                literals = Lengthen(15, ReadVarint(packed, ref read));
            }

            if (literals > packed.Length - read || literals > text.Length - written)
            {
                throw Corrupt();
            }

            packed.Slice(read, literals).CopyTo(text[written..]);
            read += literals;
            written += literals;
            expected += literals;
            if (written == text.Length)
            {
                break;
            }

            uint code = ReadVarint(packed, ref read);
            int copy = (token & 15) + RowPacker.MinCopy;
            if ((token & 15) == 15)
            {
                copy = Lengthen(copy, ReadVarint(packed, ref read));
            }

            ReadOnlySpan<byte> from;
            if ((code & 1) == 0)
            {
                uint zigzag = code >> 1;
                long source = expected + (int)(zigzag >> 1 ^ (uint)-(int)(zigzag & 1));
                from = Within(basis, source, copy);
                expected = (int)source + copy;
            }
            else
            {
                long source = (long)written - (code >> 1);
                from = source < 0 ? Within(preface, source + preface.Length, copy) : Within(text[..written], source, copy);
                expected += copy;
            }

            if (copy > text.Length - written)
            {
                throw Corrupt();
            }

            from.CopyTo(text[written..]);
            written += copy;
        }

        if (read != packed.Length)
        {
            throw Corrupt();
        }
    }

    private static ReadOnlySpan<byte> Within(ReadOnlySpan<byte> bytes, long start, int length) =>
        start >= 0 && start <= bytes.Length - length ? bytes.Slice((int)start, length) : throw Corrupt();

    private static int Lengthen(int length, uint more) => more <= int.MaxValue / 2 ? length + (int)more : throw Corrupt();

    private static uint ReadVarint(ReadOnlySpan<byte> packed, ref int read)
    {
        uint value = 0;
        for (int shift = 0; shift < 35; shift += 7)
        {
            if ((uint)read >= (uint)packed.Length)
            {
                break;
            }

            byte next = packed[read++];
            value |= (uint)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw Corrupt();
    }

    private static InvalidDataException Corrupt() => new("A packed row does not unpack: its bytes are not what was written.");
}
