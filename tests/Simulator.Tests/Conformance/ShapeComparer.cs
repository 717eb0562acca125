using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>Compares a recorded JSON document with the simulator's: fields and types always, values where nobody generates them.</summary>
internal sealed partial class ShapeComparer(Translation translation, ComparisonRules rules)
{
    private const int MaxDifferences = 12;

    private readonly List<string> _differences = [];

    public IReadOnlyList<string> Compare(JsonNode? recorded, JsonNode? actual)
    {
        _differences.Clear();
        Compare("$", "", recorded, actual);
        return [.. _differences];
    }

    private void Compare(string path, string key, JsonNode? recorded, JsonNode? actual)
    {
        if (_differences.Count >= MaxDifferences || rules.IsIgnored(path))
        {
            return;
        }

        switch (recorded, actual)
        {
            case (JsonObject r, JsonObject a):
                CompareObjects(path, r, a);
                break;
            case (JsonArray r, JsonArray a):
                CompareLists(path, key, r, a);
                break;
            default:
                CompareValues(path, key, recorded, actual);
                break;
        }
    }

    private void CompareObjects(string path, JsonObject recorded, JsonObject actual)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach ((string name, JsonNode? value) in recorded)
        {
            string translated = translation.Text(name);
            if (actual.ContainsKey(translated))
            {
                seen.Add(translated);
                Compare($"{path}.{name}", name, value, actual[translated]);
            }
            else if (!rules.MayMiss(path, name))
            {
                _differences.Add($"{path}.{name} is missing; recorded {Short(value)}");
            }
        }

        foreach ((string name, JsonNode? value) in actual)
        {
            if (!seen.Contains(name) && !rules.MayAdd(path, name))
            {
                _differences.Add($"{path}.{name} is not in the recording; here {Short(value)}");
            }
        }
    }

    private void CompareLists(string path, string key, JsonArray recorded, JsonArray actual)
    {
        if (rules.IsSubset(path, key))
        {
            Dictionary<string, JsonNode?> known = new(StringComparer.Ordinal);
            foreach (JsonNode? item in recorded)
            {
                known.TryAdd(Identity(item), item);
            }

            foreach (JsonNode? item in actual)
            {
                if (known.TryGetValue(Identity(item), out JsonNode? twin))
                {
                    Compare($"{path}[{Identity(item)}]", key, twin, item);
                }
                else
                {
                    _differences.Add($"{path} has {Identity(item)}, which is not in the recording");
                }
            }

            return;
        }

        JsonNode?[] left = [.. recorded];
        JsonNode?[] right = [.. actual];
        if (key is "managedFields" or "conditions" or "resourceRules" or "nonResourceRules" or "causes")
        {
            // Their order depends on the second in which things happened, or on a hash table.
            Func<JsonNode?, string> order = key is not ("managedFields" or "conditions") ? i => i!.ToJsonString() : Identity;
            left = [.. left.OrderBy(order, StringComparer.Ordinal)];
            right = [.. right.OrderBy(order, StringComparer.Ordinal)];
        }

        if (left.Length != right.Length)
        {
            _differences.Add($"{path} has {right.Length} items, recorded {left.Length}: {string.Join(' ', right.Select(Identity))} / {string.Join(' ', left.Select(Identity))}");
        }

        for (int i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            Compare($"{path}[{i}]", key, left[i], right[i]);
        }
    }

    private void CompareValues(string path, string key, JsonNode? recorded, JsonNode? actual)
    {
        JsonValueKind left = Kind(recorded);
        JsonValueKind right = Kind(actual);
        if (left != right)
        {
            _differences.Add($"{path} is {Short(actual)}, recorded {Short(recorded)}");
        }
        else if (left is JsonValueKind.String && key == "cells" && Age().IsMatch(recorded!.GetValue<string>()) && Age().IsMatch(actual!.GetValue<string>()))
        {
            // The clock follows the recordings to the second and no closer.
        }
        else if (left is JsonValueKind.String && !rules.IsGenerated(path, key))
        {
            string wanted = Normal(translation.Text(recorded!.GetValue<string>()));
            string found = Normal(actual!.GetValue<string>());
            if (wanted != found)
            {
                _differences.Add($"{path} is \"{found}\", recorded \"{wanted}\"");
            }
        }
        else if (left is JsonValueKind.Number && !rules.IsGenerated(path, key) && recorded!.ToJsonString() != actual!.ToJsonString())
        {
            _differences.Add($"{path} is {actual.ToJsonString()}, recorded {recorded.ToJsonString()}");
        }
    }

    // Revisions, uids, addresses and times in messages differ from run to run.
    private static string Normal(string text) => Timestamp().Replace(Revision().Replace(Port().Replace(Uid().Replace(text, "UID"), "127.0.0.1:N"), "N"), "TIME");

    private static JsonValueKind Kind(JsonNode? node) => node?.GetValueKind() switch
    {
        null => JsonValueKind.Null,
        JsonValueKind.True or JsonValueKind.False => node.GetValueKind(),
        { } kind => kind,
    };

    private static string Identity(JsonNode? item) => item is not JsonObject o ? item?.ToString() ?? "null"
        : ((o["name"] is { } name && o["verbs"] is not null ? name : null) ?? o["name"] ?? o["metadata"]?["name"] ?? o["version"] ?? o["resource"] ?? o["groupVersion"] ?? o["type"])?.ToString()
            ?? $"{o["manager"]}/{o["operation"]}/{o["subresource"]}";

    private static string Short(JsonNode? node)
    {
        string text = node?.ToJsonString() ?? "null";
        return text.Length <= 120 ? text : text[..120] + "…";
    }

    [GeneratedRegex(@"(?<=resource version: |current: |\()\d+|\d+(?=\))", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Revision();

    [GeneratedRegex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Uid();

    [GeneratedRegex(@"^\d+s$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Age();

    [GeneratedRegex(@"127\.0\.0\.1:\d+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Port();

    [GeneratedRegex(@"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Timestamp();
}

/// <summary>Where values are generated, and where the simulator may know less than the recorded server.</summary>
/// <param name="Number">The recording.</param>
/// <param name="Discovery">True for documents that list what is served: the simulator serves a part of it.</param>
internal sealed record ComparisonRules(bool Discovery, int Number)
{
    private static readonly HashSet<string> Generated = new(StringComparer.Ordinal)
    {
        "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time", "continue", "description", "token", "expirationTimestamp", "startTime",
        "lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "lastProbeTime", "firstTimestamp", "lastTimestamp", "eventTime", "renewTime", "acquireTime",
        "clusterIP", "clusterIPs", "podIP", "ca.crt", "storageVersionHash", "kubernetes.io/description", "collisionCount", "serverRelativeURL",
        "k8s.io/initial-events-end", "kubernetes.io/initial-events-list-blueprint", "hostIP", "authentication.kubernetes.io/credential-id", "serverAddress",
    };

    // These answers show controllers in the middle of their work; ours are done when the request comes.
    private static readonly HashSet<int> Midway = [186];

    // The number of pods and events that are left by then is that of the controllers.
    private const int CountsDiffer = 270;

    private static readonly HashSet<int> CountsMidway = [202, 203, 204];

    // Written through events.k8s.io by the scheduler there, and through the core group here.
    private static readonly HashSet<int> OtherVersion = [276, 277];

    // The causes come in the order of a hash table there.
    private const int UnorderedMessage = 288;

    public bool IsIgnored(string path) => (Number == UnorderedMessage && path == "$.message") || (Midway.Contains(Number) && path == "$.status")
        || (CountsMidway.Contains(Number) && path is "$.status.replicas" or "$.status.updatedReplicas" or "$.status.unavailableReplicas")
        || (OtherVersion.Contains(Number) && path.EndsWith(".managedFields", StringComparison.Ordinal));

    // Which pod went to which node (a cell of pod tables too) is the scheduler's choice.
    public bool IsGenerated(string path, string key) =>
        Generated.Contains(key) || (key == "remainingItemCount" && Number > CountsDiffer) || (OtherVersion.Contains(Number) && key is "message" or "note") || key is "nodeName" or "reportingInstance" || (key == "cells" && path.EndsWith(".cells[6]", StringComparison.Ordinal) && Number is 105 or 106) || (key == "kubernetes.io/hostname" && path.Contains("labels", StringComparison.Ordinal) && Number == 279) || (key is "name" or "mountPath" && path.Contains("olume", StringComparison.Ordinal));

    public bool IsSubset(string path, string key) =>
        Discovery && key is "resources" or "groups" or "items" or "versions" or "subresources" or "paths" or "shortNames" or "categories";

    // Reviews and tokens are never stored; the real server notes their managers all the same.
    public bool MayMiss(string path, string name) => (Number is >= 267 and <= 273 && name == "managedFields") || Discovery && name is "storageVersionHash" || (Discovery && path == "$.paths");

    public bool MayAdd(string path, string name) => false;
}
