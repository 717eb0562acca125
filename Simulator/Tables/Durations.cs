using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Tables;

/// <summary>Ages as kubectl users know them: at most two units, coarser the longer ago.</summary>
internal static class Durations
{
    public static string Since(JsonNode? timestamp, DateTimeOffset now) =>
        TryParse(timestamp, out DateTimeOffset time) ? Human(now - time) : "<unknown>";

    public static bool TryParse(JsonNode? timestamp, out DateTimeOffset time)
    {
        time = default;
        return timestamp is JsonValue value && value.TryGetValue(out string? text)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
    }

    public static string Human(TimeSpan span)
    {
        long seconds = (long)span.TotalSeconds;
        long minutes = seconds / 60;
        long hours = minutes / 60;
        long days = hours / 24;
        return seconds switch
        {
            // The clocks of two machines differ a little; more than that is a fault worth showing.
            < -1 => "<invalid>",
            < 0 => "0s",
            < 120 => $"{seconds}s",
            < 10 * 60 => Two(minutes, "m", seconds % 60, "s"),
            < 3 * 3600 => $"{minutes}m",
            < 8 * 3600 => Two(hours, "h", minutes % 60, "m"),
            < 48 * 3600 => $"{hours}h",
            < 8 * 86400 => Two(days, "d", hours % 24, "h"),
            < 2 * 365 * 86400L => $"{days}d",
            < 8 * 365 * 86400L => Two(days / 365, "y", days % 365, "d"),
            _ => $"{days / 365}y",
        };
    }

    private static string Two(long major, string majorUnit, long minor, string minorUnit) =>
        minor == 0 ? $"{major}{majorUnit}" : $"{major}{majorUnit}{minor}{minorUnit}";
}
