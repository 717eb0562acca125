using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Housekeeping;

/// <summary>Where an object is.</summary>
internal readonly record struct ObjectKey(ResourceName Resource, string Namespace, string Name);

/// <summary>Who is owned by whom, kept up to date inside the transactions of the store. Objects seeded in bulk are left out.</summary>
internal sealed class OwnerIndex
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, HashSet<ObjectKey>> _dependents = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ObjectKey> _byUid = new(StringComparer.Ordinal);

    /// <summary>Takes in one change.</summary>
    public void Apply(ResourceName resource, StoredChange change)
    {
        lock (_gate)
        {
            if (change.Before is { IsScenery: false } before)
            {
                Forget(resource, before);
            }

            if (change.After is { IsScenery: false } after)
            {
                Learn(resource, after);
            }
        }
    }

    /// <summary>Begins anew with the present state.</summary>
    public void Rebuild(ClusterStore store)
    {
        lock (_gate)
        {
            _dependents.Clear();
            _byUid.Clear();
            foreach (ResourceName resource in store.Resources())
            {
                foreach (StoredObject obj in store.Snapshot(resource).Objects.Range(null))
                {
                    if (!obj.IsScenery)
                    {
                        Learn(resource, obj);
                    }
                }
            }
        }
    }

    public IReadOnlyList<ObjectKey> DependentsOf(string uid)
    {
        lock (_gate)
        {
            return _dependents.TryGetValue(uid, out HashSet<ObjectKey>? found) ? [.. found] : [];
        }
    }

    public ObjectKey? Find(string uid)
    {
        lock (_gate)
        {
            return _byUid.TryGetValue(uid, out ObjectKey key) ? key : null;
        }
    }

    private void Learn(ResourceName resource, StoredObject obj)
    {
        var key = new ObjectKey(resource, obj.Namespace, obj.Name);
        _byUid[obj.Uid] = key;
        foreach (string owner in obj.Owners)
        {
            if (!_dependents.TryGetValue(owner, out HashSet<ObjectKey>? dependents))
            {
                _dependents[owner] = dependents = [];
            }

            dependents.Add(key);
        }
    }

    private void Forget(ResourceName resource, StoredObject obj)
    {
        _byUid.Remove(obj.Uid);
        foreach (string owner in obj.Owners)
        {
            if (_dependents.TryGetValue(owner, out HashSet<ObjectKey>? dependents)
                && dependents.Remove(new ObjectKey(resource, obj.Namespace, obj.Name)) && dependents.Count == 0)
            {
                _dependents.Remove(owner);
            }
        }
    }
}
