using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>An amount in the notation of Kubernetes: <c>500m</c>, <c>1Gi</c>, <c>1.5</c>, <c>2e3</c>.</summary>
/// <remarks>
/// Suffixes: <c>n u m k M G T P E</c> (powers of 1000), <c>Ki Mi Gi Ti Pi Ei</c> (powers of 1024), or an exponent. Compared by value:
/// <c>1000m</c> equals <c>1</c>. Exact to 28 digits; amounts beyond ±7.9·10²⁸ are not read, the API itself stops at 2⁶³.
/// </remarks>
public readonly record struct Quantity(decimal Value) : IComparable<Quantity>
{
    private const int MaxLength = 64;

    /// <summary>Reads a quantity.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out Quantity quantity)
    {
        quantity = default;
        if (text is null || text.Length is 0 or > MaxLength)
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[MaxLength];
        return Ascii.FromUtf16(text, bytes, out int written) == System.Buffers.OperationStatus.Done && TryParse(bytes[..written], out quantity);
    }

    /// <summary>Reads a quantity from UTF-8.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out Quantity quantity) => TryParse(text, out quantity, out _);

    /// <summary>Reads a quantity from UTF-8, and says whether it has a suffix such as <c>m</c> or <c>Gi</c>.</summary>
    internal static bool TryParse(ReadOnlySpan<byte> text, out Quantity quantity, out bool hasSuffix)
    {
        quantity = default;
        hasSuffix = false;
        if (text.Length is 0 or > MaxLength)
        {
            return false;
        }

        int digits = text[0] is (byte)'-' or (byte)'+' ? 1 : 0;
        int end = digits;
        bool any = false;
        bool dot = false;
        for (; end < text.Length; end++)
        {
            byte b = text[end];
            if (b is >= (byte)'0' and <= (byte)'9')
            {
                any = true;
            }
            else if (b == (byte)'.' && !dot)
            {
                dot = true;
            }
            else
            {
                break;
            }
        }

        ReadOnlySpan<byte> suffix = text[end..];
        if (!any || !TryScale(suffix, out decimal scale) || !TryNumber(text[digits..end], out decimal number))
        {
            return false;
        }

        hasSuffix = suffix.Length > 0 && !(suffix[0] is (byte)'e' or (byte)'E' && suffix.Length > 1);
        if (text[0] == (byte)'-')
        {
            number = -number;
        }

        try
        {
            quantity = new Quantity(number * scale);
            return true;
        }
        catch (OverflowException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public int CompareTo(Quantity other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Order by value.</summary>
    public static bool operator <(Quantity left, Quantity right) => left.Value < right.Value;

    /// <summary>Order by value.</summary>
    public static bool operator >(Quantity left, Quantity right) => left.Value > right.Value;

    /// <summary>Order by value.</summary>
    public static bool operator <=(Quantity left, Quantity right) => left.Value <= right.Value;

    /// <summary>Order by value.</summary>
    public static bool operator >=(Quantity left, Quantity right) => left.Value >= right.Value;

    private static bool TryNumber(ReadOnlySpan<byte> text, out decimal number)
    {
        // ".5" and "5." are quantities; the parser wants a digit on either side.
        if (text[0] == (byte)'.' || text[^1] == (byte)'.')
        {
            return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number);
        }

        return Utf8Parser.TryParse(text, out number, out int used) && used == text.Length;
    }

    private static bool TryScale(ReadOnlySpan<byte> suffix, out decimal scale)
    {
        scale = 1m;
        switch (suffix)
        {
            case []:
                return true;
            case [(byte)'n']:
                scale = 0.000000001m;
                return true;
            case [(byte)'u']:
                scale = 0.000001m;
                return true;
            case [(byte)'m']:
                scale = 0.001m;
                return true;
            case [(byte)'e' or (byte)'E', _, ..]:
                return TryExponent(suffix[1..], out scale);
            case [var letter, ..]:
                int power = letter == (byte)'k' || (letter == (byte)'K' && suffix.Length == 2) ? 1 : "KMGTPE"u8.IndexOf(letter) + 1;
                bool binary = suffix.Length == 2 && suffix[1] == (byte)'i' && letter != (byte)'k';
                if (power == 0 || (!binary && suffix.Length != 1) || (suffix.Length == 1 && letter == (byte)'K'))
                {
                    return false;
                }

                for (int i = 0; i < power; i++)
                {
                    scale *= binary ? 1024m : 1000m;
                }

                return true;
        }
    }

    private static bool TryExponent(ReadOnlySpan<byte> text, out decimal scale)
    {
        scale = 1m;
        if (text[0] == (byte)'+')
        {
            text = text[1..];
        }

        if (!Utf8Parser.TryParse(text, out int exponent, out int used) || used != text.Length || exponent is < -28 or > 28)
        {
            return false;
        }

        for (int i = Math.Abs(exponent); i > 0; i--)
        {
            scale = exponent > 0 ? scale * 10m : scale / 10m;
        }

        return true;
    }
}
