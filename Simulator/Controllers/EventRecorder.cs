using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Patching;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Writes Event objects for the steps of the controllers, and keeps no more than a bound of them.</summary>
/// <remarks>A repetition raises the count of the first event instead of making another.</remarks>
internal sealed class EventRecorder(IObjectStore store, int maxEvents)
{
    private const string Scheduler = "default-scheduler";

    private readonly Dictionary<(string Uid, string Reason, string Message), string> _names = [];
    private readonly Queue<(string Namespace, string Name, (string, string, string) Key)> _order = new();
    private long _counter;

    public void Record(JsonObject about, string type, string reason, string message, string component)
    {
        string ns = about.TextAt("metadata", "namespace") is { Length: > 0 } own ? own : "default";
        string uid = about.TextAt("metadata", "uid");
        string now = ManagedFields.Timestamp(store.Time.GetUtcNow());
        (string, string, string) key = (uid, reason, message);
        try
        {
            if (_names.TryGetValue(key, out string? known) && store.Get(ResourceName.Events, ns, known) is { } repeated)
            {
                repeated["count"] = repeated.NumberAt("count") + 1;
                repeated["lastTimestamp"] = now;
                store.Update(ResourceName.Events, repeated, manager: ManagerOf(component));
                return;
            }

            // As client-go names them: the object and a number that grows with time.
            long ticks = store.Time.GetUtcNow().UtcTicks + _counter++;
            string name = string.Create(CultureInfo.InvariantCulture, $"{about.TextAt("metadata", "name")}.{ticks:x16}");
            JsonObject made = Build(about, ns, name, type, reason, message, component, now);
            if (component == Scheduler)
            {
                MakeNew(made, store.Time.GetUtcNow());
            }

            store.Create(ResourceName.Events, made, ManagerOf(component));
            _names[key] = name;
            _order.Enqueue((ns, name, key));
        }
        catch (StatusException refusal) when (refusal.Code is 403 or 404 or 409)
        {
            // The namespace is going away, or a client edited the event: an event is never worth a failure.
            _names.Remove(key);
        }

        while (_order.Count > maxEvents)
        {
            (string oldNamespace, string oldName, (string, string, string) oldKey) = _order.Dequeue();
            _names.Remove(oldKey);
            store.Delete(ResourceName.Events, oldNamespace, oldName);
        }
    }

    private static string ManagerOf(string component) => component switch
    {
        Scheduler => "kube-scheduler",
        "kubelet" => component,
        _ => "kube-controller-manager",
    };

    // The scheduler reports in the newer form: one precise time, an action, no count.
    private static void MakeNew(JsonObject made, DateTimeOffset now)
    {
        foreach (string old in (string[])["count", "firstTimestamp", "lastTimestamp"])
        {
            made.Remove(old);
        }

        made["source"] = new JsonObject();
        made["eventTime"] = now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
        made["action"] = "Binding";
        made["reportingInstance"] = Scheduler + "-simulated";
    }

    private static JsonObject Build(JsonObject about, string ns, string name, string type, string reason, string message, string component, string now) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Event",
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns },
        ["involvedObject"] = new JsonObject
        {
            ["kind"] = about.TextAt("kind"),
            ["namespace"] = about.TextAt("metadata", "namespace") is { Length: > 0 } own ? own : null,
            ["name"] = about.TextAt("metadata", "name"),
            ["uid"] = about.TextAt("metadata", "uid"),
            ["apiVersion"] = about.TextAt("apiVersion"),
            ["resourceVersion"] = about.TextAt("metadata", "resourceVersion"),
        },
        ["reason"] = reason,
        ["message"] = message,
        ["source"] = new JsonObject { ["component"] = component },
        ["firstTimestamp"] = now,
        ["lastTimestamp"] = now,
        ["count"] = 1,
        ["type"] = type,
        ["eventTime"] = null,
        ["reportingComponent"] = component,
        ["reportingInstance"] = "",
    };
}
