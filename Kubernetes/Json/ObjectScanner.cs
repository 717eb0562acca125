using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using MultiCluster.Kubernetes.Discovery;

namespace MultiCluster.Kubernetes.Json;

/// <summary>Finds what the mirror wants to know of Kubernetes objects of one kind in one pass over their JSON, without building anything.</summary>
/// <remarks>
/// <para>Accepts exactly what a strict JSON reader accepts, except inside <c>metadata.managedFields</c>, which is cut out and
/// only has to balance; and asks for <c>metadata.name</c>, <c>uid</c> and <c>resourceVersion</c>. Order of members is free.
/// Anything else is a <see cref="FormatException"/> with the offset and without content.</para>
/// <para>Not thread-safe: results live in the scanner until the next scan. It allocates only while its buffers grow.</para>
/// </remarks>
public sealed partial class ObjectScanner
{
    // Same bound as etcd's default for one request (1.5 MiB) with room for what is not stored; the reflector bounds objects earlier.
    private const int MaxListEntries = 100_000;

    private readonly KindProfile _profile;
    private readonly byte[] _kind;
    private readonly byte[] _apiVersion;
    private readonly ulong[] _nesting = new ulong[JsonCursor.MaxDepth / 64];
    private byte[] _unescaped = new byte[256];
    private int _unescapedLength;
    private readonly byte[] _kindAndVersion;
    private (int Start, int End) _object;
    private (int Start, int End) _cut;
    private byte[] _head = [];

    /// <param name="type">The resource whose objects come; tells which fields to look for, and what to add where list items lack their kind.</param>
    public ObjectScanner(ResourceType type)
    {
        ArgumentNullException.ThrowIfNull(type);
        _profile = KindProfiles.For(type);
        _kind = Encoding.UTF8.GetBytes($"\"kind\":\"{JsonEncodedText.Encode(type.Kind)}\",");
        _apiVersion = Encoding.UTF8.GetBytes($"\"apiVersion\":\"{JsonEncodedText.Encode(type.ApiVersion)}\",");
        _kindAndVersion = [.. _kind, .. _apiVersion];
    }

    internal struct FoundTexts
    {
        public TextRange Namespace, Name, Uid, ResourceVersion, Phase, StatusReason, NodeName, WaitingReason, TerminatedReason, CurrentRevision, UpdateRevision;
    }

    internal readonly record struct OwnerTexts(TextRange Uid, TextRange ApiVersion, TextRange Kind, TextRange Name, bool IsController);

    internal readonly record struct ConditionTexts(TextRange Type, TextRange Status, TextRange Reason);

    internal FoundTexts Texts;
    internal KindFacts Facts;

    internal List<(TextRange Key, TextRange Value)> Labels { get; } = [];

    internal List<OwnerTexts> Owners { get; } = [];

    internal List<ConditionTexts> Conditions { get; } = [];

    internal List<TextRange> Images { get; } = [];

    internal ResourceAmounts Resources { get; private set; }

    internal long CreatedUnixSeconds { get; private set; }

    internal bool IsTerminating { get; private set; }

    internal int JsonLength => _head.Length + (_object.End - _object.Start) - (_cut.End - _cut.Start);

    /// <summary>Reads one object. The answer borrows from <paramref name="json"/> and from this scanner.</summary>
    /// <exception cref="FormatException">It is not an object of Kubernetes that could be kept.</exception>
    public ScannedObject Scan(ReadOnlySpan<byte> json)
    {
        Forget();
        if (!Utf8.IsValid(json))
        {
            throw new FormatException("Not a usable JSON object: it is not valid UTF-8.");
        }

        var cursor = new JsonCursor(json, _nesting);
        ScanObject(ref cursor, json);
        return new ScannedObject(json, this);
    }

    internal ReadOnlySpan<byte> Unescaped(TextRange range) => _unescaped.AsSpan(range.Start, range.Length);

    internal void CopyJson(ReadOnlySpan<byte> json, Span<byte> destination)
    {
        int at = 0;
        Append(json[_object.Start..(_object.Start + 1)], destination);
        Append(_head, destination);
        if (_cut.End > 0)
        {
            Append(json[(_object.Start + 1).._cut.Start], destination);
            Append(json[_cut.End.._object.End], destination);
        }
        else
        {
            Append(json[(_object.Start + 1).._object.End], destination);
        }

        void Append(ReadOnlySpan<byte> part, Span<byte> to)
        {
            part.CopyTo(to[at..]);
            at += part.Length;
        }
    }

    private void Forget()
    {
        Texts = default;
        Facts = KindFacts.Empty;
        Labels.Clear();
        Owners.Clear();
        Conditions.Clear();
        Images.Clear();
        Resources = default;
        CreatedUnixSeconds = 0;
        IsTerminating = false;
        _unescapedLength = 0;
        _object = default;
        _cut = default;
        _head = [];
        ForgetPod();
    }

    private void ScanObject(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        cursor.Peek();
        int start = cursor.Position;
        Top seen = Top.None;
        if (cursor.EnterObject())
        {
            do
            {
                ReadOnlySpan<byte> name = ReadName(ref cursor, json);
                if (name.SequenceEqual("metadata"u8))
                {
                    Once(ref seen, Top.Metadata, in cursor);
                    ScanMetadata(ref cursor, json);
                }
                else if (name.SequenceEqual("spec"u8))
                {
                    Once(ref seen, Top.Spec, in cursor);
                    ScanSpec(ref cursor, json);
                }
                else if (name.SequenceEqual("status"u8))
                {
                    Once(ref seen, Top.Status, in cursor);
                    ScanStatus(ref cursor, json);
                }
                else
                {
                    if (name.SequenceEqual("kind"u8))
                    {
                        Once(ref seen, Top.Kind, in cursor);
                    }
                    else if (name.SequenceEqual("apiVersion"u8))
                    {
                        Once(ref seen, Top.ApiVersion, in cursor);
                    }

                    cursor.SkipValue();
                }
            }
            while (cursor.NextMember());
        }

        _object = (start, cursor.Position);
        cursor.ExpectEnd();
        _head = (seen & (Top.Kind | Top.ApiVersion)) switch
        {
            Top.None => _kindAndVersion,
            Top.Kind => _apiVersion,
            Top.ApiVersion => _kind,
            _ => [],
        };
        RequireIdentity(json);
        FinishPod();
    }

    [Flags]
    private enum Top
    {
        None = 0,
        Kind = 1,
        ApiVersion = 2,
        Metadata = 4,
        Spec = 8,
        Status = 16,
    }

    // Readers differ in whether the first or the last of two equal names counts, so such an object means nothing certain.
    private static void Once(ref Top seen, Top member, in JsonCursor cursor)
    {
        if ((seen & member) != Top.None)
        {
            throw cursor.Fault("a member appears twice");
        }

        seen |= member;
    }

    private void RequireIdentity(ReadOnlySpan<byte> json)
    {
        var found = new ScannedObject(json, this);
        RequireSegment(found.Name, "metadata.name");
        if (!found.Namespace.IsEmpty)
        {
            RequireSegment(found.Namespace, "metadata.namespace");
        }

        RequireSegment(found.Uid, "metadata.uid");
        RequireSegment(found.ResourceVersion, "metadata.resourceVersion");
    }

    // Names are segments of URLs and keys, so a slash or NUL in one would make two objects share a key.
    private static void RequireSegment(ReadOnlySpan<byte> text, string field)
    {
        if (text.IsEmpty || text.Length > 1024 || text.ContainsAny((byte)'/', (byte)0))
        {
            throw new FormatException($"Not a usable JSON object: {field} is missing, too long, or has a character that no name can have.");
        }
    }

    private void ScanMetadata(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        int behindPrevious = cursor.Position + 1;
        bool first = true;
        if (!cursor.EnterObject())
        {
            return;
        }

        bool more;
        do
        {
            cursor.Peek();
            int memberStart = cursor.Position;
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            bool cut = false;
            switch (name.Length)
            {
                case 4 when name.SequenceEqual("name"u8):
                    Texts.Name = ReadRequiredText(ref cursor, json);
                    break;
                case 3 when name.SequenceEqual("uid"u8):
                    Texts.Uid = ReadRequiredText(ref cursor, json);
                    break;
                case 6 when name.SequenceEqual("labels"u8):
                    ScanLabels(ref cursor, json);
                    break;
                case 9 when name.SequenceEqual("namespace"u8):
                    Texts.Namespace = ReadRequiredText(ref cursor, json);
                    break;
                case 10 when name.SequenceEqual("generation"u8):
                    if (cursor.TryReadInteger(out long generation))
                    {
                        Facts.Generation = generation;
                    }

                    break;
                case 13 when name.SequenceEqual("managedFields"u8):
                    if (_cut.End != 0)
                    {
                        throw cursor.Fault("a member appears twice");
                    }

                    cursor.SkipBalanced();
                    cut = true;
                    break;
                case 15 when name.SequenceEqual("resourceVersion"u8):
                    Texts.ResourceVersion = ReadRequiredText(ref cursor, json);
                    break;
                case 15 when name.SequenceEqual("ownerReferences"u8):
                    ScanOwners(ref cursor, json);
                    break;
                case 17 when name.SequenceEqual("creationTimestamp"u8):
                    CreatedUnixSeconds = TryReadText(ref cursor, json, out TextRange created) ? ParseTime(Bytes(created, json)) : 0;
                    break;
                case 17 when name.SequenceEqual("deletionTimestamp"u8):
                    IsTerminating = TryReadText(ref cursor, json, out _);
                    break;
                default:
                    cursor.SkipValue();
                    break;
            }

            int valueEnd = cursor.Position;
            more = cursor.NextMember();
            if (cut)
            {
                // The member goes with one comma: the one behind it, or, when it is the last, the one before it.
                _cut = more ? (memberStart, cursor.Position) : (first ? memberStart : behindPrevious, valueEnd);
            }

            behindPrevious = valueEnd;
            first = false;
        }
        while (more);
    }

    private void ScanLabels(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        Labels.Clear();
        if (cursor.Peek() == 'n')
        {
            cursor.SkipValue();
            return;
        }

        if (!cursor.EnterObject())
        {
            return;
        }

        do
        {
            TextRange key = Keep(cursor.ReadName(), json, in cursor);
            TextRange value = ReadRequiredText(ref cursor, json);
            if (Bytes(key, json).Contains((byte)0) || Bytes(value, json).Contains((byte)0))
            {
                throw cursor.Fault("NUL in a label");
            }

            Labels.Add((key, value));
        }
        while (cursor.NextMember() && NotTooMany(Labels.Count, in cursor));
    }

    private void ScanOwners(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        Owners.Clear();
        if (cursor.Peek() == 'n')
        {
            cursor.SkipValue();
            return;
        }

        if (!cursor.EnterArray())
        {
            return;
        }

        do
        {
            TextRange uid = default, apiVersion = default, kind = default, owner = default;
            bool isController = false;
            if (cursor.EnterObject())
            {
                do
                {
                    ReadOnlySpan<byte> name = ReadName(ref cursor, json);
                    if (name.SequenceEqual("uid"u8))
                    {
                        TryReadText(ref cursor, json, out uid);
                    }
                    else if (name.SequenceEqual("kind"u8))
                    {
                        TryReadText(ref cursor, json, out kind);
                    }
                    else if (name.SequenceEqual("name"u8))
                    {
                        TryReadText(ref cursor, json, out owner);
                    }
                    else if (name.SequenceEqual("apiVersion"u8))
                    {
                        TryReadText(ref cursor, json, out apiVersion);
                    }
                    else if (name.SequenceEqual("controller"u8))
                    {
                        isController = cursor.ReadTrue();
                    }
                    else
                    {
                        cursor.SkipValue();
                    }
                }
                while (cursor.NextMember());
            }

            Owners.Add(new OwnerTexts(uid, apiVersion, kind, owner, isController));
        }
        while (cursor.NextElement() && NotTooMany(Owners.Count, in cursor));
    }

    private static bool NotTooMany(int count, in JsonCursor cursor) =>
        count < MaxListEntries ? true : throw cursor.Fault("more entries than any object has");

    /// <summary>Reads the name of a member; valid until the next text with escapes is read.</summary>
    private ReadOnlySpan<byte> ReadName(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        RawText name = cursor.ReadName();
        return name.Escaped ? Bytes(Keep(name, json, in cursor), json) : json.Slice(name.Start, name.Length);
    }

    private TextRange ReadRequiredText(ref JsonCursor cursor, ReadOnlySpan<byte> json) => Keep(cursor.ReadString(), json, in cursor);

    /// <summary>Reads a string; any other value is stepped over and answers false.</summary>
    private bool TryReadText(ref JsonCursor cursor, ReadOnlySpan<byte> json, out TextRange text)
    {
        if (cursor.Peek() != '"')
        {
            cursor.SkipValue();
            text = default;
            return false;
        }

        text = Keep(cursor.ReadString(), json, in cursor);
        return true;
    }

    private ReadOnlySpan<byte> Bytes(TextRange range, ReadOnlySpan<byte> json) =>
        range.IsUnescaped ? Unescaped(range) : json.Slice(range.Start, range.Length);

    private TextRange Keep(RawText raw, ReadOnlySpan<byte> json, in JsonCursor cursor)
    {
        if (!raw.Escaped)
        {
            return new TextRange(raw.Start, raw.Length);
        }

        if (_unescaped.Length - _unescapedLength < raw.Length)
        {
            Array.Resize(ref _unescaped, Math.Max(_unescaped.Length * 2, _unescapedLength + raw.Length));
        }

        int start = _unescapedLength;
        if (!JsonEscapes.TryUnescape(json.Slice(raw.Start, raw.Length), _unescaped.AsSpan(start), out int length))
        {
            throw cursor.Fault("half a surrogate pair");
        }

        _unescapedLength += length;
        return new TextRange(start, length, IsUnescaped: true);
    }

    private static long ParseTime(ReadOnlySpan<byte> text)
    {
        // 2026-11-21T02:07:03Z is all that API servers write; anything else takes the slow way.
        if (text.Length == 20 && text[19] == 'Z'
            && System.Buffers.Text.Utf8Parser.TryParse(text[..4], out int year, out _)
            && TwoDigits(text, 5, out int month) && TwoDigits(text, 8, out int day)
            && TwoDigits(text, 11, out int hour) && TwoDigits(text, 14, out int minute) && TwoDigits(text, 17, out int second)
            && year is >= 1970 and <= 9999 && month is >= 1 and <= 12 && day >= 1 && day <= DateTime.DaysInMonth(year, month)
            && hour < 24 && minute < 60 && second < 60)
        {
            return (new DateTime(year, month, day, hour, minute, second, DateTimeKind.Utc) - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerSecond;
        }

        return DateTimeOffset.TryParse(
            Encoding.UTF8.GetString(text), System.Globalization.CultureInfo.InvariantCulture,
            System.Globalization.DateTimeStyles.AssumeUniversal, out DateTimeOffset parsed)
            ? parsed.ToUnixTimeSeconds()
            : 0;
    }

    private static bool TwoDigits(ReadOnlySpan<byte> text, int at, out int value)
    {
        value = (text[at] - '0') * 10 + (text[at + 1] - '0');
        return char.IsAsciiDigit((char)text[at]) && char.IsAsciiDigit((char)text[at + 1]);
    }
}
