using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Brings one kind of object closer to what it asks for.</summary>
internal interface IReconciler
{
    ResourceName Resource { get; }

    /// <summary>Called whenever the object or something it owns may have changed; must be cheap when nothing is to be done.</summary>
    /// <returns>When to look again by itself, or null.</returns>
    TimeSpan? Reconcile(JsonObject obj, ControllerContext context);
}

/// <summary>Runs the controllers of one simulated cluster: one loop, one queue, no parallelism, hence the same order every time.</summary>
internal sealed class ControllerLoop : IAsyncDisposable
{
    // More than a cluster of the demo ever has waiting; a full channel holds back the watches and nothing else.
    private const int SignalBound = 4096;

    // A conflict means that somebody else was faster; after this many in a row the next event decides.
    private const int MaxConflicts = 5;

    private static readonly TimeSpan ConflictPause = TimeSpan.FromMilliseconds(50);

    private readonly record struct Signal(ResourceName Resource, ObjectEvent? Event);

    private readonly Channel<Signal> _signals = Channel.CreateBounded<Signal>(new BoundedChannelOptions(SignalBound) { SingleReader = true });
    private readonly Queue<(ResourceName Resource, string Key)> _queue = new();
    private readonly HashSet<(ResourceName, string)> _queued = [];
    private readonly PriorityQueue<(ResourceName Resource, string Key), DateTimeOffset> _later = new();
    private readonly Dictionary<(ResourceName, string), DateTimeOffset> _wakeups = [];
    private readonly Dictionary<(ResourceName, string), int> _conflicts = [];
    private readonly FrozenDictionary<ResourceName, IReconciler[]> _reconcilers;
    private readonly ConcurrentDictionary<ResourceName, Task> _waits = new();
    private readonly ControllerContext _context;
    private readonly CancellationTokenSource _stop = new();
    private readonly ITimer _timer;
    private readonly Task _running;
    private volatile bool _turning;

    private ControllerLoop(IObjectStore store, ControllerOptions options)
    {
        _context = new ControllerContext(store, options, Enqueue);
        IReconciler[] all =
        [
            new DeploymentReconciler(), new ReplicaSetReconciler(), new StatefulSetReconciler(), new DaemonSetReconciler(),
            new JobReconciler(), new PodScheduler(), new PodRunner(), new NodeHeartbeat(), new ServiceReconciler(), new DisruptionBudgetReconciler(),
        ];
        _reconcilers = all.GroupBy(r => r.Resource).ToFrozenDictionary(g => g.Key, g => g.ToArray());
        _timer = store.Time.CreateTimer(_ => _signals.Writer.TryWrite(default), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _running = RunAsync();
    }

    /// <summary>Whether all that was written is taken in and nothing is to be done at the present time.</summary>
    /// <remarks>Holds for as long as nobody writes. The order is that of the work: what the watches hand on is still seen in the queue, or in the turn.</remarks>
    public bool IsIdle => _reconcilers.Keys.All(resource => _waits.TryGetValue(resource, out Task? next) && !next.IsCompleted)
        && _signals.Reader.Count == 0 && !_turning;

    public static ControllerLoop Start(IObjectStore store, ControllerOptions options) => new(store, options);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _timer.DisposeAsync();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        // Leaves the constructor before the first watch is opened.
        await Task.Yield();
        Task[] pumps = [.. _reconcilers.Keys.Select(PumpAsync)];
        try
        {
            while (await _signals.Reader.WaitToReadAsync(_stop.Token))
            {
                _turning = true;
                Turn();
                _turning = false;
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The way to stop.
        }
        finally
        {
            // A fault of one watch ends the loop visibly: whoever disposes it sees the exception.
            await _stop.CancelAsync();
            await Task.WhenAll(pumps);
        }
    }

    private async Task PumpAsync(ResourceName resource)
    {
        try
        {
            await foreach (ObjectEvent change in _context.Store.WatchAsync(resource, next => _waits[resource] = next, _stop.Token))
            {
                await _signals.Writer.WriteAsync(new Signal(resource, change), _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The way to stop.
        }
    }

    private void Turn()
    {
        do
        {
            // All events first: what is known decides, and events in waiting make it newer.
            while (_signals.Reader.TryRead(out Signal signal))
            {
                if (signal.Event is { } change)
                {
                    Take(signal.Resource, change);
                }
            }

            DateTimeOffset now = _context.Now;
            while (_later.TryPeek(out (ResourceName Resource, string Key) item, out DateTimeOffset due) && due <= now)
            {
                _later.Dequeue();
                if (_wakeups.TryGetValue(item, out DateTimeOffset wanted) && wanted == due)
                {
                    _wakeups.Remove(item);
                    Enqueue(item.Resource, item.Key);
                }
            }

            if (_queue.TryDequeue(out (ResourceName Resource, string Key) next))
            {
                _queued.Remove(next);
                Reconcile(next.Resource, next.Key);
            }
        }
        while (!_stop.IsCancellationRequested && (_queue.Count > 0 || _signals.Reader.Count > 0));
        if (!_stop.IsCancellationRequested && _later.TryPeek(out _, out DateTimeOffset first))
        {
            TimeSpan wait = first - _context.Now;
            _timer.Change(wait < TimeSpan.Zero ? TimeSpan.Zero : wait, Timeout.InfiniteTimeSpan);
        }
    }

    private void Take(ResourceName resource, ObjectEvent change)
    {
        string key = ObjectCache.KeyOf(change.Object);
        if (change.Change == ObjectChange.Deleted)
        {
            if (_context.Cache.Get(resource, key)?.TextAt("metadata", "uid") == change.Object.TextAt("metadata", "uid"))
            {
                _context.Cache.Remove(resource, key);
            }

        }
        else
        {
            _context.Cache.Put(resource, change.Object);
            Enqueue(resource, key);
        }

        EnqueueInterested(resource, change);
    }

    private void EnqueueInterested(ResourceName resource, ObjectEvent change)
    {
        foreach (JsonObject owner in change.Object.Items("metadata", "ownerReferences"))
        {
            if (_context.Cache.Find(owner.TextAt("uid")) is { } found)
            {
                Enqueue(found.Resource, found.Key);
            }
        }

        string ns = change.Object.TextAt("metadata", "namespace");
        if (resource == ResourceName.Pods)
        {
            foreach (ResourceName selecting in (ResourceName[])[ResourceName.Services, ResourceName.PodDisruptionBudgets])
            {
                foreach (JsonObject obj in _context.Cache.In(selecting, ns).Where(o => Selectors.Selects(o, change.Object)))
                {
                    Enqueue(selecting, ObjectCache.KeyOf(obj));
                }
            }
        }
        else if (resource == ResourceName.Nodes && change.Change != ObjectChange.Modified || resource == ResourceName.Nodes && Selectors.SchedulingChanged(change.Object, _context))
        {
            EnqueueAll(ResourceName.DaemonSets, _ => true);
            EnqueueAll(ResourceName.Pods, p => p.TextAt("spec", "nodeName").Length == 0);
        }
    }

    private void EnqueueAll(ResourceName resource, Func<JsonObject, bool> condition)
    {
        foreach (JsonObject obj in _context.Cache.All(resource).Where(condition))
        {
            Enqueue(resource, ObjectCache.KeyOf(obj));
        }
    }

    private void Enqueue(ResourceName resource, string key)
    {
        if (_queued.Add((resource, key)))
        {
            _queue.Enqueue((resource, key));
        }
    }

    private void Reconcile(ResourceName resource, string key)
    {
        foreach (IReconciler reconciler in _reconcilers.GetValueOrDefault(resource, []))
        {
            if (_context.Cache.Get(resource, key) is not { } obj)
            {
                return;
            }

            try
            {
                if (reconciler.Reconcile(obj, _context) is { } delay)
                {
                    After(resource, key, delay);
                }

                _conflicts.Remove((resource, key));
            }
            catch (StatusException refusal) when (refusal.Code is 403 or 404 or 409 or 422)
            {
                // Somebody changed or removed the object meanwhile, or the request cannot succeed now: look again at the truth.
                Refresh(resource, key);
                int count = _conflicts.GetValueOrDefault((resource, key)) + 1;
                _conflicts[(resource, key)] = count;
                if (count <= MaxConflicts)
                {
                    After(resource, key, refusal.Code == 409 && count == 1 ? TimeSpan.Zero : ConflictPause * count);
                }
            }
        }
    }

    private void Refresh(ResourceName resource, string key)
    {
        int slash = key.IndexOf('/', StringComparison.Ordinal);
        JsonObject? stored = _context.Store.Get(resource, slash < 0 ? null : key[..slash], key[(slash + 1)..]);
        if (stored is null)
        {
            _context.Cache.Remove(resource, key);
        }
        else
        {
            _context.Cache.Put(resource, stored);
        }
    }

    private void After(ResourceName resource, string key, TimeSpan delay)
    {
        DateTimeOffset due = _context.Now + delay;
        if (delay <= TimeSpan.Zero)
        {
            Enqueue(resource, key);
        }
        else if (!_wakeups.TryGetValue((resource, key), out DateTimeOffset known) || due < known || known <= _context.Now)
        {
            _wakeups[(resource, key)] = due;
            _later.Enqueue((resource, key), due);
        }
    }
}
