using System.Collections.Concurrent;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Who lives: one activation per grain, some per key for stateless workers. Thread-safe.</summary>
internal sealed class ActivationDirectory
{
    private readonly ConcurrentDictionary<GrainId, GrainActivation> _single = new();
    private readonly ConcurrentDictionary<GrainId, WorkerPool> _workers = new();

    /// <summary>Every activation, also those that start or end.</summary>
    public IEnumerable<GrainActivation> All => _single.Select(entry => entry.Value).Concat(_workers.SelectMany(entry => entry.Value.All));

    /// <summary>How many activations each grain class has.</summary>
    public IReadOnlyDictionary<string, int> CountByType =>
        All.GroupBy(a => a.GrainId.Type.ToString(), StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);

    public GrainActivation? Find(GrainId id) => _single.GetValueOrDefault(id);

    /// <summary>The activation of that grain; a new one is not started before its first item comes.</summary>
    public GrainActivation GetOrAdd(GrainId id, GrainClass grainClass, ActorRuntime runtime)
    {
        if (_single.TryGetValue(id, out GrainActivation? present))
        {
            return present;
        }

        runtime.ThrowIfStopping(id);
        return _single.GetOrAdd(id, static (id, args) => new GrainActivation(args.runtime, args.grainClass, id), (runtime, grainClass));
    }

    public WorkerPool GetOrAddWorkers(GrainId id, GrainClass grainClass, ActorRuntime runtime) =>
        _workers.GetOrAdd(id, static (id, args) => new WorkerPool(args.runtime, args.grainClass, id), (runtime, grainClass));

    public void Add(GrainActivation observer) => _single[observer.GrainId] = observer;

    /// <summary>Forgets this activation, and not the one that came after it.</summary>
    public void Remove(GrainActivation activation)
    {
        if (activation.Class.MaxWorkers > 0)
        {
            if (_workers.TryGetValue(activation.GrainId, out WorkerPool? pool))
            {
                pool.Remove(activation);
            }
        }
        else
        {
            _single.TryRemove(KeyValuePair.Create(activation.GrainId, activation));
        }
    }
}

/// <summary>The activations of one stateless worker key. Thread-safe.</summary>
internal sealed class WorkerPool(ActorRuntime runtime, GrainClass grainClass, GrainId id)
{
    private readonly Lock _gate = new();
    private readonly List<GrainActivation> _workers = [];

    public GrainActivation[] All
    {
        get { lock (_gate) { return [.. _workers]; } }
    }

    /// <summary>Gives the item to an idle worker, else to a new one, else to the one with the least to do.</summary>
    public void Post(MailItem item)
    {
        while (true)
        {
            GrainActivation chosen;
            lock (_gate)
            {
                GrainActivation? best = _workers.MinBy(w => w.Load);
                if (best is null || (best.Load > 0 && _workers.Count < grainClass.MaxWorkers))
                {
                    runtime.ThrowIfStopping(id);
                    best = new GrainActivation(runtime, grainClass, id);
                    _workers.Add(best);
                }

                chosen = best;
            }

            if (chosen.TryPost(item))
            {
                return;
            }

            Remove(chosen);
        }
    }

    public void Remove(GrainActivation worker)
    {
        lock (_gate) { _workers.Remove(worker); }
    }
}
