using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Patching;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>What a reconciler may use: the cache to read, the store to write, time, chance and events.</summary>
/// <remarks>Only the controller loop uses it. Writes go to the cache as well.</remarks>
internal sealed class ControllerContext
{
    private readonly Action<ResourceName, string> _enqueue;

    public ControllerContext(IObjectStore store, ControllerOptions options, Action<ResourceName, string> enqueue)
    {
        _enqueue = enqueue;
        Store = store;
        Options = options;
        Random = new Random(options.Seed);
        Events = new EventRecorder(store, options.MaxEvents);
    }

    public IObjectStore Store { get; }
    public ControllerOptions Options { get; }
    public ObjectCache Cache { get; } = new();
    public EventRecorder Events { get; }

    /// <summary>Seeded, so that equal runs draw equal numbers.</summary>
    public Random Random { get; }

    public DateTimeOffset Now => Store.Time.GetUtcNow();
    public string Timestamp => ManagedFields.Timestamp(Now);

    public void Enqueue(ResourceName resource, string key) => _enqueue(resource, key);

    /// <summary>Creates an object.</summary>
    /// <exception cref="StatusException">Refused; 404 or 409 also when the owner is not what the cache believes it to be.</exception>
    public JsonObject Create(ResourceName resource, JsonObject obj, string manager = "kube-controller-manager")
    {
        RequireLivingOwners(obj);
        JsonObject stored = Store.Create(resource, obj, manager);
        Cache.Put(resource, stored);
        return stored;
    }

    // Each kind has a watch of its own, so the loss of a dependent may be heard of before that of its owner. What is
    // collected must not be made again, so the owner is asked for and not remembered, as real controllers do before they adopt.
    private void RequireLivingOwners(JsonObject obj)
    {
        foreach (string uid in obj.Items("metadata", "ownerReferences").Select(owner => owner.TextAt("uid")))
        {
            if (Cache.Find(uid) is not { } known || Cache.Get(known.Resource, known.Key) is not { } cached)
            {
                continue;
            }

            string ns = cached.TextAt("metadata", "namespace");
            JsonObject? owner = Store.Get(known.Resource, ns.Length == 0 ? null : ns, cached.TextAt("metadata", "name"));
            if (owner?.TextAt("metadata", "uid") != uid)
            {
                throw new StatusException(404, "NotFound", $"The owner {known.Key} is gone.");
            }

            if (Selectors.IsEnding(owner) && !Selectors.IsEnding(cached))
            {
                throw new StatusException(409, "Conflict", $"The owner {known.Key} is being deleted.");
            }
        }
    }

    public JsonObject Update(ResourceName resource, JsonObject obj, string subresource = "", string manager = "kube-controller-manager")
    {
        JsonObject stored = Store.Update(resource, obj, subresource, manager);
        Cache.Put(resource, stored);
        return stored;
    }

    /// <summary>Writes the status if it differs.</summary>
    public void UpdateStatus(ResourceName resource, JsonObject obj, JsonObject status, string manager = "kube-controller-manager")
    {
        if (!JsonNode.DeepEquals(obj["status"], status))
        {
            var copy = (JsonObject)obj.DeepClone();
            copy["status"] = status;
            Update(resource, copy, "status", manager);
        }
    }

    public void Delete(ResourceName resource, JsonObject obj, int? gracePeriodSeconds = null)
    {
        string ns = obj.TextAt("metadata", "namespace");
        string name = obj.TextAt("metadata", "name");
        Store.Delete(resource, ns.Length == 0 ? null : ns, name, gracePeriodSeconds);
        if (Store.Get(resource, ns.Length == 0 ? null : ns, name) is { } left)
        {
            Cache.Put(resource, left);
        }
        else
        {
            Cache.Remove(resource, ObjectCache.KeyOf(obj));
        }
    }

    public static JsonObject OwnerReference(JsonObject owner) => new()
    {
        ["apiVersion"] = owner.TextAt("apiVersion"),
        ["kind"] = owner.TextAt("kind"),
        ["name"] = owner.TextAt("metadata", "name"),
        ["uid"] = owner.TextAt("metadata", "uid"),
        ["controller"] = true,
        ["blockOwnerDeletion"] = true,
    };

    /// <summary>A pod from a template, owned by the object; name or generateName is added by the caller.</summary>
    public static JsonObject PodFor(JsonObject owner, JsonNode? template)
    {
        var metadata = (JsonObject)(template.At("metadata")?.DeepClone() ?? new JsonObject());
        metadata.Remove("creationTimestamp");
        metadata["namespace"] = owner.TextAt("metadata", "namespace");
        metadata["ownerReferences"] = new JsonArray(OwnerReference(owner));
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = metadata,
            ["spec"] = template.At("spec")?.DeepClone() ?? new JsonObject(),
        };
    }

    /// <summary>Sets a condition; its transition time moves only when its status does.</summary>
    public void SetCondition(JsonObject status, string type, string value, string reason, string message, bool withUpdateTime = false)
    {
        JsonArray conditions = status["conditions"] as JsonArray ?? [];
        if (conditions.Parent is null)
        {
            status["conditions"] = conditions;
        }

        JsonObject? known = conditions.OfType<JsonObject>().FirstOrDefault(c => c.TextAt("type") == type);
        if (known is not null && known.TextAt("status") == value && known.TextAt("reason") == reason && known.TextAt("message") == message)
        {
            return;
        }

        JsonObject condition = new() { ["type"] = type, ["status"] = value };
        if (withUpdateTime)
        {
            condition["lastUpdateTime"] = Timestamp;
        }

        condition["lastTransitionTime"] = known?.TextAt("status") == value ? known["lastTransitionTime"]?.DeepClone() : Timestamp;
        if (reason.Length > 0)
        {
            condition["reason"] = reason;
        }

        if (message.Length > 0)
        {
            condition["message"] = message;
        }

        if (known is null)
        {
            conditions.Add(condition);
        }
        else
        {
            conditions[conditions.IndexOf(known)] = condition;
        }
    }
}
