using System.Text.Json.Nodes;
using System.Threading.Channels;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Housekeeping;

/// <summary>
/// What kube-controller-manager does that clients count on: collects what deleted owners leave behind, empties and finalizes
/// namespaces, gives each namespace its service account and CA bundle.
/// </summary>
internal sealed class Housekeeper : IAsyncDisposable
{
    private readonly ObjectRegistry _registry;
    private readonly OwnerIndex _owners = new();
    private readonly string _authorityPem;
    private readonly Channel<Chore> _chores = Channel.CreateUnbounded<Chore>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _loop;
    private int _left;
    private readonly HashSet<string> _terminating = new(StringComparer.Ordinal);   // guarded by the store's gate

    /// <param name="registry">The cluster.</param>
    /// <param name="authorityPem">CA bundle for <c>kube-root-ca.crt</c>.</param>
    public Housekeeper(ObjectRegistry registry, string authorityPem)
    {
        (_registry, _authorityPem) = (registry, authorityPem);
        registry.Store.Changed += OnChanged;
        registry.Store.Restored += OnRestored;
        OnRestored();
        _loop = Task.Run(RunAsync);
    }

    private enum ChoreKind { Owned, NamespaceMade, NamespaceLeaving, Marked, Removed }

    /// <summary>Whether nothing is left to do. Holds for as long as nobody writes.</summary>
    public bool IsIdle => Volatile.Read(ref _left) == 0;

    public async ValueTask DisposeAsync()
    {
        _registry.Store.Changed -= OnChanged;
        _registry.Store.Restored -= OnRestored;
        _chores.Writer.TryComplete();
        await _loop;
    }

    /// <summary>Runs inside the transaction: notes what to do, and does nothing yet.</summary>
    private void OnChanged(ResourceName resource, StoredChange change)
    {
        _owners.Apply(resource, change);
        switch (change.Before, change.After)
        {
            case (null, { } made) when resource == ResourceName.Namespaces:
                Note(new Chore(ChoreKind.NamespaceMade, resource, made));
                break;
            case (null, { Owners.Count: > 0 } owned):
                Note(new Chore(ChoreKind.Owned, resource, owned));
                break;
            case (_, { IsDeleting: true } leaving) when resource == ResourceName.Namespaces:
                if (_terminating.Add(leaving.Name))
                {
                    Note(new Chore(ChoreKind.NamespaceLeaving, resource, leaving));
                }

                break;
            case (_, { IsDeleting: true } marked):
                Note(new Chore(ChoreKind.Marked, resource, marked));
                break;
            case ({ } gone, null):
                if (resource == ResourceName.Namespaces)
                {
                    _terminating.Remove(gone.Name);
                }

                Note(new Chore(ChoreKind.Removed, resource, gone));
                break;
        }
    }

    private void OnRestored()
    {
        _owners.Rebuild(_registry.Store);
        foreach (StoredObject ns in _registry.Store.Snapshot(ResourceName.Namespaces).Objects.Range(null))
        {
            Note(new Chore(ns.IsDeleting ? ChoreKind.NamespaceLeaving : ChoreKind.NamespaceMade, ResourceName.Namespaces, ns));
        }
    }

    private void Note(Chore chore)
    {
        Interlocked.Increment(ref _left);
        _chores.Writer.TryWrite(chore);
    }

    private async Task RunAsync()
    {
        await foreach (Chore chore in _chores.Reader.ReadAllAsync(CancellationToken.None))
        {
            try
            {
                Do(chore);
            }
            catch (StatusException)
            {
                // Changed under our hands; that change is a chore of its own.
            }

            Interlocked.Decrement(ref _left);
        }
    }

    private void Do(Chore chore)
    {
        switch (chore.Kind)
        {
            case ChoreKind.Owned:
                CollectOrphan(chore.Resource, chore.Object);
                break;
            case ChoreKind.NamespaceMade:
                Furnish(chore.Object.Name);
                break;
            case ChoreKind.NamespaceLeaving:
                Empty(chore.Object.Name);
                break;
            case ChoreKind.Marked:
                CollectMarked(chore.Resource, chore.Object);
                break;
            case ChoreKind.Removed:
                CollectAfter(chore.Object);
                break;
        }
    }

    private void Furnish(string ns)
    {
        CreateIfMissing(ResourceName.ServiceAccounts, ns, "default", []);
        CreateIfMissing(ResourceName.ConfigMaps, ns, "kube-root-ca.crt", new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["annotations"] = new JsonObject
                {
                    ["kubernetes.io/description"] = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints.",
                },
            },
            ["data"] = new JsonObject { ["ca.crt"] = _authorityPem },
        });
    }

    private void CreateIfMissing(ResourceName name, string ns, string objectName, JsonObject tree)
    {
        if (_registry.Store.Find(name, ns, objectName) is null)
        {
            tree.Section("metadata")["name"] = objectName;
            _registry.Create(_registry.Catalog.Stored(name)!, ns, tree, new WriteOptions("kube-controller-manager"));
        }
    }

    /// <summary>Deletes what is in a namespace; when nothing is left, lets it go, and else says what holds it.</summary>
    private void Empty(string ns)
    {
        if (_registry.Store.Find(ResourceName.Namespaces, "", ns) is not { IsDeleting: true })
        {
            return;
        }

        var remaining = new List<(ApiResource Resource, StoredObject Object)>();
        foreach (ResourceName name in _registry.Store.Resources())
        {
            if (_registry.Catalog.Stored(name) is { Namespaced: true } resource)
            {
                foreach (StoredObject obj in _registry.Store.Snapshot(name).Objects.Range(ns))
                {
                    if (!obj.IsDeleting)
                    {
                        TryDelete(resource, obj, Propagation.Background);
                    }

                    if (_registry.Store.Find(name, ns, obj.Name) is { } left)
                    {
                        remaining.Add((resource, left));
                    }
                }
            }
        }

        ApiResource namespaces = _registry.Catalog.Stored(ResourceName.Namespaces)!;
        bool said = _registry.Store.Find(ResourceName.Namespaces, "", ns)?.ToTree().At("status", "conditions") is not null;
        if (remaining.Count > 0 || said)
        {
            // A namespace that said what holds it also says that nothing does any more.
            _registry.Update(namespaces, "", ns, live => NamespaceConditions.Describe(live, remaining, _registry.Now), new WriteOptions("kube-controller-manager")
            {
                Subresource = "status",
                IsPatch = true,
            });
        }

        if (remaining.Count > 0)
        {
            return;
        }

        _registry.Update(
            namespaces, "", ns,
            live =>
            {
                live["spec"] = new JsonObject();
                return live;
            },
            new WriteOptions("kube-controller-manager") { Subresource = "finalize", IsPatch = true });
    }

    private void CollectMarked(ResourceName name, StoredObject marked)
    {
        if (_registry.Catalog.Stored(name) is not { } resource || _registry.Store.Find(name, marked.Namespace, marked.Name) is not { } now || now.Uid != marked.Uid)
        {
            return;
        }

        string[] finalizers = [.. (now.ToTree().At("metadata", "finalizers") as JsonArray ?? []).Select(f => f!.GetValue<string>())];
        if (finalizers.Contains("orphan"))
        {
            foreach (ObjectKey dependent in _owners.DependentsOf(now.Uid))
            {
                DropOwner(dependent, now.Uid);
            }

            _registry.RemoveFinalizer(resource, now.Namespace, now.Name, "orphan");
        }
        else if (finalizers.Contains("foregroundDeletion"))
        {
            CollectForeground(resource, now);
        }
    }

    private void CollectForeground(ApiResource resource, StoredObject owner)
    {
        bool blocked = false;
        foreach (ObjectKey key in _owners.DependentsOf(owner.Uid))
        {
            if (_registry.Store.Find(key.Resource, key.Namespace, key.Name) is { } dependent && _registry.Catalog.Stored(key.Resource) is { } kind)
            {
                if (!dependent.IsDeleting)
                {
                    TryDelete(kind, dependent, Propagation.Foreground);
                }

                blocked |= _registry.Store.Find(key.Resource, key.Namespace, key.Name) is not null;
            }
        }

        if (!blocked)
        {
            _registry.RemoveFinalizer(resource, owner.Namespace, owner.Name, "foregroundDeletion");
        }
    }

    // Made by a controller that had not yet heard of the end of its owner.
    private void CollectOrphan(ResourceName name, StoredObject made)
    {
        JsonArray references = made.ToTree().At("metadata", "ownerReferences") as JsonArray ?? [];
        if (_registry.Catalog.Stored(name) is { } resource && references.All(r => IsGone(r, made.Namespace)))
        {
            TryDelete(resource, made, null);
        }
    }

    // The index leaves seeded objects out, hence the look at the store; owners of kinds nobody serves are left alone.
    private bool IsGone(JsonNode? reference, string ns)
    {
        ApiResource? kind = _registry.Catalog.Resources.FirstOrDefault(r => r.Kind == reference.Text("kind") && r.ApiVersion == reference.Text("apiVersion"));
        return kind is not null
            && _registry.Store.Find(kind.Storage, kind.Namespaced ? ns : "", reference.Text("name") ?? "")?.Uid != reference.Text("uid");
    }

    private void CollectAfter(StoredObject gone)
    {
        foreach (ObjectKey key in _owners.DependentsOf(gone.Uid))
        {
            if (_registry.Store.Find(key.Resource, key.Namespace, key.Name) is not { } dependent || _registry.Catalog.Stored(key.Resource) is not { } resource)
            {
                continue;
            }

            if (dependent.Owners.Any(o => o != gone.Uid && _owners.Find(o) is not null))
            {
                DropOwner(key, gone.Uid);
            }
            else
            {
                TryDelete(resource, dependent, null);
            }
        }

        // An owner that waits in the foreground may be free now, and so may the namespace.
        foreach (string owner in gone.Owners)
        {
            if (_owners.Find(owner) is { } key && _registry.Store.Find(key.Resource, key.Namespace, key.Name) is { IsDeleting: true } waiting)
            {
                CollectMarked(key.Resource, waiting);
            }
        }

        if (gone.Namespace.Length > 0 && _registry.Store.Transaction(() => _terminating.Contains(gone.Namespace)))
        {
            Empty(gone.Namespace);
        }
    }

    private void DropOwner(ObjectKey key, string uid)
    {
        if (_registry.Catalog.Stored(key.Resource) is { } resource)
        {
            _registry.Update(
                resource, key.Namespace, key.Name,
                live =>
                {
                    JsonObject metadata = live.Section("metadata");
                    JsonNode[] kept = [.. (metadata["ownerReferences"] as JsonArray ?? []).Where(o => o.Text("uid") != uid).Select(o => o!.DeepClone())];
                    metadata.Remove("ownerReferences");
                    if (kept.Length > 0)
                    {
                        metadata["ownerReferences"] = new JsonArray(kept);
                    }

                    return live;
                },
                new WriteOptions("kube-controller-manager") { IsPatch = true });
        }
    }

    private void TryDelete(ApiResource resource, StoredObject obj, Propagation? propagation)
    {
        try
        {
            _registry.Delete(resource, obj.Namespace, obj.Name, new DeleteRequest { Propagation = propagation ?? Propagation.Background, RequiredUid = obj.Uid });
        }
        catch (StatusException refusal) when (refusal.Code is 404 or 409)
        {
            // Gone already, or another object by now.
        }
    }

    private readonly record struct Chore(ChoreKind Kind, ResourceName Resource, StoredObject Object);
}
