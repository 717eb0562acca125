using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Plays the kubelets: starts bound pods, ends those that finish, confirms deletions.</summary>
/// <remarks>
/// The annotation <c>simulator.multicluster.dev/behaviour</c> of a pod makes it misbehave: <c>unready</c>, <c>crash</c>, <c>image-pull</c>
/// or <c>fail</c> (ends with an error where it does not restart).
/// </remarks>
internal sealed class PodRunner : IReconciler
{
    private const string Component = "kubelet";
    public const string Behaviour = "simulator.multicluster.dev/behaviour";
    private readonly Dictionary<string, DateTimeOffset> _due = new(StringComparer.Ordinal);
    private int _address;

    public ResourceName Resource => ResourceName.Pods;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        if (!context.Options.RunPods || obj.TextAt("spec", "nodeName").Length == 0)
        {
            return null;
        }

        if (Selectors.IsEnding(obj))
        {
            return When(obj, "stop", context, context.Options.PodStopDelay, jitter: false, () =>
            {
                context.Events.Record(obj, "Normal", "Killing", $"Stopping container {obj.Items("spec", "containers").FirstOrDefault().TextAt("name")}", Component);
                context.Delete(Resource, obj, 0);
            });
        }

        string phase = obj.TextAt("status", "phase");
        if (phase is "Pending" or "")
        {
            return When(obj, "start", context, context.Options.PodStartDelay, jitter: true, () => Start(obj, context));
        }

        return phase == "Running" && obj.TextAt("spec", "restartPolicy") is "Never" or "OnFailure" && Owned(obj, "Job")
            ? When(obj, "end", context, context.Options.PodRunTime, jitter: true, () => End(obj, context)) : null;
    }

    private static bool Owned(JsonObject pod, string kind) => pod.Items("metadata", "ownerReferences").Any(o => o.TextAt("kind") == kind && o.Flag("controller"));

    // Remembers when a step of a pod is due, so that further events of the pod do not put it off.
    private TimeSpan? When(JsonObject pod, string step, ControllerContext context, TimeSpan delay, bool jitter, Action act)
    {
        string key = $"{pod.TextAt("metadata", "uid")}/{step}";
        if (!_due.TryGetValue(key, out DateTimeOffset due))
        {
            _due[key] = due = context.Now + (jitter ? delay * (1 + context.Random.NextDouble()) : delay);
        }

        TimeSpan left = due - context.Now;
        if (left > TimeSpan.Zero)
        {
            return left;
        }

        _due.Remove(key);
        act();
        return null;
    }

    private void Start(JsonObject pod, ControllerContext context)
    {
        string behaviour = pod.TextAt("metadata", "annotations", Behaviour);
        bool runs = behaviour is not ("crash" or "image-pull");
        bool ready = runs && behaviour != "unready";
        string now = context.Timestamp;
        string ip = Address(++_address);
        JsonObject status = pod["status"]?.DeepClone() as JsonObject ?? [];
        status["phase"] = behaviour == "image-pull" ? "Pending" : "Running";
        JsonObject? node = context.Cache.Get(ResourceName.Nodes, pod.TextAt("spec", "nodeName"));
        string host = node.Items("status", "addresses").FirstOrDefault(a => a.TextAt("type") == "InternalIP").TextAt("address");
        if (host.Length > 0)
        {
            status["hostIP"] = host;
            status["hostIPs"] = new JsonArray(new JsonObject { ["ip"] = host });
        }

        status["podIP"] = ip;
        status["podIPs"] = new JsonArray(new JsonObject { ["ip"] = ip });
        status["startTime"] = now;
        if (pod.Items("spec", "initContainers").Any())
        {
            status["initContainerStatuses"] = new JsonArray([.. pod.Items("spec", "initContainers").Select(c =>
                Container(c, Terminated(0, "Completed", now), ready: true, started: false, restarts: 0))]);
        }

        status["containerStatuses"] = new JsonArray([.. pod.Items("spec", "containers").Select(c => behaviour switch
        {
            "crash" => Container(c, Waiting("CrashLoopBackOff", $"back-off 5m0s restarting failed container={c.TextAt("name")}"), false, false, 5),
            "image-pull" => Container(c, Waiting("ImagePullBackOff", $"Back-off pulling image \"{c.TextAt("image")}\""), false, false, 0),
            _ => Container(c, new JsonObject { ["running"] = new JsonObject { ["startedAt"] = now } }, ready, true, 0),
        })]);
        string reason = ready ? "" : "ContainersNotReady";
        string message = ready ? "" : $"containers with unready status: [{string.Join(' ', pod.Items("spec", "containers").Select(c => c.TextAt("name")))}]";
        context.SetCondition(status, "PodReadyToStartContainers", "True", "", "");
        context.SetCondition(status, "Initialized", "True", "", "");
        context.SetCondition(status, "Ready", ready ? "True" : "False", reason, message);
        context.SetCondition(status, "ContainersReady", ready ? "True" : "False", reason, message);
        context.SetCondition(status, "PodScheduled", "True", "", "");
        context.UpdateStatus(Resource, pod, status, Component);
        foreach (JsonObject container in pod.Items("spec", "containers"))
        {
            if (behaviour == "image-pull")
            {
                context.Events.Record(pod, "Warning", "Failed", $"Failed to pull image \"{container.TextAt("image")}\"", Component);
                continue;
            }

            context.Events.Record(pod, "Normal", "Pulled", $"Container image \"{container.TextAt("image")}\" already present on machine", Component);
            context.Events.Record(pod, "Normal", "Created", $"Created container: {container.TextAt("name")}", Component);
            context.Events.Record(pod, "Normal", "Started", $"Started container {container.TextAt("name")}", Component);
            if (behaviour == "crash")
            {
                context.Events.Record(pod, "Warning", "BackOff", $"Back-off restarting failed container {container.TextAt("name")}", Component);
            }
        }
    }

    private void End(JsonObject pod, ControllerContext context)
    {
        bool failed = pod.TextAt("metadata", "annotations", Behaviour) == "fail";
        JsonObject status = pod["status"]?.DeepClone() as JsonObject ?? [];
        status["phase"] = failed ? "Failed" : "Succeeded";
        foreach (JsonObject container in status.Items("containerStatuses"))
        {
            container["ready"] = false;
            container["started"] = false;
            container["state"] = Terminated(failed ? 1 : 0, failed ? "Error" : "Completed", context.Timestamp);
        }

        string reason = failed ? "PodFailed" : "PodCompleted";
        context.SetCondition(status, "Ready", "False", reason, "");
        context.SetCondition(status, "ContainersReady", "False", reason, "");
        context.UpdateStatus(Resource, pod, status, Component);
    }

    private static JsonObject Waiting(string reason, string message) => new() { ["waiting"] = new JsonObject { ["reason"] = reason, ["message"] = message } };

    private static JsonObject Terminated(int exitCode, string reason, string now) => new()
    {
        ["terminated"] = new JsonObject { ["exitCode"] = exitCode, ["reason"] = reason, ["startedAt"] = now, ["finishedAt"] = now },
    };

    private static JsonObject Container(JsonObject container, JsonObject state, bool ready, bool started, int restarts) => new()
    {
        ["name"] = container.TextAt("name"),
        ["state"] = state,
        ["lastState"] = new JsonObject(),
        ["ready"] = ready,
        ["restartCount"] = restarts,
        ["image"] = container.TextAt("image"),
        ["imageID"] = "",
        ["started"] = started,
    };

    private static string Address(int number) => string.Create(CultureInfo.InvariantCulture, $"10.{244 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}");
}
