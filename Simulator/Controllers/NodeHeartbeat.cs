using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Renews the lease and the heartbeat of every node that reports to be ready.</summary>
internal sealed class NodeHeartbeat : IReconciler
{
    private const string LeaseNamespace = "kube-node-lease";
    private readonly Dictionary<string, DateTimeOffset> _last = new(StringComparer.Ordinal);

    public ResourceName Resource => ResourceName.Nodes;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        TimeSpan period = context.Options.HeartbeatPeriod;
        if (period <= TimeSpan.Zero || !Selectors.IsReady(obj) || !context.Options.RunPods)
        {
            return null;
        }

        string name = obj.TextAt("metadata", "name");
        if (_last.TryGetValue(name, out DateTimeOffset last) && context.Now - last < period)
        {
            return last + period - context.Now;
        }

        bool first = !_last.ContainsKey(name);
        _last[name] = context.Now;
        if (!first)
        {
            JsonObject status = obj["status"]!.DeepClone().AsObject();
            foreach (JsonObject condition in status.Items("conditions"))
            {
                condition["lastHeartbeatTime"] = context.Timestamp;
            }

            context.UpdateStatus(Resource, obj, status, "kubelet");
        }

        Renew(obj, name, period, context);
        return period;
    }

    private static void Renew(JsonObject node, string name, TimeSpan period, ControllerContext context)
    {
        string now = context.Now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", System.Globalization.CultureInfo.InvariantCulture);
        if (context.Store.Get(ResourceName.Leases, LeaseNamespace, name) is { } lease)
        {
            lease["spec"]!["renewTime"] = now;
            context.Store.Update(ResourceName.Leases, lease, manager: "kubelet");
        }
        else if (context.Store.Get(ResourceName.Namespaces, null, LeaseNamespace) is not null)
        {
            context.Store.Create(ResourceName.Leases, new JsonObject
            {
                ["apiVersion"] = "coordination.k8s.io/v1",
                ["kind"] = "Lease",
                ["metadata"] = new JsonObject
                {
                    ["name"] = name,
                    ["namespace"] = LeaseNamespace,
                    ["ownerReferences"] = new JsonArray(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Node", ["name"] = name, ["uid"] = node.TextAt("metadata", "uid") }),
                },
                ["spec"] = new JsonObject { ["holderIdentity"] = name, ["leaseDurationSeconds"] = (int)period.TotalSeconds, ["renewTime"] = now },
            }, "kubelet");
        }
    }
}
