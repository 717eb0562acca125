using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using MultiCluster.Simulator.Controllers;
using MultiCluster.Simulator.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>Replays the recordings of one cluster, in recorded order, against one simulated cluster.</summary>
/// <remarks>
/// The clock is virtual and follows the Date of the recordings, so that ages are the recorded ones; while an answer is outstanding it runs on.
/// Watches stay open beside the requests that follow, for as long as the recorded ones did.
/// </remarks>
internal sealed partial class Replay : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(20);
    private const int MaxBeats = 400;
    private const int BeatsOfASlowAnswer = 25;

    private readonly ManualTimeProvider _time;
    private readonly SimulatedCluster _cluster;
    private readonly HttpClient _http;
    private readonly Translation _translation = new();
    private readonly List<(Recording Recording, ReplayedWatch Watch, DateTimeOffset Start, string Request)> _open = [];
    private readonly Dictionary<string, ReplayOutcome> _outcomes = new(StringComparer.Ordinal);
    private string _serviceAccountToken = "";

    private Replay(SimulatedCluster cluster, ManualTimeProvider time)
    {
        _cluster = cluster;
        _time = time;
        // The recordings say Accept-Encoding themselves; certificates are not what they are about.
        var handler = new SocketsHttpHandler { AutomaticDecompression = DecompressionMethods.None, UseProxy = false };
        _http = new HttpClient(handler) { BaseAddress = cluster.Url, Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Replays everything and returns an outcome per folder.</summary>
    public static async Task<IReadOnlyDictionary<string, ReplayOutcome>> RunAsync(IReadOnlyList<Recording> recordings, bool housekeeping)
    {
        var time = new ManualTimeProvider(recordings.First(r => r.Date is not null).Date!.Value);
        var options = new SimulatedClusterOptions
        {
            Time = time,
            Tls = false,
            Housekeeping = housekeeping,
            Controllers = housekeeping,
            ControllerSettings = new ControllerOptions { RunPods = false },
            // The lease is there from the start, and nothing moves the revision but the recorded requests.
            LeaseRenewal = TimeSpan.FromDays(1),
        };
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(options);
        await using Replay replay = new(cluster, time);
        foreach (Recording recording in recordings)
        {
            await replay.StepAsync(recording);
        }

        await replay.CloseAsync(DateTimeOffset.MaxValue);
        return replay._outcomes;
    }

    public async ValueTask DisposeAsync()
    {
        foreach ((_, ReplayedWatch watch, _, _) in _open)
        {
            await watch.DisposeAsync();
        }

        _http.Dispose();
    }

    private async Task StepAsync(Recording recording)
    {
        foreach (string step in SetupScript.Before(recording.Number))
        {
            await SetUpAsync(step);
        }

        DateTimeOffset date = recording.Date ?? _time.GetUtcNow();
        await CloseAsync(date);
        await AdvanceToAsync(date);
        if (OutOfScope.Contains(recording.Name))
        {
            return;
        }

        try
        {
            await ReplayAsync(recording);
        }
        catch (Exception failure) when (failure is HttpRequestException or TimeoutException or IOException or InvalidOperationException)
        {
            _outcomes[recording.Name] = new ReplayOutcome(recording.Name, recording.Target, 0, "", [failure.ToString()]);
        }

        if (recording.Method != "GET" && recording.Status < 300)
        {
            await SettleAsync();
        }
    }

    private async Task ReplayAsync(Recording recording)
    {
        if (recording.IsWatch && Revision().Match(recording.Target) is { Success: true } match && match.Groups[1].Value.Length < 7)
        {
            _translation.EnsureRevision(match.Groups[1].Value, _cluster.Revision);
        }

        string target = _translation.Request(recording.Target);
        using HttpRequestMessage request = Request(recording, target);
        HttpResponseMessage response = await SendAsync(request);
        if (recording.IsWatch && response.StatusCode == HttpStatusCode.OK)
        {
            _open.Add((recording, new ReplayedWatch(response), recording.Date ?? _time.GetUtcNow(), $"{recording.Method} {target}"));
            await SettleAsync();   // what it begins with must be told before anything else changes
            return;
        }

        byte[] bytes = await response.Content.ReadAsByteArrayAsync().WaitAsync(Deadline);
        response.Dispose();
        if (response.Content.Headers.ContentEncoding.Contains("gzip"))
        {
            using var unzipped = new System.IO.Compression.GZipStream(new MemoryStream(bytes), System.IO.Compression.CompressionMode.Decompress);
            using var plain = new MemoryStream();
            await unzipped.CopyToAsync(plain);
            bytes = plain.ToArray();
        }

        string answer = Encoding.UTF8.GetString(bytes);
        List<string> differences = [];
        CompareHead(recording, response, differences);
        CompareBody(recording, answer, differences);
        _outcomes[recording.Name] = new ReplayOutcome(recording.Name, $"{recording.Method} {target}", (int)response.StatusCode, answer, differences);
    }

    // A server that waits (for a revision, a timeout) waits on the virtual clock. One that is only slow has armed no timer, and one
    // whose controllers have must not grow old over it: ages are compared.
    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request)
    {
        int armed = _time.ArmedCount;
        Task<HttpResponseMessage> sending = _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        for (int beat = 0; beat < MaxBeats && await Task.WhenAny(sending, Task.Delay(Beat, TimeProvider.System)) != sending; beat++)
        {
            if (beat > BeatsOfASlowAnswer && _time.ArmedCount > armed)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
            }
        }

        return await sending.WaitAsync(Deadline);
    }

    private HttpRequestMessage Request(Recording recording, string target)
    {
        var request = new HttpRequestMessage(new HttpMethod(recording.Method), target);
        string body = SetupScript.FullBody(recording);
        if (body.Length > 0 || recording.Header("Content-Type") is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(_translation.Body(body)));
        }

        string? authorization = recording.Header("Authorization");
        bool anonymous = Who.IsAnonymous(recording.Name);
        string token = authorization switch
        {
            null when anonymous => "",
            null => _cluster.AdminToken,
            "Bearer REDACTED" when recording.Name.StartsWith("274", StringComparison.Ordinal) => _serviceAccountToken,
            "Bearer REDACTED" => _cluster.ReaderToken,
            _ => authorization["Bearer ".Length..],
        };
        if (token.Length > 0)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        foreach ((string name, string value) in recording.Headers)
        {
            if (name is "Content-Type")
            {
                request.Content!.Headers.TryAddWithoutValidation(name, value);
            }
            else if (name is not ("Host" or "Authorization" or "Content-Length" or "Expect"))
            {
                request.Headers.TryAddWithoutValidation(name, _translation.Text(value));
            }
        }

        return request;
    }

    private void CompareHead(Recording recording, HttpResponseMessage response, List<string> differences)
    {
        if ((int)response.StatusCode != recording.Status)
        {
            differences.Add($"status {(int)response.StatusCode}, recorded {recording.Status}");
        }

        string? wanted = recording.Header("Content-Type", response: true);
        string? found = response.Content.Headers.NonValidated.TryGetValues("Content-Type", out HeaderStringValues values) ? values.ToString() : null;
        if (wanted != found)
        {
            differences.Add($"Content-Type {found}, recorded {wanted}");
        }

        foreach (string name in (string[])["Retry-After", "Allow", "X-Content-Type-Options"])
        {
            string? recorded = recording.Header(name, response: true);
            string? here = response.Headers.TryGetValues(name, out IEnumerable<string>? one) || response.Content.Headers.TryGetValues(name, out one) ? one!.First() : null;
            if (recorded != here)
            {
                differences.Add($"{name} {here}, recorded {recorded}");
            }
        }

        string[] warnings = [.. recording.ResponseHeaders.Where(h => h.Name == "Warning").Select(h => h.Value)];
        string[] given = response.Headers.TryGetValues("Warning", out IEnumerable<string>? all) ? [.. all] : [];
        if (string.Join('|', warnings) != string.Join('|', given))
        {
            differences.Add($"Warning {string.Join('|', given)}, recorded {string.Join('|', warnings)}");
        }

        if (response.Headers.ETag is { } etag && recording.Header("ETag", response: true) is { } recordedTag)
        {
            _translation.LearnName(recordedTag, etag.ToString());
        }
    }

    private void CompareBody(Recording recording, string answer, List<string> differences)
    {
        IReadOnlyList<JsonNode>? recorded = recording.Documents;
        if (recorded is null)
        {
            if (Text(recording.ResponseText) != Text(answer))
            {
                differences.Add($"the text is {Text(answer)}; recorded {Text(recording.ResponseText)}");
            }

            return;
        }

        IReadOnlyList<JsonNode>? actual = Recording.ReadDocuments(answer, lines: false);
        if (actual is null || actual.Count != recorded.Count)
        {
            differences.Add($"the body is not what was recorded: {recording.ResponseText[..Math.Min(300, recording.ResponseText.Length)]}");
            return;
        }

        var comparer = new ShapeComparer(_translation, new ComparisonRules(Who.IsDiscovery(recording.Name), recording.Number));
        for (int i = 0; i < recorded.Count; i++)
        {
            _translation.Learn(recorded[i], actual[i]);
            differences.AddRange(comparer.Compare(recorded[i], actual[i]));
            if (recording.Name.StartsWith("273", StringComparison.Ordinal))
            {
                _serviceAccountToken = actual[i]["status"]?["token"]?.ToString() ?? "";
            }
        }
    }

    // YAML and plain text: what is generated does not count, nor whether a key of fieldsV1 is quoted.
    private string Text(string text) => Generated().Replace(QuotedKey().Replace(_translation.Text(text).Trim(), "$1:"), "~");

    private async Task CloseAsync(DateTimeOffset date)
    {
        foreach ((Recording recording, ReplayedWatch watch, DateTimeOffset start, string request) in _open.ToArray())
        {
            WatchTiming timing = recording.Timing!;
            if (start + TimeSpan.FromSeconds(Math.Round(timing.End)) > date)
            {
                continue;
            }

            List<string> differences = [];
            await AdvanceToAsync(start + TimeSpan.FromSeconds(timing.End));
            _open.RemoveAll(o => o.Recording == recording);
            // All is told by now, and only on its way. Where several are merged there may be fewer than recorded.
            await watch.WaitForAsync(timing.Events.Count, timing.EndedByServer ? Beat : Who.IsByObject(recording.Name) ? TimeSpan.FromSeconds(1) : Deadline);
            if (timing.EndedByServer)
            {
                DateTimeOffset end = start + TimeSpan.FromSeconds(timing.End);
                for (int beat = 0; beat < MaxBeats && !watch.Ended; beat++)
                {
                    if (_time.GetUtcNow() < end + TimeSpan.FromSeconds(3))
                    {
                        _time.Advance(TimeSpan.FromMilliseconds(500));
                    }

                    await watch.WaitForEndAsync(Beat);
                }

                if (!watch.Ended)
                {
                    differences.Add("the server did not end the stream, recorded that it did");
                }
            }
            else if (watch.Ended)
            {
                differences.Add("the server ended the stream, recorded that it stayed open");
            }

            IReadOnlyList<JsonNode> events = watch.Events;
            CompareHead(recording, watch.Response, differences);
            CompareEvents(recording, events, differences);
            _outcomes[recording.Name] = new ReplayOutcome(recording.Name, request, 200, string.Join('\n', events.Select(e => e.ToJsonString())), differences);
            await watch.DisposeAsync();
        }
    }

    private void CompareEvents(Recording recording, IReadOnlyList<JsonNode> events, List<string> differences)
    {
        IReadOnlyList<JsonNode> recorded = recording.Documents!;
        if (Who.IsByObject(recording.Name))
        {
            // Controllers of several objects ran beside each other: only the order per object is defined, and how many steps they took is not.
            recorded = Merged(recorded);
            events = Merged(events);
        }

        for (int i = 0; i < Math.Min(recorded.Count, events.Count); i++)
        {
            _translation.Learn(recorded[i], events[i]);
        }

        string Line(JsonNode e) => $"{e["type"]} {_translation.Text(e["object"]?["metadata"]?["name"]?.ToString() ?? e["object"]?["kind"]?.ToString() ?? "")}";
        string wanted = string.Join(", ", recorded.Select(Line));
        string found = string.Join(", ", events.Select(Line));
        if (wanted != found)
        {
            differences.Add($"events {found}; recorded {wanted}");
            return;
        }

        var comparer = new ShapeComparer(_translation, new ComparisonRules(false, recording.Number));
        for (int i = 0; i < recorded.Count; i++)
        {
            differences.AddRange(comparer.Compare(recorded[i], events[i]).Select(d => $"event {i}: {d}"));
        }
    }

    private static List<JsonNode> Merged(IReadOnlyList<JsonNode> events)
    {
        List<JsonNode> merged = [];
        foreach (JsonNode e in events.OrderBy(e => e["object"]!["metadata"]!["name"]!.ToString().Split('-')[0], StringComparer.Ordinal))
        {
            if (merged.Count > 0 && e["type"]!.ToString() == "MODIFIED" && merged[^1]["type"]!.ToString() == "MODIFIED"
                && merged[^1]["object"]!["metadata"]!["name"]!.ToString() == e["object"]!["metadata"]!["name"]!.ToString())
            {
                merged[^1] = e;
            }
            else
            {
                merged.Add(e);
            }
        }

        return merged;
    }

    private async Task AdvanceToAsync(DateTimeOffset date)
    {
        // In small steps while watches are open: each timer of theirs finds its own time.
        while (_open.Count > 0 && date - _time.GetUtcNow() > TimeSpan.FromSeconds(1))
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await SettleAsync();
        }

        if (date > _time.GetUtcNow())
        {
            _time.Advance(date - _time.GetUtcNow());
            await SettleAsync();
        }
    }

    private async Task SetUpAsync(string step)
    {
        string[] words = step.Split(' ', step.StartsWith("learn", StringComparison.Ordinal) ? 4 : 3);
        switch (words[0])
        {
            case "settle":
                await SettleAsync();
                return;
            case "now":
                _translation.LearnRevision(words[1], _cluster.Revision.ToString(System.Globalization.CultureInfo.InvariantCulture), pin: true);
                return;
            case "advance":
                await AdvanceToAsync(_time.GetUtcNow() + TimeSpan.FromSeconds(int.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture)));
                return;
            case "compact":
                _cluster.Compact();
                return;
            case "restart":
                await _cluster.RestartAsync();
                return;
            case "watchlist-off":
                _cluster.WatchList = false;
                return;
            case "learn":
                JsonNode known = (await AskAsync(HttpMethod.Get, words[2], null))["metadata"]!;
                _translation.LearnRevision(words[1], known["resourceVersion"]!.ToString());
                if (words.Length > 3)
                {
                    _translation.LearnName(words[3], known["uid"]!.ToString());
                }

                return;
            case "big-configmaps":
                foreach (JsonNode? item in Recording.All.First(r => r.Number == 320).Documents![0]["items"]!.AsArray().Where(i => i!["metadata"]!["name"]!.ToString().StartsWith("big-", StringComparison.Ordinal)))
                {
                    string big = new JsonObject { ["metadata"] = new JsonObject { ["name"] = item!["metadata"]!["name"]!.ToString() }, ["data"] = item["data"]!.DeepClone() }.ToJsonString();
                    await AskAsync(HttpMethod.Post, "/api/v1/namespaces/b/configmaps", big);
                }

                return;
            case "bind":
                JsonNode newest = (await AskAsync(HttpMethod.Get, words[2], null))["items"]!.AsArray().MaxBy(i => long.Parse(i!["metadata"]!["resourceVersion"]!.ToString(), System.Globalization.CultureInfo.InvariantCulture))!;
                _translation.LearnName(words[1], newest["metadata"]!["name"]!.ToString());
                return;
            default:
                await AskAsync(new HttpMethod(words[0]), words[1], words.Length > 2 ? words[2] : null);
                return;
        }
    }

    private async Task<JsonNode> AskAsync(HttpMethod method, string target, string? body)
    {
        using var request = new HttpRequestMessage(method, _translation.Request(target));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _cluster.AdminToken);
        request.Headers.TryAddWithoutValidation("User-Agent", "recorder/1.0");
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, method == HttpMethod.Patch ? "application/merge-patch+json" : "application/json");
        }

        using HttpResponseMessage response = await SendAsync(request);
        string text = await response.Content.ReadAsStringAsync().WaitAsync(Deadline);
        return response.IsSuccessStatusCode ? JsonNode.Parse(text)! : throw new InvalidOperationException($"Setup {method} {target}: {text}");
    }

    // Until the controllers have done what follows from the writes so far, and the open watches have told it.
    private async Task SettleAsync()
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!_cluster.IsSettled)
        {
            if (TimeProvider.System.GetElapsedTime(start) > Deadline)
            {
                throw new TimeoutException("The simulated cluster does not come to rest.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    [GeneratedRegex(@"[?&]resourceVersion=(\d+)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Revision();

    [GeneratedRegex("\"(f:[^\"\n]*)\":", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex QuotedKey();

    [GeneratedRegex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ|[0-9a-f]{8}-[0-9a-f-]{27}|resourceVersion: \"\\d+\"", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Generated();
}
