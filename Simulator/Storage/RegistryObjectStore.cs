using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Storage;

/// <summary>The registry as controllers see it.</summary>
internal sealed class RegistryObjectStore(ObjectRegistry registry) : IObjectStore
{
    private const int BatchSize = 64;

    public TimeProvider Time => registry.Time;

    public JsonObject? Get(ResourceName resource, string? ns, string name) =>
        registry.Store.Find(resource, ns ?? "", name) is { } stored ? Typed(Known(resource), stored) : null;

    public IReadOnlyList<JsonObject> List(ResourceName resource, string? ns = null, string? labelSelector = null)
    {
        LabelSelector selector = LabelSelector.Parse(labelSelector);
        ApiResource known = Known(resource);
        return [.. registry.Store.Snapshot(resource).Objects.Range(ns).Where(o => !o.IsScenery && selector.Matches(o.Labels)).Select(o => Typed(known, o))];
    }

    public JsonObject Create(ResourceName resource, JsonObject obj, string manager = "kube-controller-manager")
    {
        ApiResource known = Known(resource);
        string ns = known.Namespaced ? obj.Text("metadata", "namespace") ?? "default" : "";
        return Exchange.Typed(known, registry.Create(known, ns, (JsonObject)obj.DeepClone(), new WriteOptions(manager)));
    }

    public JsonObject Update(ResourceName resource, JsonObject obj, string subresource = "", string manager = "kube-controller-manager")
    {
        ApiResource known = Known(resource);
        string ns = known.Namespaced ? obj.Text("metadata", "namespace") ?? "default" : "";
        var copy = (JsonObject)obj.DeepClone();
        JsonObject stored = registry.Update(
            known, ns, obj.Text("metadata", "name") ?? "", _ => copy, new WriteOptions(manager) { Subresource = subresource });
        return Exchange.Typed(known, stored);
    }

    public JsonObject Bind(string ns, string pod, string node)
    {
        ApiResource known = Known(ResourceName.Pods);
        return Exchange.Typed(known, PodBinding.Apply(registry, known, ns, pod, node, new WriteOptions("kube-scheduler")));
    }

    public bool Delete(ResourceName resource, string? ns, string name, int? gracePeriodSeconds = null)
    {
        try
        {
            registry.Delete(Known(resource), ns ?? "", name, new DeleteRequest { GracePeriodSeconds = gracePeriodSeconds });
            return true;
        }
        catch (StatusException refusal) when (refusal.Code == 404)
        {
            return false;
        }
    }

    public async IAsyncEnumerable<ObjectEvent> WatchAsync(ResourceName resource, Action<Task> waits, [EnumeratorCancellation] CancellationToken stop)
    {
        ApiResource known = Known(resource);
        var batch = new StoredChange[BatchSize];
        while (true)
        {
            (OrderedObjects objects, long seen) = registry.Store.Snapshot(resource);
            foreach (StoredObject obj in objects.Range(null))
            {
                if (!obj.IsScenery)
                {
                    yield return new ObjectEvent(ObjectChange.Added, Typed(known, obj));
                }
            }

            while (registry.Store.TryRead(resource, seen, batch, out int read, out Task next, out bool closed))
            {
                for (int i = 0; i < read; i++)
                {
                    StoredChange change = batch[i];
                    seen = change.Revision;
                    if (Event(known, change) is { } e)
                    {
                        yield return e;
                    }
                }

                if (closed)
                {
                    yield break;
                }

                if (read == 0)
                {
                    waits(next);
                    await next.WaitAsync(stop);
                }
            }
        }
    }

    private static ObjectEvent? Event(ApiResource known, StoredChange change) => (change.Before, change.After) switch
    {
        // Scenery becomes somebody's business only when its deletion begins.
        (_, { IsScenery: true }) => null,
        (null or { IsScenery: true }, { } after) => new ObjectEvent(ObjectChange.Added, Typed(known, after)),
        ({ }, { } after) => new ObjectEvent(ObjectChange.Modified, Typed(known, after)),
        ({ IsScenery: false } before, null) => new ObjectEvent(ObjectChange.Deleted, Typed(known, before)),
        _ => null,
    };

    private static JsonObject Typed(ApiResource known, StoredObject stored) => Exchange.Typed(known, stored.ToTree());

    private ApiResource Known(ResourceName name) => registry.Catalog.Stored(name) ?? throw Refusal.NotServed();
}
