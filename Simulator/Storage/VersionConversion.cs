using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Storage;

/// <summary>Converts between the version of a request and the stored one: events of two groups, autoscalers of two versions.</summary>
internal static class VersionConversion
{
    // events.k8s.io on the left, core on the right.
    private static readonly (string New, string Old)[] EventFields =
    [
        ("regarding", "involvedObject"), ("note", "message"), ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"), ("deprecatedCount", "count"), ("reportingController", "reportingComponent"),
    ];

    private static readonly string[] NewEventOrder =
    [
        "metadata", "eventTime", "series", "reportingController", "reportingInstance", "action", "reason", "regarding", "related", "note", "type",
        "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount",
    ];

    /// <summary>Whether stored objects go out in another shape than they are stored in.</summary>
    public static bool Reshapes(ApiResource resource) =>
        resource.Group == "events.k8s.io" || (resource.Plural == "horizontalpodautoscalers" && resource.Version == "v1");

    /// <summary>The object in the version of the resource; the same instance where nothing differs.</summary>
    public static JsonObject FromStorage(ApiResource resource, JsonObject stored)
    {
        if (!Reshapes(resource))
        {
            return stored;
        }

        if (resource.Plural == "events")
        {
            var renamed = Rename(stored, EventFields.Select(f => (f.Old, f.New)));
            var ordered = new JsonObject();
            foreach (string key in NewEventOrder.Concat(renamed.Select(p => p.Key)).Distinct(StringComparer.Ordinal))
            {
                // The newer form leaves the reporter out where it is empty; the older one always writes it.
                if (renamed.TryGetPropertyValue(key, out JsonNode? value) && !(key.StartsWith("reporting", StringComparison.Ordinal) && renamed.Text(key) is ""))
                {
                    ordered[key] = value?.DeepClone();
                }
            }

            return ordered;
        }

        var scaler = (JsonObject)stored.DeepClone();
        JsonArray metrics = scaler.At("spec", "metrics") as JsonArray ?? [];
        JsonNode? cpu = metrics.FirstOrDefault(m => m.Text("resource", "name") == "cpu");
        scaler.Section("spec").Remove("metrics");
        if (cpu.At("resource", "target", "averageUtilization") is { } utilisation)
        {
            scaler.Section("spec")["targetCPUUtilizationPercentage"] = utilisation.DeepClone();
        }

        return scaler;
    }

    /// <summary>A request body in the stored version; the same instance where nothing differs.</summary>
    public static JsonObject ToStorage(ApiResource resource, JsonObject body)
    {
        if (!Reshapes(resource))
        {
            return body;
        }

        if (resource.Plural == "events")
        {
            return Rename(body, EventFields);
        }

        var scaler = (JsonObject)body.DeepClone();
        if (scaler.At("spec", "targetCPUUtilizationPercentage") is { } percent)
        {
            scaler.Section("spec").Remove("targetCPUUtilizationPercentage");
            scaler.Section("spec")["metrics"] = new JsonArray(new JsonObject
            {
                ["type"] = "Resource",
                ["resource"] = new JsonObject
                {
                    ["name"] = "cpu",
                    ["target"] = new JsonObject { ["type"] = "Utilization", ["averageUtilization"] = percent.DeepClone() },
                },
            });
        }

        return scaler;
    }

    private static JsonObject Rename(JsonObject source, IEnumerable<(string From, string To)> names)
    {
        Dictionary<string, string> map = names.ToDictionary(n => n.From, n => n.To, StringComparer.Ordinal);
        var renamed = new JsonObject();
        foreach ((string key, JsonNode? value) in source)
        {
            renamed[map.GetValueOrDefault(key, key)] = value?.DeepClone();
        }

        return renamed;
    }
}
