using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Seeding;

/// <summary>Puts objects into a simulated cluster without HTTP. Thread-safe; the rules of the server hold as over HTTP.</summary>
public sealed partial class ObjectSeeds
{
    private readonly ObjectRegistry _registry;

    private readonly int _seed;

    internal ObjectSeeds(ObjectRegistry registry, int seed) => (_registry, _seed) = (registry, seed);

    /// <summary>Creates an object and returns it as stored.</summary>
    /// <param name="json">Object with kind, apiVersion and metadata; the namespace is <c>default</c> when it is missing, and made when it does not exist.</param>
    /// <exception cref="InvalidOperationException">The server would refuse it; the message says why.</exception>
    public string Create(string json)
    {
        JsonObject tree = JsonTree.ParseObject(Encoding.UTF8.GetBytes(json));
        ApiResource resource = Find(tree.Text("apiVersion") ?? "v1", tree.Text("kind") ?? "");
        string ns = resource.Namespaced ? tree.Text("metadata", "namespace") ?? "default" : "";
        return Guard(() =>
        {
            if (ns.Length > 0)
            {
                EnsureNamespace(ns);
            }

            return Text(resource, _registry.Create(resource, ns, VersionConversion.ToStorage(resource, tree), new WriteOptions("seed")));
        });
    }

    /// <summary>Changes an object and returns it as stored.</summary>
    /// <param name="apiVersion">Such as <c>apps/v1</c>.</param>
    /// <param name="kind">Such as <c>Deployment</c>.</param>
    /// <param name="ns">Namespace; null for cluster scope.</param>
    /// <param name="name">Name.</param>
    /// <param name="change">Edits the object in place.</param>
    /// <param name="subresource"><c>status</c> to change the status.</param>
    /// <exception cref="InvalidOperationException">The server would refuse it.</exception>
    public string Update(string apiVersion, string kind, string? ns, string name, Action<JsonObject> change, string subresource = "")
    {
        ArgumentNullException.ThrowIfNull(change);
        ApiResource resource = Find(apiVersion, kind);
        return Guard(() => Text(resource, _registry.Update(
            resource, ns ?? "", name,
            live =>
            {
                change(live);
                return live;
            },
            new WriteOptions("seed") { Subresource = subresource, IsPatch = true })));
    }

    /// <summary>Deletes an object at once, without grace; false when there is none.</summary>
    /// <param name="apiVersion">Such as <c>v1</c>.</param>
    /// <param name="kind">Such as <c>Pod</c>.</param>
    /// <param name="ns">Namespace; null for cluster scope.</param>
    /// <param name="name">Name.</param>
    public bool Delete(string apiVersion, string kind, string? ns, string name)
    {
        ApiResource resource = Find(apiVersion, kind);
        return Guard(() =>
        {
            if (_registry.Store.Find(resource.Storage, ns ?? "", name) is null)
            {
                return false;
            }

            _registry.Delete(resource, ns ?? "", name, new DeleteRequest { GracePeriodSeconds = 0 });
            return true;
        });
    }

    /// <summary>The object as the server would answer it, or null.</summary>
    /// <param name="apiVersion">Such as <c>v1</c>.</param>
    /// <param name="kind">Such as <c>Pod</c>.</param>
    /// <param name="ns">Namespace; null for cluster scope.</param>
    /// <param name="name">Name.</param>
    public string? Get(string apiVersion, string kind, string? ns, string name)
    {
        ApiResource resource = Find(apiVersion, kind);
        return _registry.Store.Find(resource.Storage, ns ?? "", name) is { } stored ? Text(resource, stored.ToTree()) : null;
    }

    /// <summary>How many objects of a kind there are.</summary>
    /// <param name="apiVersion">Such as <c>v1</c>.</param>
    /// <param name="kind">Such as <c>Pod</c>.</param>
    public int Count(string apiVersion, string kind) => _registry.Store.Snapshot(Find(apiVersion, kind).Storage).Objects.Count;

    private static string Text(ApiResource resource, JsonObject tree) => Encoding.UTF8.GetString(JsonTree.ToUtf8(Protocol.Exchange.Typed(resource, tree)));

    private static T Guard<T>(Func<T> step)
    {
        try
        {
            return step();
        }
        catch (StatusException refusal)
        {
            throw new InvalidOperationException(refusal.Message, refusal);
        }
    }

    private void EnsureNamespace(string ns)
    {
        if (_registry.Store.Find(ResourceName.Namespaces, "", ns) is null)
        {
            _registry.Create(
                _registry.Catalog.Stored(ResourceName.Namespaces)!, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = ns } }, new WriteOptions("seed"));
        }
    }

    private ApiResource Find(string apiVersion, string kind) =>
        _registry.Catalog.Resources.FirstOrDefault(r => r.ApiVersion == apiVersion && r.Kind == kind)
        ?? throw new InvalidOperationException($"The cluster serves no {kind} in {apiVersion}.");
}
