using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Storage;

/// <summary>All objects of one simulated cluster with one revision for all, as etcd behind an API server.</summary>
/// <remarks>
/// Thread-safe. Reads take a snapshot under the gate and work outside it. Writers run <see cref="Transaction{T}"/>, in which
/// what they read cannot change until they have written.
/// </remarks>
internal sealed class ClusterStore(int historyLimit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ResourceName, ResourceStore> _resources = [];
    private long _revision = 1;
    private long _compacted;
    private long _floor;
    private TaskCompletionSource _moved = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Told of every change inside its transaction; must be quick and must not write.</summary>
    public Action<ResourceName, StoredChange>? Changed { get; set; }

    /// <summary>Told after the whole state was replaced or objects were seeded in bulk.</summary>
    public Action? Restored { get; set; }

    /// <summary>The revision of the newest write.</summary>
    public long Revision => Interlocked.Read(ref _revision);

    /// <summary>Consistent lists at this revision or before are refused.</summary>
    public long Compacted => Interlocked.Read(ref _compacted);

    /// <summary>Runs a read-check-write step that nothing else interleaves with. Must not block or await.</summary>
    public T Transaction<T>(Func<T> step)
    {
        lock (_gate)
        {
            return step();
        }
    }

    /// <summary>The objects of a resource and the revision at which they are all there is.</summary>
    public (OrderedObjects Objects, long Revision) Snapshot(ResourceName resource)
    {
        lock (_gate)
        {
            return (Of(resource).Current, _revision);
        }
    }

    /// <summary>The objects of a resource at an older revision; null when it was compacted or forgotten.</summary>
    public OrderedObjects? SnapshotAt(ResourceName resource, long revision)
    {
        lock (_gate)
        {
            return revision < _compacted ? null : Of(resource).At(revision);
        }
    }

    public StoredObject? Find(ResourceName resource, string ns, string name)
    {
        lock (_gate)
        {
            return Of(resource).Current.Find(ns, name);
        }
    }

    /// <summary>Writes one object in a new revision, which is set in its metadata, and returns what is stored.</summary>
    public StoredObject Put(ResourceName resource, JsonObject tree)
    {
        lock (_gate)
        {
            long revision = _revision + 1;
            tree.Section("metadata")["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture);
            JsonStoredObject stored = JsonStoredObject.From(tree, revision);
            return Put_NeedsGate(resource, stored);
        }
    }

    /// <summary>Writes an object that makes itself for the revision it gets.</summary>
    public StoredObject Put(ResourceName resource, Func<long, StoredObject> make)
    {
        lock (_gate)
        {
            return Put_NeedsGate(resource, make(_revision + 1));
        }
    }

    /// <summary>Removes one object in a new revision and returns that revision.</summary>
    public long Remove(ResourceName resource, StoredObject obj)
    {
        lock (_gate)
        {
            long revision = Advance_NeedsGate();
            var change = new StoredChange(revision, obj, null);
            Of(resource).Apply(change);
            Changed?.Invoke(resource, change);
            return revision;
        }
    }

    /// <summary>Adds many objects, one revision each, without a history of them: watches that are open end as too old.</summary>
    public void Seed(ResourceName resource, int count, Func<long, IEnumerable<StoredObject>> makeFrom)
    {
        lock (_gate)
        {
            ResourceStore store = Of(resource);
            List<StoredObject> all = [.. store.Current.Range(null), .. makeFrom(_revision + 1)];
            all.Sort((a, b) => StoredObject.CompareKeys(a.Namespace, a.Name, b.Namespace, b.Name));
            Interlocked.Add(ref _revision, count);
            store.Reset(OrderedObjects.FromSorted(all), _revision);
            SignalMoved();
        }
    }

    /// <summary>Copies the changes after a revision; see <see cref="ResourceStore.TryRead"/>.</summary>
    /// <param name="resource">What is watched.</param>
    /// <param name="after">Last revision that the reader has seen.</param>
    /// <param name="target">Receives the changes.</param>
    /// <param name="read">How many there are.</param>
    /// <param name="next">Completes at the next change, armed before the read, so that none is missed.</param>
    /// <param name="closed">The resource is gone and there is nothing more to read.</param>
    public bool TryRead(ResourceName resource, long after, Span<StoredChange> target, out int read, out Task next, out bool closed)
    {
        lock (_gate)
        {
            ResourceStore store = Of(resource);
            next = store.NextChange();
            bool kept = store.TryRead(after, target, out read);
            closed = store.IsClosed && read == 0;
            return kept;
        }
    }

    /// <summary>Completes at the next revision, whatever changed.</summary>
    public Task NextRevision()
    {
        lock (_gate)
        {
            return _moved.Task;
        }
    }

    /// <summary>The names of everything that holds objects.</summary>
    public IReadOnlyList<ResourceName> Resources()
    {
        lock (_gate)
        {
            return [.. _resources.Where(p => p.Value.Current.Count > 0).Select(p => p.Key)];
        }
    }

    /// <summary>The oldest revision that a watch of the resource can go on from.</summary>
    public long Floor(ResourceName resource)
    {
        lock (_gate)
        {
            return Of(resource).Floor;
        }
    }

    /// <summary>Forgets older revisions for lists, as etcd's compaction does; watches are not touched.</summary>
    public void Compact(long revision) => Interlocked.Exchange(ref _compacted, Math.Min(revision, Revision));

    /// <summary>Forgets the changes so far, as the watch cache of a restarted API server has none of them.</summary>
    public void ForgetHistory()
    {
        lock (_gate)
        {
            foreach (ResourceStore store in _resources.Values)
            {
                store.ForgetUpTo(_revision);
            }

            _floor = _revision;
        }
    }

    /// <summary>Ends the watches of a resource when they have read what is left; its objects must be gone.</summary>
    public void Close(ResourceName resource)
    {
        lock (_gate)
        {
            Of(resource).Close();
        }
    }

    /// <summary>Begins a resource anew; watches of an earlier one with the same name end as too old.</summary>
    public void Open(ResourceName resource)
    {
        lock (_gate)
        {
            if (_resources.TryGetValue(resource, out ResourceStore? earlier))
            {
                earlier.Close();   // wakes its watches, which then find that they are too old
            }

            _resources[resource] = new ResourceStore(historyLimit, _revision);
        }
    }

    /// <summary>The whole state, cheap to take and to keep.</summary>
    public StoreSnapshot Save()
    {
        lock (_gate)
        {
            return new StoreSnapshot(_revision, _resources.ToDictionary(p => p.Key, p => p.Value.Current));
        }
    }

    /// <summary>Goes back to a saved state; revisions may step back, as after an etcd restore.</summary>
    public void Restore(StoreSnapshot saved)
    {
        lock (_gate)
        {
            Interlocked.Exchange(ref _revision, saved.Revision);
            Interlocked.Exchange(ref _compacted, Math.Min(_compacted, saved.Revision));
            _floor = saved.Revision;
            foreach ((ResourceName name, ResourceStore store) in _resources)
            {
                store.Reset(saved.Objects.GetValueOrDefault(name, OrderedObjects.Empty), saved.Revision);
            }

            foreach ((ResourceName name, OrderedObjects objects) in saved.Objects)
            {
                Of(name).Reset(objects, saved.Revision);
            }

            SignalMoved();
            Restored?.Invoke();
        }
    }

    private StoredObject Put_NeedsGate(ResourceName resource, StoredObject stored)
    {
        ResourceStore store = Of(resource);
        StoredObject? before = store.Current.Find(stored.Namespace, stored.Name);
        long revision = Advance_NeedsGate();
        var change = new StoredChange(revision, before, stored);
        store.Apply(change);
        Changed?.Invoke(resource, change);
        return stored;
    }

    private long Advance_NeedsGate()
    {
        long revision = Interlocked.Increment(ref _revision);
        SignalMoved();
        return revision;
    }

    private void SignalMoved() =>
        Interlocked.Exchange(ref _moved, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    private ResourceStore Of(ResourceName name)
    {
        if (!_resources.TryGetValue(name, out ResourceStore? store))
        {
            _resources[name] = store = new ResourceStore(historyLimit, _floor);
        }

        return store;
    }
}

/// <summary>A saved state of a whole cluster; see <see cref="ClusterStore.Save"/>.</summary>
internal sealed record StoreSnapshot(long Revision, IReadOnlyDictionary<ResourceName, OrderedObjects> Objects);
