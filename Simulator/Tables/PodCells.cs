using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Tables;

/// <summary>The summary of a pod in one line: containers ready, the one word for its state, restarts.</summary>
internal static class PodCells
{
    public static JsonNode?[] For(JsonObject pod, DateTimeOffset now)
    {
        JsonNode? status = pod["status"];
        Dictionary<string, bool> sidecars = pod.Items("spec", "initContainers")
            .GroupBy(c => c.TextAt("name")).ToDictionary(g => g.Key, g => g.First().TextAt("restartPolicy") == "Always");
        int total = pod.Items("spec", "containers").Count() + sidecars.Values.Count(s => s);
        string reason = status.TextAt("reason") is { Length: > 0 } given ? given : status.TextAt("phase");
        JsonObject? scheduled = status.Items("conditions").FirstOrDefault(c => c.TextAt("type") == "PodScheduled");
        reason = scheduled.TextAt("reason") == "SchedulingGated" ? "SchedulingGated" : reason;

        var restarts = new RestartCount();
        int ready = 0;
        bool initializing = false;
        JsonObject[] init = [.. status.Items("initContainerStatuses")];
        for (int i = 0; i < init.Length; i++)
        {
            JsonObject container = init[i];
            bool sidecar = sidecars.GetValueOrDefault(container.TextAt("name"));
            restarts.Add(container, sidecar);
            if (sidecar && container.Flag("started"))
            {
                ready += container.Flag("ready") ? 1 : 0;
                continue;
            }

            if (container.At("state", "terminated") is { } ended && ended.NumberAt("exitCode") == 0)
            {
                continue;
            }

            reason = InitReason(container, i, sidecars.Count);
            initializing = true;
            break;
        }

        if (!initializing)
        {
            restarts.DropInit();
            bool running = false;
            foreach (JsonObject container in status.Items("containerStatuses").Reverse())
            {
                restarts.Add(container, counts: true);
                if (container.TextAt("state", "waiting", "reason") is { Length: > 0 } waiting)
                {
                    reason = waiting;
                }
                else if (container.At("state", "terminated") is { } ended)
                {
                    reason = EndReason(ended, "");
                }
                else if (container.Flag("ready") && container.At("state", "running") is not null)
                {
                    running = true;
                    ready++;
                }
            }

            if (reason == "Completed" && running)
            {
                reason = status.Items("conditions").Any(c => c.TextAt("type") == "Ready" && c.TextAt("status") == "True") ? "Running" : "NotReady";
            }
        }

        if (pod.At("metadata", "deletionTimestamp") is not null)
        {
            reason = status.TextAt("reason") == "NodeLost" ? "Unknown" : status.TextAt("phase") is "Succeeded" or "Failed" ? reason : "Terminating";
        }

        return
        [
            pod.TextAt("metadata", "name"), $"{ready}/{total}", reason, restarts.Display(now), Durations.Since(pod.At("metadata", "creationTimestamp"), now),
            OrNone(status.Items("podIPs").FirstOrDefault().TextAt("ip") is { Length: > 0 } ip ? ip : status.TextAt("podIP")), OrNone(pod.TextAt("spec", "nodeName")),
            OrNone(status.TextAt("nominatedNodeName")), Gates(pod),
        ];
    }

    private static string OrNone(string text) => text.Length == 0 ? "<none>" : text;

    private static string Gates(JsonObject pod)
    {
        string[] gates = [.. pod.Items("spec", "readinessGates").Select(g => g.TextAt("conditionType"))];
        int open = gates.Count(g => pod.Items("status", "conditions").Any(c => c.TextAt("type") == g && c.TextAt("status") == "True"));
        return gates.Length == 0 ? "<none>" : $"{open}/{gates.Length}";
    }

    private static string InitReason(JsonObject container, int index, int total)
    {
        if (container.At("state", "terminated") is { } ended)
        {
            return EndReason(ended, "Init:");
        }

        string waiting = container.TextAt("state", "waiting", "reason");
        return waiting.Length > 0 && waiting != "PodInitializing" ? "Init:" + waiting : $"Init:{index}/{total}";
    }

    private static string EndReason(JsonNode ended, string prefix)
    {
        if (ended.TextAt("reason") is { Length: > 0 } reason)
        {
            return prefix + reason;
        }

        return ended.NumberAt("signal") != 0 ? $"{prefix}Signal:{ended.NumberAt("signal")}" : $"{prefix}ExitCode:{ended.NumberAt("exitCode")}";
    }

    /// <summary>Restarts, and when the last one was.</summary>
    private sealed class RestartCount
    {
        private long _all;
        private long _lasting;
        private DateTimeOffset _last;
        private DateTimeOffset _lastLasting;

        // Restarts of ordinary init containers stop counting once the pod's own containers have begun.
        public void Add(JsonObject container, bool counts)
        {
            _all += container.NumberAt("restartCount");
            _lasting += counts ? container.NumberAt("restartCount") : 0;
            if (Durations.TryParse(container.At("lastState", "terminated", "finishedAt"), out DateTimeOffset ended))
            {
                _last = ended > _last ? ended : _last;
                _lastLasting = counts && ended > _lastLasting ? ended : _lastLasting;
            }
        }

        public void DropInit() => (_all, _last) = (_lasting, _lastLasting);

        public string Display(DateTimeOffset now) =>
            _all != 0 && _last != default ? $"{_all} ({Durations.Human(now - _last)} ago)" : _all.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }
}
