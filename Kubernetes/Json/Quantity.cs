namespace MultiCluster.Kubernetes.Json;

/// <summary>Amounts of resources as Kubernetes knows them, in whole units.</summary>
/// <param name="CpuMilli">Thousandths of a CPU.</param>
/// <param name="MemoryBytes">Bytes of memory.</param>
/// <param name="Gpus">Devices of all resources whose name ends in <c>/gpu</c>.</param>
/// <param name="Pods">Number of pods; only nodes say it.</param>
public readonly record struct ResourceAmounts(long CpuMilli, long MemoryBytes, long Gpus, long Pods = 0)
{
    public static ResourceAmounts operator +(ResourceAmounts a, ResourceAmounts b) =>
        new(Sum(a.CpuMilli, b.CpuMilli), Sum(a.MemoryBytes, b.MemoryBytes), Sum(a.Gpus, b.Gpus), Sum(a.Pods, b.Pods));

    public static ResourceAmounts operator -(ResourceAmounts a, ResourceAmounts b) =>
        new(a.CpuMilli - b.CpuMilli, a.MemoryBytes - b.MemoryBytes, a.Gpus - b.Gpus, a.Pods - b.Pods);

    // Containers that ask for absurd amounts ask for too much together, never for less than nothing.
    private static long Sum(long a, long b) => a > 0 && b > long.MaxValue - a ? long.MaxValue : a + b;

    /// <summary>The larger of both, field by field.</summary>
    public static ResourceAmounts Max(ResourceAmounts a, ResourceAmounts b) =>
        new(Math.Max(a.CpuMilli, b.CpuMilli), Math.Max(a.MemoryBytes, b.MemoryBytes), Math.Max(a.Gpus, b.Gpus), Math.Max(a.Pods, b.Pods));
}

/// <summary>Reads Kubernetes quantities such as <c>100m</c>, <c>1.5Gi</c> and <c>12e6</c>.</summary>
public static class Quantity
{
    // Ten thousand million times what fits; the arithmetic beyond is in 128 bits, and what is too large is the largest.
    private const int MaxWholeDigits = 28;

    /// <summary>Reads <paramref name="text"/> in units of 1/<paramref name="unitsPerOne"/>, rounded up as Kubernetes does.</summary>
    /// <param name="text">The quantity, in ASCII.</param>
    /// <param name="unitsPerOne">1 for bytes and counts, 1000 for thousandths of a CPU; at most 1,000,000.</param>
    /// <param name="value">The amount; beyond the range of <see cref="long"/> its nearest end.</param>
    /// <returns>False when it is no quantity.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, int unitsPerOne, out long value)
    {
        value = 0;
        int at = 0;
        bool negative = false;
        if (text.Length > 0 && text[0] is (byte)'-' or (byte)'+')
        {
            negative = text[0] == '-';
            at = 1;
        }

        UInt128 digits = 0;
        UInt128 divisor = 1;
        int count = 0;
        bool fraction = false;
        bool hasDigits = false;
        for (; at < text.Length; at++)
        {
            byte next = text[at];
            if (next == '.' && !fraction)
            {
                fraction = true;
                continue;
            }

            if (next is < (byte)'0' or > (byte)'9')
            {
                break;
            }

            hasDigits = true;

            // Kubernetes itself keeps no more than nano precision; of a fraction, nothing that counts is left past 18 digits.
            if (count < 18 || (!fraction && count < MaxWholeDigits))
            {
                digits = digits * 10 + (uint)(next - '0');
                divisor = fraction ? divisor * 10 : divisor;
                count += digits == 0 ? 0 : 1;
            }
            else if (!fraction)
            {
                return false;
            }
        }

        if (!hasDigits || !TryReadSuffix(text[at..], out UInt128 multiplier, out UInt128 suffixDivisor))
        {
            return false;
        }

        UInt128 scale = multiplier * (uint)unitsPerOne;
        divisor *= suffixDivisor;
        UInt128 magnitude;
        if (digits != 0 && scale > UInt128.MaxValue / digits)
        {
            magnitude = long.MaxValue;
        }
        else
        {
            UInt128 product = digits * scale;
            magnitude = product / divisor;
            // Rounding up is away from zero only for positive amounts, but negative ones do not occur outside of tests.
            if (magnitude * divisor != product)
            {
                magnitude++;
            }
        }

        long bounded = magnitude > (UInt128)long.MaxValue ? long.MaxValue : (long)magnitude;
        value = negative ? -bounded : bounded;
        return true;
    }

    private static bool TryReadSuffix(ReadOnlySpan<byte> suffix, out UInt128 multiplier, out UInt128 divisor)
    {
        multiplier = 1;
        divisor = 1;
        if (suffix.IsEmpty)
        {
            return true;
        }

        const string Binary = "KMGTPE";
        if (suffix.Length == 2 && suffix[1] == 'i' && Binary.IndexOf((char)suffix[0], StringComparison.Ordinal) is var power and >= 0)
        {
            multiplier = (UInt128)1 << (10 * (power + 1));
            return true;
        }

        if (suffix.Length == 1)
        {
            const string Small = "mun";
            const string Large = "kMGTPE";
            int exponent = Large.IndexOf((char)suffix[0], StringComparison.Ordinal) is var large and >= 0
                ? 3 * (large + 1)
                : -3 * (Small.IndexOf((char)suffix[0], StringComparison.Ordinal) + 1);
            return exponent != 0 && TryScale(exponent, out multiplier, out divisor);
        }

        return suffix[0] is (byte)'e' or (byte)'E'
            && System.Buffers.Text.Utf8Parser.TryParse(suffix[1..], out int given, out int used)
            && used == suffix.Length - 1
            && TryScale(given, out multiplier, out divisor);
    }

    private static bool TryScale(int exponent, out UInt128 multiplier, out UInt128 divisor)
    {
        multiplier = 1;
        divisor = 1;
        if (exponent is < -18 or > 18)
        {
            return false;
        }

        for (int i = 0; i < Math.Abs(exponent); i++)
        {
            if (exponent > 0)
            {
                multiplier *= 10;
            }
            else
            {
                divisor *= 10;
            }
        }

        return true;
    }
}
