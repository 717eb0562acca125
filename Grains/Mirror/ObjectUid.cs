using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace MultiCluster.Grains.Mirror;

/// <summary>The uid of an object in 16 bytes.</summary>
/// <remarks>
/// Kubernetes' own uids are UUIDs in lower case and come back as they were. A uid of another form (aggregated API servers may
/// choose) is kept as the first half of its SHA-256: enough to tell objects apart, but its text is then only in the object itself.
/// </remarks>
internal readonly record struct ObjectUid(ulong High, ulong Low)
{
    /// <summary>Length of the text of a UUID.</summary>
    public const int TextLength = 36;

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => High == 0 && Low == 0;

    /// <summary>Takes a uid as it stands in an object.</summary>
    public static ObjectUid From(ReadOnlySpan<byte> text) => From(text, out _);

    /// <inheritdoc cref="From(ReadOnlySpan{byte})"/>
    public static ObjectUid From(string text) => From(Encoding.UTF8.GetBytes(text));

    /// <param name="text">The uid.</param>
    /// <param name="isUuid">Whether <see cref="Format"/> gives back the same text.</param>
    public static ObjectUid From(ReadOnlySpan<byte> text, out bool isUuid)
    {
        isUuid = false;
        if (text.IsEmpty)
        {
            return default;
        }

        if (text.Length == TextLength && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-'
            && TryHex(text, out ulong high, out ulong low))
        {
            isUuid = true;
            return new ObjectUid(high, low);
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text, hash);
        return new ObjectUid(BinaryPrimitives.ReadUInt64BigEndian(hash), BinaryPrimitives.ReadUInt64BigEndian(hash[8..]));
    }

    /// <summary>Writes the text of a UUID, <see cref="TextLength"/> bytes.</summary>
    public void Format(Span<byte> destination)
    {
        ReadOnlySpan<byte> digits = "0123456789abcdef"u8;
        int at = 0;
        for (int nibble = 0; nibble < 32; nibble++)
        {
            if (nibble is 8 or 12 or 16 or 20)
            {
                destination[at++] = (byte)'-';
            }

            ulong half = nibble < 16 ? High : Low;
            destination[at++] = digits[(int)(half >> (60 - 4 * (nibble & 15))) & 15];
        }
    }

    public override string ToString() => string.Create(TextLength, this, static (text, uid) =>
    {
        Span<byte> bytes = stackalloc byte[TextLength];
        uid.Format(bytes);
        Encoding.ASCII.GetChars(bytes, text);
    });

    private static bool TryHex(ReadOnlySpan<byte> text, out ulong high, out ulong low)
    {
        high = low = 0;
        for (int i = 0, nibble = 0; i < TextLength; i++)
        {
            if (i is 8 or 13 or 18 or 23)
            {
                continue;
            }

            int value = text[i] switch
            {
                >= (byte)'0' and <= (byte)'9' => text[i] - '0',
                >= (byte)'a' and <= (byte)'f' => text[i] - 'a' + 10,
                _ => -1,
            };
            if (value < 0)
            {
                return false;
            }

            if (nibble++ < 16)
            {
                high = high << 4 | (uint)value;
            }
            else
            {
                low = low << 4 | (uint)value;
            }
        }

        return true;
    }
}
