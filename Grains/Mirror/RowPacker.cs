using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MultiCluster.Grains.Mirror;

/// <summary>Packs the JSON of an object against that of another one: what both have is copied by reference, the rest is kept as it is.</summary>
/// <remarks>
/// <para>The format is a run of tokens, each with literal bytes and a copy. Siblings differ in values of mostly the same length, so
/// the source of a copy is written as its distance from where the base would go on after the literals: one zero byte nearly
/// always. Before the object's own text stand its uid and key, which its columns hold anyway.</para>
/// <para>Token: literal count in the high and copy length less 4 in the low nibble, 15 meaning that the rest follows as a varint
/// (behind the token for literals, behind the source for copies); literals; source as a varint: even, a zigzag distance in the base;
/// odd, a distance back from here. The last token has literals only. Nothing is entropy coded: unpacking runs at memory speed.</para>
/// <para>Not thread-safe. One per thread, because the index of the last base is kept: pods of one owner arrive one after the other.</para>
/// </remarks>
internal sealed class RowPacker
{
    internal const int MinCopy = 4;

    // A copy from elsewhere than the expected place costs three to four bytes, and one from there two.
    private const int MinStrayCopy = 7;
    private const int BaseTableBits = 13;
    private const int OwnTableBits = 11;

    [ThreadStatic]
    private static RowPacker? _ofThisThread;

    private readonly int[] _baseTable = new int[1 << BaseTableBits];
    private readonly int[] _ownTable = new int[1 << OwnTableBits];
    private byte[] _window = new byte[32 * 1024];
    private byte[] _packed = new byte[8 * 1024];
    private MirrorRow? _basis;
    private int _baseLength;
    private int _prefaceLength;
    private int _textLength;

    public static RowPacker OfThisThread => _ofThisThread ??= new RowPacker();

    /// <summary>Makes room for an object's text.</summary>
    /// <returns>Where the caller writes the text.</returns>
    public Span<byte> Stage(int textLength)
    {
        _textLength = textLength;
        Reserve(ref _window, _baseLength + _prefaceLength + textLength);
        return _window.AsSpan(_baseLength + _prefaceLength, textLength);
    }

    /// <summary>Chooses the base and the preface. Call it before <see cref="Stage"/>.</summary>
    /// <param name="basis">The row to pack against, or null for none.</param>
    /// <param name="preface">What the reader will know of the object before it unpacks it; see <see cref="RowPreface"/>.</param>
    public void Begin(MirrorRow? basis, ReadOnlySpan<byte> preface)
    {
        if (!ReferenceEquals(basis, _basis))
        {
            _basis = null;   // stays so when unpacking fails
            _baseLength = basis?.JsonLength ?? 0;
            Reserve(ref _window, _baseLength + preface.Length);
            Array.Clear(_baseTable);
            if (basis is not null)
            {
                RowUnpacker.OfThisThread.Unpack(basis, _window.AsSpan(0, _baseLength));
                Index();
            }

            _basis = basis;
        }

        _prefaceLength = preface.Length;
        Reserve(ref _window, _baseLength + _prefaceLength);
        preface.CopyTo(_window.AsSpan(_baseLength));
    }

    /// <summary>The staged text.</summary>
    public ReadOnlySpan<byte> Text => _window.AsSpan(_baseLength + _prefaceLength, _textLength);

    /// <summary>Packs the staged text.</summary>
    /// <returns>The packed bytes, valid until the next call; empty when packing would not make it smaller.</returns>
    public ReadOnlySpan<byte> Pack()
    {
        // The worst case is one token of literals: their length as a varint in front.
        Reserve(ref _packed, _textLength + 16);
        Array.Clear(_ownTable);
        int length = Encode(_window, _baseLength, _baseLength + _prefaceLength, _baseLength + _prefaceLength + _textLength);
        return length < 0 ? default : _packed.AsSpan(0, length);
    }

    private static void Reserve(ref byte[] buffer, int length)
    {
        if (buffer.Length < length)
        {
            Array.Resize(ref buffer, (int)BitOperations.RoundUpToPowerOf2((uint)length));
        }
    }

    private void Index()
    {
        ref byte window = ref MemoryMarshal.GetArrayDataReference(_window);
        for (int at = 0; at <= _baseLength - MinCopy; at++)
        {
            _baseTable[Hash(Word(ref window, at), BaseTableBits)] = at + 1;
        }
    }

    private int Encode(byte[] windowBytes, int baseLength, int start, int end)
    {
        ref byte window = ref MemoryMarshal.GetArrayDataReference(windowBytes);
        for (int at = baseLength; at <= start - MinCopy; at++)
        {
            _ownTable[Hash(Word(ref window, at), OwnTableBits)] = at + 1;
        }

        int position = start;
        int anchor = start;
        int expected = 0;   // where the base would go on
        int written = 0;
        while (position <= end - MinCopy)
        {
            uint word = Word(ref window, position);
            int source;
            int length;
            if (expected <= baseLength - MinCopy && Word(ref window, expected) == word)
            {
                source = expected;
                length = CommonLength(windowBytes, source, position, Math.Min(baseLength - source, end - position));
            }
            else
            {
                length = FindCopy(windowBytes, word, position, baseLength, start, end, out source);
                _ownTable[Hash(word, OwnTableBits)] = position + 1;
                if (length < MinStrayCopy)
                {
                    position++;
                    expected++;
                    continue;
                }
            }

            // A copy from the object's own text must stay shorter than its distance, or it would read what it is about to write.
            int floor = source < baseLength ? 0 : source < start ? baseLength : start;
            int longest = source < start ? int.MaxValue : position - source;
            while (position > anchor && source > floor && length < longest && windowBytes[position - 1] == windowBytes[source - 1])
            {
                position--;
                source--;
                expected--;
                length++;
            }

            bool fromBase = source < baseLength;
            uint code = fromBase ? ZigZag(source - expected) << 1 : (uint)(position - source) << 1 | 1;
            if (!TryEmit(ref written, windowBytes.AsSpan(anchor, position - anchor), code, length))
            {
                return -1;
            }

            position += length;
            expected = fromBase ? source + length : expected + length;
            anchor = position;
        }

        if (anchor < end && !TryEmitLast(ref written, windowBytes.AsSpan(anchor, end - anchor)))
        {
            return -1;
        }

        return written < _textLength ? written : -1;
    }

    /// <summary>Length of the better of the copies that the tables offer; 0 when they offer none.</summary>
    private int FindCopy(byte[] windowBytes, uint word, int position, int baseLength, int start, int end, out int source)
    {
        ref byte window = ref MemoryMarshal.GetArrayDataReference(windowBytes);
        int best = 0;
        source = 0;
        int inBase = _baseTable[Hash(word, BaseTableBits)] - 1;
        if (inBase >= 0 && Word(ref window, inBase) == word)
        {
            best = CommonLength(windowBytes, inBase, position, Math.Min(baseLength - inBase, end - position));
            source = inBase;
        }

        int own = _ownTable[Hash(word, OwnTableBits)] - 1;
        if (own >= 0 && own <= position - MinCopy && Word(ref window, own) == word)
        {
            // A copy neither overlaps itself nor crosses from the preface into the text, so that unpacking is plain copying.
            int bound = own < start ? start - own : position - own;
            int length = CommonLength(windowBytes, own, position, Math.Min(bound, end - position));
            if (length > best)
            {
                best = length;
                source = own;
            }
        }

        return best;
    }

    private bool TryEmit(ref int written, ReadOnlySpan<byte> literals, uint code, int length)
    {
        // Twice five bytes of varints behind the literals and five before them.
        if (_packed.Length - written < literals.Length + 16)
        {
            return false;
        }

        int copy = length - MinCopy;
        int at = written;
        _packed[at++] = (byte)(Math.Min(literals.Length, 15) << 4 | Math.Min(copy, 15));
        at = EmitLiterals(at, literals);
        at = EmitVarint(at, code);
        if (copy >= 15)
        {
            at = EmitVarint(at, (uint)(copy - 15));
        }

        written = at;
        return true;
    }

    private bool TryEmitLast(ref int written, ReadOnlySpan<byte> literals)
    {
        if (_packed.Length - written < literals.Length + 6)
        {
            return false;
        }

        _packed[written] = (byte)(Math.Min(literals.Length, 15) << 4);
        written = EmitLiterals(written + 1, literals);
        return true;
    }

    private int EmitLiterals(int at, ReadOnlySpan<byte> literals)
    {
        if (literals.Length >= 15)
        {
            at = EmitVarint(at, (uint)(literals.Length - 15));
        }

        literals.CopyTo(_packed.AsSpan(at));
        return at + literals.Length;
    }

    private int EmitVarint(int at, uint value)
    {
        while (value >= 0x80)
        {
            _packed[at++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _packed[at++] = (byte)value;
        return at;
    }

    private static int CommonLength(byte[] window, int source, int position, int bound) =>
        window.AsSpan(source, bound).CommonPrefixLength(window.AsSpan(position, bound));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Word(ref byte window, int at) => Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref window, at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Hash(uint word, int bits) => (int)(word * 2654435761u >> (32 - bits));

    private static uint ZigZag(int value) => (uint)(value << 1 ^ value >> 31);
}

/// <summary>What stands before an object's text when it is packed: its uid and key, which its columns hold anyway.</summary>
internal static class RowPreface
{
    public static int LengthFor(int keyLength, bool isForeignUid) => keyLength + (isForeignUid ? 0 : ObjectUid.TextLength);

    public static void Write(ObjectUid uid, bool isForeignUid, ReadOnlySpan<byte> key, Span<byte> destination)
    {
        if (!isForeignUid)
        {
            uid.Format(destination);
            destination = destination[ObjectUid.TextLength..];
        }

        key.CopyTo(destination);
    }
}
