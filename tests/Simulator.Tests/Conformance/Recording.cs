using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>One recorded exchange with a real API server.</summary>
internal sealed class Recording
{
    private readonly string _folder;

    private Recording(string folder)
    {
        _folder = folder;
        Name = Path.GetFileName(folder);
        (string head, Body) = Split(ReadText("request.txt"));
        string[] lines = [.. head.Split('\n').Where(l => !l.StartsWith('#'))];
        string[] start = lines[0].Split(' ');
        (Method, Target) = (start[0], start[1]);
        Headers = [.. lines[1..].Select(Header)];
        // The last block counts: an interim "100 Continue" comes first.
        string[] blocks = ReadText("response.headers.txt").Trim().Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        string[] answer = blocks.Length == 0 ? [] : blocks[^1].Trim().Split('\n');
        Status = answer.Length > 0 && answer[0].StartsWith("HTTP/", StringComparison.Ordinal) ? int.Parse(answer[0].Split(' ')[1], CultureInfo.InvariantCulture) : 0;
        ResponseHeaders = answer.Length == 0 ? [] : [.. answer[1..].Select(Header)];
        Timing = File.Exists(Path.Combine(folder, "timing.txt")) ? WatchTiming.Parse(ReadText("timing.txt")) : null;
    }

    /// <summary>All recordings, in recorded order.</summary>
    public static IReadOnlyList<Recording> All { get; } =
        [.. Directory.GetDirectories(Path.Combine(AppContext.BaseDirectory, "Recordings")).Order(StringComparer.Ordinal).Select(d => new Recording(d))];

    public string Name { get; }
    public int Number => int.Parse(Name.AsSpan(0, 3), CultureInfo.InvariantCulture);
    public string Method { get; }
    public string Target { get; }
    public string Body { get; }
    public IReadOnlyList<(string Name, string Value)> Headers { get; }
    public int Status { get; }
    public IReadOnlyList<(string Name, string Value)> ResponseHeaders { get; }

    /// <summary>When the events of a watch came; null for everything else.</summary>
    public WatchTiming? Timing { get; }

    public bool IsWatch => Timing is not null;

    public string? Header(string name, bool response = false) =>
        (response ? ResponseHeaders : Headers).FirstOrDefault(h => h.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    /// <summary>When the server answered; null where there was no answer.</summary>
    public DateTimeOffset? Date => Header("Date", response: true) is { } text ? DateTimeOffset.Parse(text, CultureInfo.InvariantCulture) : null;

    public string ResponseText => Directory.GetFiles(_folder, "response.body.*").Select(File.ReadAllText).FirstOrDefault() ?? "";

    /// <summary>The events of a watch, or the one document of any other answer; null when it is no JSON.</summary>
    public IReadOnlyList<JsonNode>? Documents => ReadDocuments(ResponseText, IsWatch);

    public static IReadOnlyList<JsonNode>? ReadDocuments(string text, bool lines)
    {
        try
        {
            return lines
                ? [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!)]
                : text.Length == 0 ? [] : [JsonNode.Parse(text)!];
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }

    private string ReadText(string file) => File.ReadAllText(Path.Combine(_folder, file), Encoding.UTF8).Replace("\r\n", "\n", StringComparison.Ordinal);

    private static (string Head, string Body) Split(string request)
    {
        int end = request.IndexOf("\n\n", StringComparison.Ordinal);
        return end < 0 ? (request.TrimEnd(), "") : (request[..end], request[(end + 2)..].TrimEnd('\n'));
    }

    private static (string Name, string Value) Header(string line)
    {
        int colon = line.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? (line, "") : (line[..colon].Trim(), line[(colon + 1)..].Trim());
    }
}

/// <summary>The times of a recorded watch.</summary>
/// <param name="Events">Seconds after the start, one per event.</param>
/// <param name="End">Seconds after the start at which it ended.</param>
/// <param name="EndedByServer">False when the client hung up.</param>
internal sealed record WatchTiming(IReadOnlyList<double> Events, double End, bool EndedByServer)
{
    public static WatchTiming Parse(string text)
    {
        List<double> events = [];
        double end = 0;
        bool server = false;
        foreach (string line in text.Split('\n').Where(l => l.Length > 0 && l[0] != '#'))
        {
            double at = double.Parse(line.AsSpan(0, line.IndexOf(' ', StringComparison.Ordinal)), CultureInfo.InvariantCulture);
            if (line.Contains(" end: ", StringComparison.Ordinal))
            {
                (end, server) = (at, line.Contains("server ended", StringComparison.Ordinal));
            }
            else
            {
                events.Add(at);
            }
        }

        return new WatchTiming(events, end, server);
    }
}
