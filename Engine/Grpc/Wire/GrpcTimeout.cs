using System.Globalization;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>Reads and writes <c>grpc-timeout</c>: at most eight digits and a unit (H, M, S, m, u, n).</summary>
internal static class GrpcTimeout
{
    private const long LargestValue = 99_999_999;

    /// <summary>What eight digits of seconds can say, over three years; longer ones are cut to it, as other implementations do.</summary>
    public static readonly TimeSpan Largest = TimeSpan.FromSeconds(LargestValue);

    /// <summary>False for anything that the grammar does not allow; the caller then has no deadline.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > 9 || !long.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long value))
        {
            return false;
        }

        long? ticksPerHundred = text[^1] switch
        {
            'H' => TimeSpan.TicksPerHour * 100,
            'M' => TimeSpan.TicksPerMinute * 100,
            'S' => TimeSpan.TicksPerSecond * 100,
            'm' => TimeSpan.TicksPerMillisecond * 100,
            'u' => TimeSpan.TicksPerMicrosecond * 100,
            'n' => 1,   // a tick is 100 ns
            _ => null,
        };
        if (ticksPerHundred is not { } factor)
        {
            return false;
        }

        var ticks = (Int128)value * factor / 100;
        timeout = ticks > Largest.Ticks ? Largest : new TimeSpan((long)ticks);
        return true;
    }

    /// <summary>The finest unit whose value fits in eight digits, rounded up so that no deadline comes early.</summary>
    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return "1n";
        }

        if (timeout >= Largest)
        {
            return "99999999S";
        }

        return Try(1, 100, 'n') ?? Try(TimeSpan.TicksPerMicrosecond, 1, 'u') ?? Try(TimeSpan.TicksPerMillisecond, 1, 'm')
            ?? Try(TimeSpan.TicksPerSecond, 1, 'S') ?? "99999999S";

        string? Try(long ticksPerUnit, long multiplier, char unit)
        {
            long value = ((timeout.Ticks + ticksPerUnit - 1) / ticksPerUnit) * multiplier;
            return value <= LargestValue ? string.Create(CultureInfo.InvariantCulture, $"{value}{unit}") : null;
        }
    }
}
