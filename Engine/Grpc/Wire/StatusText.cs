using System.Buffers;
using System.Globalization;
using System.Text;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>Percent encoding of <c>grpc-message</c>: UTF-8 bytes outside printable ASCII, and the percent sign itself.</summary>
internal static class StatusText
{
    // Kestrel drops the whole response when its headers grow past what a peer takes (8 KiB in some); a text is no place for a report.
    private const int LargestText = 4096;

    private static readonly SearchValues<char> Plain = SearchValues.Create(
        string.Concat(Enumerable.Range(0x20, 0x7F - 0x20).Where(c => c != '%').Select(c => (char)c)));

    public static string Encode(string text)
    {
        if (text.Length > LargestText)
        {
            int cut = char.IsHighSurrogate(text[LargestText - 1]) ? LargestText - 1 : LargestText;
            text = text[..cut];
        }

        if (!text.AsSpan().ContainsAnyExcept(Plain))
        {
            return text;
        }

        var encoded = new StringBuilder(text.Length + 16);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.IsAscii && Plain.Contains((char)rune.Value))
            {
                encoded.Append((char)rune.Value);
                continue;
            }

            int length = rune.EncodeToUtf8(utf8);
            foreach (byte one in utf8[..length])
            {
                encoded.Append('%').Append(one.ToString("X2", CultureInfo.InvariantCulture));
            }
        }

        return encoded.ToString();
    }

    /// <summary>Never fails: an escape that is none stays as it is.</summary>
    public static string Decode(string text)
    {
        if (!text.Contains('%'))
        {
            return text;
        }

        byte[] bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            int length = 0;
            for (int i = 0; i < text.Length; i++)
            {
                if (text[i] == '%' && i + 2 < text.Length
                    && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte one))
                {
                    bytes[length++] = one;
                    i += 2;
                }
                else
                {
                    length += Encoding.UTF8.GetBytes(text.AsSpan(i, 1), bytes.AsSpan(length));
                }
            }

            return Encoding.UTF8.GetString(bytes, 0, length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }
}
