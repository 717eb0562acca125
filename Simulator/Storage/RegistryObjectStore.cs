using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Storage;

/// <summary>The registry as controllers see it.</summary>
internal sealed class RegistryObjectStore(ObjectRegistry registry) : IObjectStore
{
    private const int WatchBatch = 64;

    public TimeProvider Time => registry.Time;

    public JsonObject? Get(ResourceName resource, string? ns, string name) =>
        registry.Store.Find(resource, ns ?? "", name) is { } stored ? Typed(Resource(resource), stored.ToTree()) : null;

    public IReadOnlyList<JsonObject> List(ResourceName resource, string? ns = null, string? labelSelector = null)
    {
        ApiResource type = Resource(resource);
        LabelSelector selector = LabelSelector.Parse(labelSelector ?? "");
        return [.. registry.Store.Snapshot(resource).Objects.Range(ns)
            .Where(o => !o.IsScenery && selector.Matches(o.Labels)).Select(o => Typed(type, o.ToTree()))];
    }

    public JsonObject Create(ResourceName resource, JsonObject obj, string manager = "kube-controller-manager")
    {
        ApiResource type = Resource(resource);
        return Typed(type, registry.Create(type, NamespaceOf(type, obj), (JsonObject)obj.DeepClone(), new WriteOptions(manager)));
    }

    public JsonObject Update(ResourceName resource, JsonObject obj, string subresource = "", string manager = "kube-controller-manager")
    {
        ApiResource type = Resource(resource);
        JsonObject updated = (JsonObject)obj.DeepClone();
        return Typed(type, registry.Update(type, NamespaceOf(type, obj), obj.Text("metadata", "name") ?? "", _ => updated, new WriteOptions(manager)
        {
            Subresource = subresource,
        }));
    }

    public bool Delete(ResourceName resource, string? ns, string name, int? gracePeriodSeconds = null)
    {
        try
        {
            registry.Delete(Resource(resource), ns ?? "", name, new DeleteRequest { GracePeriodSeconds = gracePeriodSeconds });
            return true;
        }
        catch (StatusException refusal) when (refusal.Code == 404)
        {
            return false;
        }
    }

    public async IAsyncEnumerable<ObjectEvent> WatchAsync(ResourceName resource, [EnumeratorCancellation] CancellationToken stop)
    {
        ApiResource type = Resource(resource);
        var batch = new StoredChange[WatchBatch];
        while (true)
        {
            (OrderedObjects objects, long revision) = registry.Store.Snapshot(resource);
            foreach (StoredObject obj in objects.Range(null))
            {
                if (!obj.IsScenery)
                {
                    yield return new ObjectEvent(ObjectChange.Added, Typed(type, obj.ToTree()));
                }
            }

            while (registry.Store.TryRead(resource, revision, batch, out int read, out Task next, out bool closed))
            {
                for (int i = 0; i < read; i++)
                {
                    revision = batch[i].Revision;
                    if (Event(type, batch[i]) is { } change)
                    {
                        yield return change;
                    }
                }

                if (closed)
                {
                    yield break;
                }

                if (read == 0)
                {
                    await next.WaitAsync(stop);
                }
            }
        }
    }

    private static ObjectEvent? Event(ApiResource type, StoredChange change) => (change.Before, change.After) switch
    {
        (null, { } made) => new ObjectEvent(ObjectChange.Added, Typed(type, made.ToTree())),
        ({ } gone, null) => new ObjectEvent(ObjectChange.Deleted, Typed(type, gone.ToTree())),
        (_, { } updated) => new ObjectEvent(ObjectChange.Modified, Typed(type, updated.ToTree())),
        _ => null,
    };

    private static JsonObject Typed(ApiResource type, JsonObject tree)
    {
        tree["kind"] = type.Kind;
        tree["apiVersion"] = type.ApiVersion;
        return tree;
    }

    private static string NamespaceOf(ApiResource type, JsonObject obj) => type.Namespaced ? obj.Text("metadata", "namespace") ?? "" : "";

    private ApiResource Resource(ResourceName name) =>
        registry.Catalog.Stored(name) ?? throw new StatusException(404, "NotFound", "the server could not find the requested resource");
}
