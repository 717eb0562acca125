namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>Reads server-sent events as the standard says.</summary>
internal static class EventStreamReader
{
    /// <summary>Everything up to and with the first event of a type.</summary>
    public static async Task<List<(string Type, string Data)>> UntilAsync(StreamReader reader, string type, CancellationToken cancellationToken)
    {
        List<(string Type, string Data)> events = [];
        string name = "message";
        string data = "";
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.StartsWith("event: ", StringComparison.Ordinal))
            {
                name = line["event: ".Length..];
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                data += line["data: ".Length..];
            }
            else if (line.Length == 0)
            {
                events.Add((name, data));
                if (name == type)
                {
                    return events;
                }

                (name, data) = ("message", "");
            }
        }

        throw new EndOfStreamException($"The stream ended before an event '{type}'; there were {string.Join(", ", events.Select(e => e.Type))}.");
    }
}
