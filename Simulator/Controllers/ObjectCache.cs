using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>The objects the controllers look at, with an index by owner.</summary>
/// <remarks>
/// Only the controller loop uses it. It is fed by watches and, right after a write, by what the write returned, so that a controller
/// never acts twice on the same absence; an event that is older than what is known is ignored.
/// </remarks>
internal sealed class ObjectCache
{
    private readonly Dictionary<ResourceName, SortedDictionary<string, JsonObject>> _objects = [];
    private readonly Dictionary<string, HashSet<(ResourceName Resource, string Key)>> _byOwner = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (ResourceName Resource, string Key)> _byUid = new(StringComparer.Ordinal);

    public static string KeyOf(JsonObject obj) => KeyOf(obj.TextAt("metadata", "namespace"), obj.TextAt("metadata", "name"));

    public static string KeyOf(string ns, string name) => ns.Length == 0 ? name : $"{ns}/{name}";

    public JsonObject? Get(ResourceName resource, string key) =>
        _objects.TryGetValue(resource, out SortedDictionary<string, JsonObject>? table) ? table.GetValueOrDefault(key) : null;

    public IReadOnlyCollection<JsonObject> All(ResourceName resource) =>
        _objects.TryGetValue(resource, out SortedDictionary<string, JsonObject>? table) ? table.Values : [];

    public IEnumerable<JsonObject> In(ResourceName resource, string ns) => All(resource).Where(o => o.TextAt("metadata", "namespace") == ns);

    /// <summary>The objects of a resource that name this owner, in key order.</summary>
    public List<JsonObject> OwnedBy(ResourceName resource, JsonObject owner) =>
        [.. Dependents(owner.TextAt("metadata", "uid")).Where(d => d.Resource == resource).Select(d => d.Object).OrderBy(KeyOf, StringComparer.Ordinal)];

    /// <summary>Everything that names this owner.</summary>
    public IEnumerable<(ResourceName Resource, JsonObject Object)> Dependents(string ownerUid) =>
        _byOwner.TryGetValue(ownerUid, out HashSet<(ResourceName Resource, string Key)>? keys)
            ? keys.Select(k => (k.Resource, Get(k.Resource, k.Key)!)).ToArray() : [];

    public (ResourceName Resource, string Key)? Find(string uid) => _byUid.TryGetValue(uid, out (ResourceName, string) found) ? found : null;

    public void Put(ResourceName resource, JsonObject obj)
    {
        string key = KeyOf(obj);
        JsonObject? known = Get(resource, key);
        if (known is not null && known.TextAt("metadata", "uid") == obj.TextAt("metadata", "uid") && Version(known) > Version(obj))
        {
            return;
        }

        if (known is not null)
        {
            Remove(resource, key);
        }

        if (!_objects.TryGetValue(resource, out SortedDictionary<string, JsonObject>? table))
        {
            _objects[resource] = table = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        }

        table[key] = obj;
        _byUid[obj.TextAt("metadata", "uid")] = (resource, key);
        foreach (string owner in Owners(obj))
        {
            if (!_byOwner.TryGetValue(owner, out HashSet<(ResourceName Resource, string Key)>? keys))
            {
                _byOwner[owner] = keys = [];
            }

            keys.Add((resource, key));
        }
    }

    public void Remove(ResourceName resource, string key)
    {
        if (Get(resource, key) is not { } known)
        {
            return;
        }

        _objects[resource].Remove(key);
        _byUid.Remove(known.TextAt("metadata", "uid"));
        foreach (string owner in Owners(known))
        {
            if (_byOwner.TryGetValue(owner, out HashSet<(ResourceName Resource, string Key)>? keys) && keys.Remove((resource, key)) && keys.Count == 0)
            {
                _byOwner.Remove(owner);
            }
        }
    }

    private static IEnumerable<string> Owners(JsonObject obj) => obj.Items("metadata", "ownerReferences").Select(r => r.TextAt("uid"));

    private static long Version(JsonObject obj) => long.TryParse(obj.TextAt("metadata", "resourceVersion"), out long version) ? version : 0;
}
