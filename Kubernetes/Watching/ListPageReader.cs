using System.Buffers;
using System.Text.Json;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>Takes one object of a list; the bytes die when it returns.</summary>
internal delegate void ItemHandler(ReadOnlySpan<byte> item);

/// <summary>Cuts the items out of a list body while it arrives.</summary>
/// <remarks>
/// A push parser for one body: the caller passes all unused bytes and drops what is reported as used. The list's metadata may
/// stand before or after the items. Not thread-safe.
/// </remarks>
internal sealed class ListPageReader(int maxObjectBytes, ItemHandler onItem)
{
    private enum State { Start, Member, Value, Items, Item, End }

    // A member name and its colon: longer ones are no list of ours.
    private const int MaxNameBytes = 1024;

    private static readonly SearchValues<byte> AfterScalar = SearchValues.Create(",}] \r\n\t"u8);

    private State _state = State.Start;
    private JsonValueEnd _valueEnd;
    private bool _isMetadata;
    private bool _isKind;
    private bool _sawItems;

    public string ResourceVersion { get; private set; } = "";

    /// <summary>Token of the next page; empty on the last.</summary>
    public string Continue { get; private set; } = "";

    public long? RemainingItems { get; private set; }

    public string? Kind { get; private set; }

    public int Count { get; private set; }

    /// <summary>Reads on.</summary>
    /// <param name="data">All bytes that were not used yet.</param>
    /// <returns>How many of them are used now.</returns>
    /// <exception cref="KubeException">The body is no list.</exception>
    public int Read(ReadOnlySpan<byte> data)
    {
        int used = 0;
        while (true)
        {
            ReadOnlySpan<byte> rest = data[used..];
            int step = _state switch
            {
                State.Start => Expect(rest, (byte)'{', State.Member),
                State.Member => ReadMember(rest),
                State.Value => ReadValue(rest),
                State.Items => ReadItems(rest),
                State.Item => ReadItem(rest),
                _ => ReadEnd(rest),
            };
            if (step < 0)
            {
                return used;
            }

            used += step;
        }
    }

    /// <summary>The body has ended.</summary>
    /// <exception cref="KubeException">It ended too early, or it was no list.</exception>
    public void Finish()
    {
        if (_state != State.End)
        {
            throw Broken("the list breaks off in the middle");
        }

        if (!_sawItems)
        {
            throw Broken(Kind is { } kind ? $"it sent a {kind} instead of a list" : "it sent a document without items");
        }
    }

    private int ReadMember(ReadOnlySpan<byte> rest)
    {
        int at = SkipBlanksAndCommas(rest);
        if (at == rest.Length)
        {
            return -1;
        }

        if (rest[at] == '}')
        {
            _state = State.End;
            return at + 1;
        }

        // Used only as a whole: name, colon and the first byte of the value.
        if (rest[at] != '"')
        {
            throw Broken("the list has something other than a member name");
        }

        int end = EndOfString(rest[at..]);
        int value = end < 0 ? -1 : SkipToValue(rest, at + end);
        if (value < 0 || value == rest.Length)
        {
            return rest.Length - at > MaxNameBytes ? throw Broken("the list has a member name without end") : -1;
        }

        ReadOnlySpan<byte> name = rest.Slice(at + 1, end - 2);
        if (name.SequenceEqual("items"u8) && rest[value] == '[')
        {
            _sawItems = true;
            _state = State.Items;
            return value + 1;
        }

        _sawItems |= name.SequenceEqual("items"u8) && rest[value] == 'n';   // null: an empty list of a server in Go
        _isMetadata = name.SequenceEqual("metadata"u8);
        _isKind = name.SequenceEqual("kind"u8);
        _valueEnd.Reset();
        _state = State.Value;
        return value;
    }

    private int ReadValue(ReadOnlySpan<byte> rest)
    {
        int end = rest[0] switch
        {
            (byte)'{' or (byte)'[' => _valueEnd.Find(rest),
            (byte)'"' => EndOfString(rest),
            _ => rest.IndexOfAny(AfterScalar),
        };
        if (end < 0)
        {
            return rest.Length > maxObjectBytes ? throw TooLarge() : -1;
        }

        if (_isMetadata)
        {
            ReadMetadata(rest[..end]);
        }
        else if (_isKind && end is > 2 and < 256)
        {
            Kind = System.Text.Encoding.UTF8.GetString(rest[1..(end - 1)]);
        }

        _state = State.Member;
        return end;
    }

    private int ReadItems(ReadOnlySpan<byte> rest)
    {
        int at = SkipBlanksAndCommas(rest);
        if (at == rest.Length)
        {
            return at == 0 ? -1 : at;
        }

        switch (rest[at])
        {
            case (byte)'{':
                _valueEnd.Reset();
                _state = State.Item;
                return at;
            case (byte)']':
                _state = State.Member;
                return at + 1;
            default:
                throw Broken("the list has an item that is no object");
        }
    }

    private int ReadItem(ReadOnlySpan<byte> rest)
    {
        int end = _valueEnd.Find(rest);
        if (end > maxObjectBytes || (end < 0 && rest.Length > maxObjectBytes))
        {
            throw TooLarge();
        }

        if (end < 0)
        {
            return -1;
        }

        Count++;
        onItem(rest[..end]);
        _state = State.Items;
        return end;
    }

    private static int ReadEnd(ReadOnlySpan<byte> rest) => rest.ContainsAnyExcept(" \r\n\t"u8)
        ? throw Broken("something follows the list")
        : rest.Length == 0 ? -1 : rest.Length;

    private int Expect(ReadOnlySpan<byte> rest, byte wanted, State next)
    {
        int at = rest.IndexOfAnyExcept(" \r\n\t"u8);
        if (at < 0)
        {
            return -1;
        }

        _state = rest[at] == wanted ? next : throw Broken("it sent something other than a JSON list");
        return at + 1;
    }

    private void ReadMetadata(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, JsonLimits.Reader);
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1)
                {
                    continue;
                }

                bool isVersion = reader.ValueTextEquals("resourceVersion"u8);
                bool isContinue = reader.ValueTextEquals("continue"u8);
                bool isRemaining = reader.ValueTextEquals("remainingItemCount"u8);
                _ = reader.Read();
                if (isVersion && reader.TokenType == JsonTokenType.String)
                {
                    ResourceVersion = reader.GetString()!;
                }
                else if (isContinue && reader.TokenType == JsonTokenType.String)
                {
                    Continue = reader.GetString()!;
                }
                else if (isRemaining && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long remaining))
                {
                    RemainingItems = remaining;
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        catch (Exception e) when (JsonLimits.IsBadJson(e))
        {
            throw Broken("the list's metadata is no JSON");
        }
    }

    private static int SkipBlanksAndCommas(ReadOnlySpan<byte> rest)
    {
        int at = rest.IndexOfAnyExcept(" \r\n\t,"u8);
        return at < 0 ? rest.Length : at;
    }

    private static int SkipToValue(ReadOnlySpan<byte> rest, int from)
    {
        int colon = rest[from..].IndexOfAnyExcept(" \r\n\t"u8);
        if (colon < 0)
        {
            return -1;
        }

        if (rest[from + colon] != ':')
        {
            throw Broken("the list has a member without a value");
        }

        int start = from + colon + 1;
        int value = rest[start..].IndexOfAnyExcept(" \r\n\t"u8);
        return value < 0 ? -1 : start + value;
    }

    /// <summary>Length of the string that the bytes begin with, quotes included; -1 when it goes on.</summary>
    private static int EndOfString(ReadOnlySpan<byte> text)
    {
        for (int at = 1; at < text.Length; at++)
        {
            int next = text[at..].IndexOfAny((byte)'"', (byte)'\\');
            if (next < 0)
            {
                return -1;
            }

            at += next;
            if (text[at] == '"')
            {
                return at + 1;
            }

            at++;   // what a backslash escapes
        }

        return -1;
    }

    private KubeException TooLarge() => new(
        KubeErrorKind.Protocol, $"The server sent an object over {maxObjectBytes / 1024} KiB, which is more than an API server stores. What was there is kept.");

    private static KubeException Broken(string what) => new(
        KubeErrorKind.Protocol, $"The server's answer is no Kubernetes list: {what}. What was there is kept.");
}
