using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace MultiCluster.Kubernetes.Json;

/// <summary>A forward reader over JSON that was checked when it came in: what nobody asks for is stepped over by its brackets and quotes alone.</summary>
/// <remarks>
/// Never reads outside the text. Where it looks, a fault is a <see cref="JsonException"/> without content; what it steps over is not checked
/// again. For text that comes from a member there is <see cref="JsonCursor"/>, which checks everything.
/// </remarks>
internal ref struct JsonSkim(ReadOnlySpan<byte> json)
{
    private static readonly SearchValues<byte> AfterScalar = SearchValues.Create(",]} \t\r\n"u8);

    private readonly ReadOnlySpan<byte> _json = json;
    private int _pos;

    /// <summary>The next byte that is no white space, without taking it; 0 at the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte Peek()
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

    /// <summary>Enters the object or array that is next; false when it is empty, and then it is behind us.</summary>
    public bool Enter(byte close)
    {
        _pos++;
        if (Peek() != close)
        {
            return true;
        }

        _pos++;
        return false;
    }

    /// <summary>After a member or an element: true when another follows, false when the object or array has ended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Next(byte close)
    {
        byte next = Peek();
        if (next != ',' && next != close)
        {
            throw new JsonException("Neither a comma nor the closing bracket follows a value.");
        }

        _pos++;
        return next == ',';
    }

    /// <summary>Reads a member's name, quotes included, and the colon behind it.</summary>
    public JsonText ReadName()
    {
        JsonText name = ReadString();
        if (Peek() != ':')
        {
            throw new JsonException("No colon follows a name.");
        }

        _pos++;
        return name;
    }

    /// <summary>Reads a string and leaves its escapes as they are.</summary>
    public JsonText ReadString()
    {
        if (Peek() != '"')
        {
            throw new JsonException("A string was expected.");
        }

        int start = _pos++;
        bool escaped = false;
        while (true)
        {
            int plain = _json[_pos..].IndexOfAny((byte)'"', (byte)'\\');
            if (plain < 0)
            {
                throw new JsonException("The text ends inside a string.");
            }

            _pos += plain + 1;
            if (_json[_pos - 1] == '"')
            {
                return new JsonText(_json[start.._pos], escaped);
            }

            escaped = true;
            _pos = Math.Min(_pos + 1, _json.Length);
        }
    }

    /// <summary>Reads a number, true, false or null.</summary>
    public ReadOnlySpan<byte> ReadScalar()
    {
        ReadOnlySpan<byte> rest = _json[_pos..];
        int length = rest.IndexOfAny(AfterScalar);
        length = length < 0 ? rest.Length : length;
        _pos += length;
        return length > 0 ? rest[..length] : throw new JsonException("A value was expected.");
    }

    /// <summary>Steps over one value of any type.</summary>
    public void Skip()
    {
        switch (Peek())
        {
            case (byte)'"':
                ReadString();
                break;
            case (byte)'{' or (byte)'[':
                int length = BalancedSpan.Length(_json[_pos..]);
                _pos += length > 0 ? length : throw new JsonException("The text ends before its brackets are closed.");
                break;
            default:
                ReadScalar();
                break;
        }
    }
}

/// <summary>A string as it stands in JSON.</summary>
/// <param name="quoted">The string with its quotes.</param>
/// <param name="escaped">Whether there are escapes in it.</param>
internal readonly ref struct JsonText(ReadOnlySpan<byte> quoted, bool escaped)
{
    private readonly ReadOnlySpan<byte> _quoted = quoted;

    /// <summary>Whether there are escapes in it.</summary>
    public bool Escaped { get; } = escaped;

    /// <summary>What stands between the quotes; the text itself where nothing is escaped.</summary>
    public ReadOnlySpan<byte> Raw => _quoted[1..^1];

    /// <summary>Whether it stands for this text.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Is(ReadOnlySpan<byte> text) => Escaped ? IsEscaped(text) : Raw.SequenceEqual(text);

    /// <summary>Writes the text that it stands for; it is never longer than <see cref="Raw"/>.</summary>
    /// <returns>Length of the text.</returns>
    public int Unescape(Span<byte> destination)
    {
        var reader = new Utf8JsonReader(_quoted);
        reader.Read();
        return reader.CopyString(destination);
    }

    private bool IsEscaped(ReadOnlySpan<byte> text)
    {
        var reader = new Utf8JsonReader(_quoted);
        reader.Read();
        return reader.ValueTextEquals(text);
    }
}
