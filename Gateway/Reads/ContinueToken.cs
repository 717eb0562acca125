using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>Where the next page of a list begins.</summary>
internal enum PagePosition : byte
{
    /// <summary>After an object of the mirror.</summary>
    AfterKey = 1,

    /// <summary>With the first cluster after one.</summary>
    AfterCluster = 2,

    /// <summary>Within a member, at the member's own token.</summary>
    AtMemberToken = 3,
}

/// <summary>All that is remembered between two pages; lives in the client only, as text of at most 512 bytes.</summary>
/// <remarks>
/// Text: 28 characters of base64url (kind, revision, hash of the query, checksum), then cluster and position, each behind a dot and
/// readable as they are, because names of Kubernetes are made of characters that need no escape in a URL. The longest legal names
/// make 410 characters; base64url over all of it would make 540. The checksum is against accidents, not against attackers: a
/// forged token reads nothing that its bearer could not ask for in plain.
/// </remarks>
internal sealed record ContinueToken(PagePosition Position, long Revision, ulong QueryHash, string Cluster)
{
    /// <summary>Most characters, all of them one byte.</summary>
    public const int MaxLength = 512;

    private const int HeadBytes = 21;
    private const int HeadLength = 28;
    private const byte Version = 0x10;
    private const string Digits = "0123456789ABCDEF";

    // What kube-apiserver 1.x issues; see the recordings of paged lists.
    private const string MemberTokenVersion = "meta.k8s.io/v1";

    /// <summary>Last object of the page before; with <see cref="PagePosition.AfterKey"/>.</summary>
    public ObjectKey Key { get; init; }

    /// <summary>The member's own token; with <see cref="PagePosition.AtMemberToken"/>.</summary>
    public string MemberToken { get; init; } = "";

    /// <summary>The text, or null where it would be longer than <see cref="MaxLength"/>.</summary>
    public string? ToText()
    {
        var tail = new StringBuilder();
        Append(tail, Cluster);
        switch (Position)
        {
            case PagePosition.AfterKey:
                Append(tail, Key.Namespace);
                Append(tail, Key.Name);
                break;
            case PagePosition.AtMemberToken when TryOpenMemberToken(MemberToken, out long memberRevision, out string? start):
                Append(tail, memberRevision.ToString(CultureInfo.InvariantCulture));
                Append(tail, start);
                break;
            case PagePosition.AtMemberToken:
                Append(tail, "");
                Append(tail, MemberToken);
                break;
        }

        string text = Head(tail.ToString()) + tail;
        return text.Length <= MaxLength ? text : null;
    }

    /// <summary>Reads a token. False where the text was not made by <see cref="ToText"/>.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out ContinueToken? token)
    {
        token = null;
        Span<byte> head = stackalloc byte[HeadBytes];
        if (text.Length is <= HeadLength + 1 or > MaxLength || text[HeadLength] != '.'
            || !Base64Url.IsValid(text.AsSpan(0, HeadLength)) || !Base64Url.TryDecodeFromChars(text.AsSpan(0, HeadLength), head, out int written) || written != HeadBytes)
        {
            return false;
        }

        ReadOnlySpan<char> tail = text.AsSpan(HeadLength);
        if (BinaryPrimitives.ReadUInt32BigEndian(head[17..]) != Checksum(head[..17], tail) || (head[0] & 0xF0) != Version)
        {
            return false;
        }

        var position = (PagePosition)(head[0] & 0x0F);
        long revision = BinaryPrimitives.ReadInt64BigEndian(head[1..]);
        string[] parts = text[(HeadLength + 1)..].Split('.', position == PagePosition.AfterCluster ? 1 : 3);
        for (int i = 0; i < parts.Length; i++)
        {
            if (Unescape(parts[i]) is not { } part)
            {
                return false;
            }

            parts[i] = part;
        }

        token = new ContinueToken(position, revision, BinaryPrimitives.ReadUInt64BigEndian(head[9..]), parts[0]);
        switch (position)
        {
            case PagePosition.AfterCluster:
                break;
            case PagePosition.AfterKey when parts.Length == 3:
                token = token with { Key = new ObjectKey(parts[1], parts[2]) };
                break;
            case PagePosition.AtMemberToken when parts.Length == 3 && parts[1].Length == 0:
                token = token with { MemberToken = parts[2] };
                break;
            case PagePosition.AtMemberToken when parts.Length == 3 && long.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long rv):
                token = token with { MemberToken = CloseMemberToken(rv, parts[2]) };
                break;
            default:
                token = null;
                break;
        }

        // One text for each token: whatever reads but prints differently is not ours.
        if (token is null || revision <= 0 || token.ToText() != text)
        {
            token = null;
        }

        return token is not null;
    }

    /// <summary>Hash of everything that decides which objects a list holds and in which order.</summary>
    public static ulong HashOf(FleetQuery query)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string? text)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text ?? "");
            Span<byte> size = stackalloc byte[4];
            BinaryPrimitives.WriteInt32BigEndian(size, bytes.Length);
            hash.AppendData(size);
            hash.AppendData(bytes);
        }

        void AddAll(IEnumerable<string> texts)
        {
            string[] sorted = [.. texts.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
            Add(sorted.Length.ToString(CultureInfo.InvariantCulture));
            foreach (string text in sorted)
            {
                Add(text);
            }
        }

        ObjectQuery objects = query.Objects;
        Add(query.Source.ToString());
        AddAll(query.Clusters.Names);
        Add(query.Clusters.LabelSelector);
        Add(objects.Kind);
        AddAll(objects.Namespaces);
        AddAll(objects.Names);
        Add(objects.Text);
        Add(objects.LabelSelector);
        Add(objects.FieldSelector);
        AddAll(objects.Readiness.Select(r => r.ToString()));
        Add(objects.Owner?.Uid);
        Add(objects.Owner?.Kind);
        Add(objects.Owner?.Name);
        Add(objects.Owner?.Depth.ToString(CultureInfo.InvariantCulture));
        return BinaryPrimitives.ReadUInt64BigEndian(hash.GetHashAndReset());
    }

    private string Head(string tail)
    {
        Span<byte> head = stackalloc byte[HeadBytes];
        head[0] = (byte)(Version | (byte)Position);
        BinaryPrimitives.WriteInt64BigEndian(head[1..], Revision);
        BinaryPrimitives.WriteUInt64BigEndian(head[9..], QueryHash);
        BinaryPrimitives.WriteUInt32BigEndian(head[17..], Checksum(head[..17], tail));
        return Base64Url.EncodeToString(head);
    }

    /// <summary>FNV-1a over head and tail.</summary>
    private static uint Checksum(ReadOnlySpan<byte> head, ReadOnlySpan<char> tail)
    {
        uint hash = 2166136261;
        foreach (byte b in head)
        {
            hash = unchecked((hash ^ b) * 16777619);
        }

        foreach (char c in tail)
        {
            hash = unchecked((hash ^ c) * 16777619);
        }

        return hash;
    }

    // Only the last part may hold dots. '~' begins an escape: two hexadecimal digits for a byte, or another '~' before base64url
    // of the whole part, where that is shorter (names of RBAC objects may hold anything but '/' and '%').
    private static void Append(StringBuilder tail, string part)
    {
        tail.Append('.');
        int start = tail.Length;
        byte[] bytes = Encoding.UTF8.GetBytes(part);
        foreach (byte b in bytes)
        {
            if (char.IsAsciiLetterOrDigit((char)b) || b is (byte)'-' or (byte)'.' or (byte)'_')
            {
                tail.Append((char)b);
            }
            else
            {
                tail.Append('~').Append(Digits[b >> 4]).Append(Digits[b & 15]);
            }
        }

        if (tail.Length - start > Base64Url.GetEncodedLength(bytes.Length) + 2)
        {
            tail.Length = start;
            tail.Append("~~").Append(Base64Url.EncodeToString(bytes));
        }
    }

    private static string? Unescape(string part)
    {
        if (!part.Contains('~', StringComparison.Ordinal))
        {
            return part;
        }

        try
        {
            if (part.StartsWith("~~", StringComparison.Ordinal))
            {
                return Strict.GetString(Base64Url.DecodeFromChars(part.AsSpan(2)));
            }

            byte[] bytes = new byte[part.Length];
            int length = 0;
            for (int i = 0; i < part.Length; i++)
            {
                if (part[i] != '~')
                {
                    bytes[length++] = (byte)part[i];
                }
                else if (i + 2 < part.Length && byte.TryParse(part.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte b))
                {
                    bytes[length++] = b;
                    i += 2;
                }
                else
                {
                    return null;
                }
            }

            return Strict.GetString(bytes, 0, length);
        }
        catch (Exception e) when (e is FormatException or DecoderFallbackException)
        {
            return null;   // the checksum held by chance
        }
    }

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Opens a member's token, when closing it again gives exactly the same text.</summary>
    private static bool TryOpenMemberToken(string text, out long revision, [NotNullWhen(true)] out string? start)
    {
        revision = 0;
        start = null;
        try
        {
            byte[] json = Base64Url.DecodeFromChars(text);
            var reader = new Utf8JsonReader(json);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("rv"u8))
                {
                    reader.Read();
                    if (!reader.TryGetInt64(out revision))
                    {
                        return false;
                    }
                }
                else if (reader.ValueTextEquals("start"u8))
                {
                    reader.Read();
                    start = reader.GetString();
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
        }
        catch (Exception e) when (e is FormatException or JsonException or InvalidOperationException)
        {
            return false;   // a token of another make travels as it is
        }

        return start is not null && CloseMemberToken(revision, start) == text;
    }

    private static string CloseMemberToken(long revision, string start)
    {
        var json = new StringBuilder($"{{\"v\":\"{MemberTokenVersion}\",\"rv\":{revision.ToString(CultureInfo.InvariantCulture)},\"start\":\"");
        foreach (char c in start)
        {
            // As Go writes JSON; anything else that Go would escape differently fails the comparison and travels as it is.
            _ = c switch
            {
                '"' or '\\' => json.Append('\\').Append(c),
                < ' ' or '<' or '>' or '&' => json.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => json.Append(c),
            };
        }

        return Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.Append("\"}").ToString()));
    }
}
