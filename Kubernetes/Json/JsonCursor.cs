using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MultiCluster.Kubernetes.Json;

/// <summary>A forward, validating reader over one JSON text in UTF-8 that skips what nobody asked for at vector speed.</summary>
/// <remarks>
/// What is skipped with <see cref="SkipValue"/> is checked against the whole JSON grammar, because the bytes are handed on
/// as they are: one bad object would make every list that holds it unreadable. Only <see cref="SkipBalanced"/>, for what is
/// thrown away, counts brackets and nothing else. Every fault is a <see cref="FormatException"/> with an offset and without content.
/// </remarks>
internal ref struct JsonCursor
{
    // Go's decoder stops at 10,000 and Utf8JsonReader at 64; the deepest CRD schemas known stay below 100.
    public const int MaxDepth = 1024;

    private readonly ReadOnlySpan<byte> _json;
    private readonly Span<ulong> _nesting;
    private int _pos;

    /// <param name="json">The text.</param>
    /// <param name="nesting">Scratch of at least <see cref="MaxDepth"/> bits.</param>
    public JsonCursor(ReadOnlySpan<byte> json, Span<ulong> nesting)
    {
        _json = json;
        _nesting = nesting;
        _pos = 0;
    }

    public readonly int Position => _pos;

    public readonly FormatException Fault(string what) => new($"Not a usable JSON object at byte {_pos}: {what}.");

    /// <summary>The next byte that is no white space, without taking it; 0 at the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte Peek()
    {
        if ((uint)_pos < (uint)_json.Length)
        {
            byte next = _json[_pos];
            return next > ' ' ? next : PeekPastWhitespace();
        }

        return 0;
    }

    private byte PeekPastWhitespace()
    {
        while ((uint)_pos < (uint)_json.Length)
        {
            byte next = _json[_pos];
            if (next is not ((byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r'))
            {
                return next;
            }

            _pos++;
        }

        return 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Expect(byte token, string what)
    {
        if (Peek() != token)
        {
            throw Fault(what);
        }

        _pos++;
    }

    /// <summary>Enters an object; false when it is empty, and then it is behind us.</summary>
    public bool EnterObject() => Enter((byte)'{', (byte)'}', "an object was expected");

    /// <summary>Enters an array; false when it is empty, and then it is behind us.</summary>
    public bool EnterArray() => Enter((byte)'[', (byte)']', "an array was expected");

    private bool Enter(byte open, byte close, string what)
    {
        Expect(open, what);
        if (Peek() != close)
        {
            return true;
        }

        _pos++;
        return false;
    }

    /// <summary>After a member's value: true when another member follows, false when the object has ended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool NextMember() => Next((byte)'}');

    /// <summary>After an element: true when another follows, false when the array has ended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool NextElement() => Next((byte)']');

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Next(byte close)
    {
        byte next = Peek();
        if (next != ',' && next != close)
        {
            throw Fault("a comma or the closing bracket was expected");
        }

        _pos++;
        return next == ',';
    }

    /// <summary>Reads a member's name and the colon behind it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public RawText ReadName()
    {
        RawText name = ReadString();
        Expect((byte)':', "a colon was expected");
        return name;
    }

    /// <summary>Reads a string and leaves escapes as they are.</summary>
    public RawText ReadString()
    {
        Expect((byte)'"', "a string was expected");
        int start = _pos;
        bool escaped = SkipStringBody();
        return new RawText(start, _pos - 1 - start, escaped);
    }

    /// <summary>Steps over one value of any type and checks all of it.</summary>
    public void SkipValue()
    {
        byte next = Peek();
        switch (next)
        {
            case (byte)'"':
                _pos++;
                SkipStringBody();
                break;
            case (byte)'{':
            case (byte)'[':
                SkipContainer();
                break;
            default:
                SkipScalar(next);
                break;
        }
    }

    /// <summary>Fails unless nothing but white space is left.</summary>
    public void ExpectEnd()
    {
        if (Peek() != 0 || _pos < _json.Length)
        {
            throw Fault("something follows the object");
        }
    }

    /// <summary>Reads an integer; any other value is stepped over and answers false.</summary>
    public bool TryReadInteger(out long value)
    {
        value = 0;
        byte next = Peek();
        if (next is not ((byte)'-' or (>= (byte)'0' and <= (byte)'9')))
        {
            SkipValue();
            return false;
        }

        int start = _pos;
        SkipNumber();
        return System.Buffers.Text.Utf8Parser.TryParse(_json[start.._pos], out value, out int used) && used == _pos - start;
    }

    /// <summary>Reads true or false; any other value is stepped over and answers false.</summary>
    public bool ReadTrue()
    {
        bool isTrue = Peek() == 't';
        SkipValue();
        return isTrue;
    }

    private void SkipContainer()
    {
        int depth = 0;
        bool inObject;

    Open:
        inObject = _json[_pos] == '{';
        if (depth == MaxDepth)
        {
            throw Fault("nested too deeply");
        }

        ref ulong word = ref _nesting[depth >> 6];
        ulong bit = 1UL << (depth & 63);
        word = inObject ? word | bit : word & ~bit;
        depth++;
        _pos++;
        if (Peek() == (inObject ? (byte)'}' : (byte)']'))
        {
            _pos++;
            goto Closed;
        }

        if (!inObject)
        {
            goto Value;
        }

    Name:
        Expect((byte)'"', "a member name was expected");
        SkipStringBody();
        Expect((byte)':', "a colon was expected");

    Value:
        byte next = Peek();
        if (next == '"')
        {
            _pos++;
            SkipStringBody();
        }
        else if (next is (byte)'{' or (byte)'[')
        {
            goto Open;
        }
        else
        {
            SkipScalar(next);
        }

    AfterValue:
        next = Peek();
        if (next == ',')
        {
            _pos++;
            if (inObject)
            {
                goto Name;
            }

            goto Value;
        }

        if (next != (inObject ? (byte)'}' : (byte)']'))
        {
            throw Fault("a comma or the closing bracket was expected");
        }

        _pos++;

    Closed:
        if (--depth == 0)
        {
            return;
        }

        inObject = (_nesting[(depth - 1) >> 6] & (1UL << ((depth - 1) & 63))) != 0;
        goto AfterValue;
    }

    private void SkipScalar(byte first)
    {
        switch (first)
        {
            case (byte)'t':
                SkipLiteral("true"u8);
                break;
            case (byte)'f':
                SkipLiteral("false"u8);
                break;
            case (byte)'n':
                SkipLiteral("null"u8);
                break;
            case (byte)'-':
            case >= (byte)'0' and <= (byte)'9':
                SkipNumber();
                break;
            default:
                throw Fault("a value was expected");
        }
    }

    private void SkipLiteral(ReadOnlySpan<byte> literal)
    {
        if (!_json[_pos..].StartsWith(literal))
        {
            throw Fault("a value was expected");
        }

        _pos += literal.Length;
    }

    private void SkipNumber()
    {
        if (_json[_pos] == '-')
        {
            _pos++;
        }

        if (At(_pos) == '0')
        {
            _pos++;
        }
        else
        {
            SkipDigits();
        }

        if (At(_pos) == '.')
        {
            _pos++;
            SkipDigits();
        }

        if ((At(_pos) | 0x20) == 'e')
        {
            _pos++;
            if (At(_pos) is (byte)'+' or (byte)'-')
            {
                _pos++;
            }

            SkipDigits();
        }
    }

    private void SkipDigits()
    {
        int start = _pos;
        while (char.IsAsciiDigit((char)At(_pos)))
        {
            _pos++;
        }

        if (_pos == start)
        {
            throw Fault("a digit was expected");
        }
    }

    private readonly byte At(int position) => (uint)position < (uint)_json.Length ? _json[position] : (byte)0;

    /// <summary>From behind the opening quote to behind the closing one; true when there were escapes.</summary>
    private bool SkipStringBody()
    {
        bool escaped = false;
        while (true)
        {
            _pos = EndOfPlainText(_pos);
            switch (_json[_pos])
            {
                case (byte)'"':
                    _pos++;
                    return escaped;
                case (byte)'\\':
                    escaped = true;
                    SkipEscape();
                    break;
                default:
                    throw Fault("a control character in a string");
            }
        }
    }

    /// <summary>Position of the next quote, backslash or control character.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly int EndOfPlainText(int position)
    {
        ref byte start = ref MemoryMarshal.GetReference(_json);
        while (position <= _json.Length - Vector128<byte>.Count)
        {
            Vector128<byte> chunk = Vector128.LoadUnsafe(ref start, (nuint)position);
            uint stops = (Vector128.Equals(chunk, Vector128.Create((byte)'"'))
                | Vector128.Equals(chunk, Vector128.Create((byte)'\\'))
                | Vector128.LessThan(chunk, Vector128.Create((byte)' '))).ExtractMostSignificantBits();
            if (stops != 0)
            {
                return position + BitOperations.TrailingZeroCount(stops);
            }

            position += Vector128<byte>.Count;
        }

        while ((uint)position < (uint)_json.Length)
        {
            byte next = _json[position];
            if (next is (byte)'"' or (byte)'\\' or < (byte)' ')
            {
                return position;
            }

            position++;
        }

        throw new FormatException($"Not a usable JSON object at byte {position}: it ends inside a string.");
    }

    private void SkipEscape()
    {
        switch (At(_pos + 1))
        {
            case (byte)'"' or (byte)'\\' or (byte)'/' or (byte)'b' or (byte)'f' or (byte)'n' or (byte)'r' or (byte)'t':
                _pos += 2;
                break;
            case (byte)'u' when IsHex(_pos + 2) && IsHex(_pos + 3) && IsHex(_pos + 4) && IsHex(_pos + 5):
                SkipCodeUnit();
                break;
            default:
                throw Fault("an escape that JSON does not know");
        }
    }

    /// <summary>Steps over an escaped code unit, both of them where they are a pair.</summary>
    /// <remarks>Half a pair is JSON by its grammar but no text: every reader behind us would stumble over it, each in its own way.</remarks>
    private void SkipCodeUnit()
    {
        int unit = CodeUnitAt(_pos);
        bool isPair = unit is >= 0xD800 and <= 0xDBFF
            && At(_pos + 6) == '\\' && At(_pos + 7) == 'u'
            && IsHex(_pos + 8) && IsHex(_pos + 9) && IsHex(_pos + 10) && IsHex(_pos + 11)
            && CodeUnitAt(_pos + 6) is >= 0xDC00 and <= 0xDFFF;
        if (!isPair && unit is >= 0xD800 and <= 0xDFFF)
        {
            throw Fault("half a surrogate pair");
        }

        _pos += isPair ? 12 : 6;
    }

    private readonly int CodeUnitAt(int escape)
    {
        _ = System.Buffers.Text.Utf8Parser.TryParse(_json.Slice(escape + 2, 4), out int unit, out _, 'x');
        return unit;
    }

    private readonly bool IsHex(int position) => char.IsAsciiHexDigit((char)At(position));

    /// <summary>Steps over an object or array by counting brackets outside strings, and checks nothing else; any other value as <see cref="SkipValue"/>.</summary>
    public void SkipBalanced()
    {
        if (Peek() is not ((byte)'{' or (byte)'['))
        {
            SkipValue();
            return;
        }

        _pos += BalancedSpan.Length(_json[_pos..]) is var length and > 0
            ? length
            : throw new FormatException($"Not a usable JSON object at byte {_json.Length}: it ends before its brackets are closed.");
    }
}

/// <summary>A string inside the text that was read: where it is, and whether escapes are still in it.</summary>
internal readonly record struct RawText(int Start, int Length, bool Escaped);
