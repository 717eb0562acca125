using System.Globalization;
using System.Text;

namespace MultiCluster.Kubernetes.Json;

/// <summary>Resolves the escapes of JSON strings whose grammar has been checked.</summary>
internal static class JsonEscapes
{
    /// <summary>Writes the text that <paramref name="raw"/> stands for; it never grows.</summary>
    /// <returns>False when it holds half a surrogate pair, which stands for nothing.</returns>
    public static bool TryUnescape(ReadOnlySpan<byte> raw, Span<byte> destination, out int length)
    {
        length = 0;
        while (!raw.IsEmpty)
        {
            int plain = raw.IndexOf((byte)'\\');
            if (plain < 0)
            {
                plain = raw.Length;
            }

            raw[..plain].CopyTo(destination[length..]);
            length += plain;
            raw = raw[plain..];
            if (raw.IsEmpty)
            {
                break;
            }

            if (raw[1] != 'u')
            {
                destination[length++] = raw[1] switch
                {
                    (byte)'b' => 8,
                    (byte)'f' => 12,
                    (byte)'n' => 10,
                    (byte)'r' => 13,
                    (byte)'t' => 9,
                    byte other => other,
                };
                raw = raw[2..];
                continue;
            }

            int unit = CodeUnit(raw);
            raw = raw[6..];
            if (char.IsHighSurrogate((char)unit) && raw.Length >= 6 && raw[0] == '\\' && raw[1] == 'u' && char.IsLowSurrogate((char)CodeUnit(raw)))
            {
                unit = char.ConvertToUtf32((char)unit, (char)CodeUnit(raw));
                raw = raw[6..];
            }

            if (!Rune.TryCreate(unit, out Rune rune))
            {
                return false;
            }

            length += rune.EncodeToUtf8(destination[length..]);
        }

        return true;
    }

    private static int CodeUnit(ReadOnlySpan<byte> escape) =>
        int.Parse(escape.Slice(2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
