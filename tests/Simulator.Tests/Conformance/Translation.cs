using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>What the recorded server called one thing and the simulator calls another: uids, generated names, revisions.</summary>
/// <remarks>Learnt by laying each recorded answer beside the simulator's; used to translate the requests that follow.</remarks>
internal sealed partial class Translation
{
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);
    private readonly HashSet<string> _pinned = new(StringComparer.Ordinal);
    private readonly SortedDictionary<long, long> _revisions = [];

    public void LearnName(string recorded, string actual)
    {
        if (recorded.Length > 4 && recorded != actual)
        {
            _names[recorded] = actual;
        }
    }

    public void LearnRevision(string recorded, string actual, bool pin = false)
    {
        if (_pinned.Contains(recorded))
        {
            return;
        }

        if (pin)
        {
            _pinned.Add(recorded);
        }

        if (long.TryParse(recorded, out long from) && long.TryParse(actual, out long to) && to > 0)
        {
            _revisions[from] = to;
        }
    }

    /// <summary>A watch began at what was the present then; nothing else told us that revision.</summary>
    public void EnsureRevision(string recorded, long current)
    {
        long number = long.Parse(recorded, System.Globalization.CultureInfo.InvariantCulture);
        if (number >= 6 && !_revisions.ContainsKey(number) && (_revisions.Count == 0 || number > _revisions.Keys.Last()))
        {
            _revisions[number] = current;
        }
    }

    /// <summary>Lays two answers side by side and remembers what differs where values are generated.</summary>
    public void Learn(JsonNode? recorded, JsonNode? actual)
    {
        switch (recorded, actual)
        {
            case (JsonObject r, JsonObject a):
                foreach ((string key, JsonNode? value) in r)
                {
                    if (value is JsonValue && a[key] is JsonValue twin)
                    {
                        LearnValue(key, value.ToString(), twin.ToString());
                    }
                    else
                    {
                        Learn(value, a[key]);
                    }
                }

                break;
            case (JsonArray r, JsonArray a) when r.Count > 0 && r[0] is JsonObject first && first.ContainsKey("type") && first.ContainsKey("status"):
                foreach (JsonNode? condition in r)
                {
                    Learn(condition, a.FirstOrDefault(c => c?["type"]?.ToString() == condition?["type"]?.ToString()));
                }

                break;
            case (JsonArray r, JsonArray a):
                for (int i = 0; i < Math.Min(r.Count, a.Count); i++)
                {
                    Learn(r[i], a[i]);
                }

                break;
        }
    }

    public string Text(string recorded)
    {
        // Longer names first: a pod's name contains its replica set's.
        foreach ((string from, string to) in _names.OrderByDescending(n => n.Key.Length))
        {
            recorded = recorded.Replace(from, to, StringComparison.Ordinal);
        }

        return recorded;
    }

    public string Request(string target) => ContinueParameter().Replace(RevisionParameter().Replace(Text(target),
        m => $"resourceVersion={Revision(m.Groups[1].Value)}"), m => $"continue={Continue(m.Groups[1].Value)}");

    public string Body(string body) => RevisionField().Replace(Text(body), m => $"\"resourceVersion\":{m.Groups[1].Value}\"{Revision(m.Groups[2].Value)}\"");

    private string Revision(string recorded)
    {
        // 0, revisions of the first moments and those far in the future mean the same everywhere.
        if (!long.TryParse(recorded, out long number) || number < 6 || number > 1_000_000 || _revisions.Count == 0)
        {
            return recorded;
        }

        return _revisions.LastOrDefault(r => r.Key <= number, _revisions.First()).Value.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    private string Continue(string token)
    {
        try
        {
            string padded = token.Replace('-', '+').Replace('_', '/') + new string('=', (4 - (token.Length % 4)) % 4);
            var json = (JsonObject)JsonNode.Parse(Convert.FromBase64String(padded))!;
            if (json["rv"]!.GetValue<long>() > 0)
            {
                json["rv"] = long.Parse(Revision(json["rv"]!.ToString()), System.Globalization.CultureInfo.InvariantCulture);
            }

            json["start"] = Text(json["start"]!.GetValue<string>());
            return Convert.ToBase64String(Encoding.UTF8.GetBytes(json.ToJsonString())).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        }
        catch (Exception e) when (e is FormatException or System.Text.Json.JsonException)
        {
            return token;
        }
    }

    private void LearnValue(string key, string recorded, string actual)
    {
        switch (key)
        {
            case "resourceVersion":
                LearnRevision(recorded, actual);
                break;
            case "uid" or "pod-template-hash":
                LearnName(recorded, actual);
                break;
            case "name" or "generateName" when SameForm(recorded, actual):
                LearnName(recorded, actual);
                break;
            case "message" when Quoted().Match(recorded) is { Success: true } r && Quoted().Match(actual) is { Success: true } a && SameForm(r.Value, a.Value):
                LearnName(r.Value, a.Value);
                break;
        }
    }

    // Generated names differ only after the part that was given: web-7df5696cdb, web-69df5765bf.
    private static bool SameForm(string recorded, string actual)
    {
        string[] left = recorded.Split('-', '.');
        string[] right = actual.Split('-', '.');
        return left.Length == right.Length && left.Length > 1 && left[0] == right[0] && left[^1].Length > 3 == right[^1].Length > 3;
    }

    [GeneratedRegex("(?<=eplica ?[Ss]et \")[a-z0-9-]+(?=\")", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"(?<=[?&])resourceVersion=(\d+)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex RevisionParameter();

    [GeneratedRegex(@"(?<=[?&])continue=([^&]+)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex ContinueParameter();

    [GeneratedRegex("\"resourceVersion\":(\\s*)\"(\\d+)\"", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex RevisionField();
}
