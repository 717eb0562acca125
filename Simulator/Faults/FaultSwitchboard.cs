using System.Collections.Immutable;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Faults;

/// <summary>Turns faults of a simulated cluster on and off. Thread-safe; also reachable by an admin under <c>/simulator/faults</c>.</summary>
public sealed class FaultSwitchboard
{
    /// <summary>Path of the switches over HTTP.</summary>
    internal const string Path = "/simulator/faults";

    private readonly Lock _gate = new();
    private readonly List<ArmedFault> _armed = [];
    private readonly HashSet<OpenWatch> _watches = [];
    private readonly HashSet<string> _hidden = new(StringComparer.Ordinal);
    private ServerParts? _server;
    private volatile bool _dropBookmarks;

    internal FaultSwitchboard()
    {
    }

    /// <summary>Watches get no bookmarks, asked for or not.</summary>
    public bool DropBookmarks
    {
        get => _dropBookmarks;
        set => _dropBookmarks = value;
    }

    /// <summary>The faults that are on now.</summary>
    public IReadOnlyList<Fault> Active
    {
        get { lock (_gate) { return [.. _armed.Select(a => a.Fault)]; } }
    }

    /// <summary>How many watches are open.</summary>
    public int OpenWatches
    {
        get { lock (_gate) { return _watches.Count; } }
    }

    /// <summary>Whether every open watch has told all there is to tell now.</summary>
    internal bool AreWatchesAtRest
    {
        get { lock (_gate) { return _watches.All(watch => watch.Rests is { Goes: true }); } }
    }

    /// <summary>Turns a fault on; disposing of the result turns it off. Later faults are tried first.</summary>
    public IDisposable Add(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        var armed = new ArmedFault(this, fault);
        lock (_gate)
        {
            _armed.Add(armed);
        }

        return armed;
    }

    /// <summary>Answers the next requests with a status, as <see cref="FaultKind.Status"/>.</summary>
    /// <param name="statusCode">401, 403, 429, 500, 503 …</param>
    /// <param name="times">How many requests; null until disposed.</param>
    /// <param name="verb">Kubernetes verb; null for all.</param>
    /// <param name="resource">Plural; null for all.</param>
    /// <param name="retryAfterSeconds">Retry-After; null for none.</param>
    public IDisposable Fail(int statusCode, int? times = null, string? verb = null, string? resource = null, int? retryAfterSeconds = null) =>
        Add(new Fault(FaultKind.Status) { StatusCode = statusCode, Times = times, Verb = verb, Resource = resource, RetryAfterSeconds = retryAfterSeconds });

    /// <summary>Turns all faults off, shows hidden resources again and wakes silent watches.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _armed.Clear();
            _hidden.Clear();
            foreach (OpenWatch watch in _watches)
            {
                watch.Set(WatchMode.Normal);
            }
        }

        DropBookmarks = false;
        FailHealthChecks();
    }

    /// <summary>Breaks the open watches in the middle of an event.</summary>
    /// <param name="resource">Plural; null for all.</param>
    public int CutWatches(string? resource = null) => SetWatches(resource, WatchMode.Cut);

    /// <summary>Ends the open watches cleanly, as a server does at their timeout.</summary>
    /// <param name="resource">Plural; null for all.</param>
    public int EndWatches(string? resource = null) => SetWatches(resource, WatchMode.End);

    /// <summary>Sends an ERROR event with 410 Expired to the open watches and ends them.</summary>
    /// <param name="resource">Plural; null for all.</param>
    public int ExpireWatches(string? resource = null) => SetWatches(resource, WatchMode.Expire);

    /// <summary>Lets the open watches go silent: the connection stays, nothing comes any more.</summary>
    /// <param name="resource">Plural; null for all.</param>
    public int SilenceWatches(string? resource = null) => SetWatches(resource, WatchMode.Silent);

    /// <summary>Lets silent watches go on where they stopped.</summary>
    /// <param name="resource">Plural; null for all.</param>
    public int WakeWatches(string? resource = null) => SetWatches(resource, WatchMode.Normal);

    /// <summary>Makes a resource vanish from the server: its paths are 404 and its watches end; discovery still shows it.</summary>
    /// <param name="resource">Plural, such as <c>configmaps</c>.</param>
    public void Hide(string resource)
    {
        lock (_gate)
        {
            _hidden.Add(resource);
        }

        EndWatches(resource);
    }

    /// <summary>Brings a hidden resource back.</summary>
    public void Show(string resource)
    {
        lock (_gate)
        {
            _hidden.Remove(resource);
        }
    }

    /// <summary>Lets health checks fail, such as <c>etcd</c>; none to let all succeed.</summary>
    public void FailHealthChecks(params ReadOnlySpan<string> checks)
    {
        if (_server is { } server)
        {
            server.FailingChecks = [.. checks];
        }
    }

    internal void Attach(ServerParts server) => _server = server;

    internal bool Hides(RequestTarget target)
    {
        lock (_gate)
        {
            return _hidden.Contains(target.Plural);
        }
    }

    internal OpenWatch Opened(string resource)
    {
        var watch = new OpenWatch(resource);
        lock (_gate)
        {
            _watches.Add(watch);
        }

        return watch;
    }

    internal void Closed(OpenWatch watch)
    {
        lock (_gate)
        {
            _watches.Remove(watch);
        }
    }

    /// <summary>Does what the faults say; true when that was the whole answer.</summary>
    internal async Task<bool> InterceptAsync(Exchange exchange)
    {
        while (Take(exchange.Target) is { } fault)
        {
            if (await FaultEffects.ApplyAsync(exchange, fault))
            {
                return true;
            }

            if (fault.Kind is not FaultKind.Latency)
            {
                // The answer goes on through what the fault put in its way.
                return false;
            }

            // A delay may come before another fault, but not before itself again.
            return TakeOther(exchange.Target) is { } other && await FaultEffects.ApplyAsync(exchange, other);
        }

        return false;
    }

    private Fault? Take(RequestTarget target) => TakeWhere(target, _ => true);

    private Fault? TakeOther(RequestTarget target) => TakeWhere(target, f => f.Kind != FaultKind.Latency);

    private Fault? TakeWhere(RequestTarget target, Func<Fault, bool> wanted)
    {
        lock (_gate)
        {
            // A delay is taken first, so that it also delays what else hits the request.
            ArmedFault? hit = _armed.LastOrDefault(a => a.Fault.Kind == FaultKind.Latency && wanted(a.Fault) && Hits(a.Fault, target))
                ?? _armed.LastOrDefault(a => wanted(a.Fault) && Hits(a.Fault, target));
            if (hit is not null && hit.Left is { } left)
            {
                hit.Left = left - 1;
                if (left == 1)
                {
                    _armed.Remove(hit);
                }
            }

            return hit?.Fault;
        }
    }

    private static bool Hits(Fault fault, RequestTarget target) =>
        (fault.Verb is null || fault.Verb == target.Verb)
        && (fault.Resource is null || fault.Resource == target.Plural)
        && (fault.PathPrefix is null || target.Path.StartsWith(fault.PathPrefix, StringComparison.Ordinal))
        && (fault.Kind != FaultKind.ExpireWatch || target.IsWatch);

    private int SetWatches(string? resource, WatchMode mode)
    {
        ImmutableArray<OpenWatch> hit;
        lock (_gate)
        {
            hit = [.. _watches.Where(w => resource is null || w.Resource == resource)];
        }

        foreach (OpenWatch watch in hit)
        {
            watch.Set(mode);
        }

        return hit.Length;
    }

    private void Remove(ArmedFault armed)
    {
        lock (_gate)
        {
            _armed.Remove(armed);
        }
    }

    private sealed class ArmedFault(FaultSwitchboard board, Fault fault) : IDisposable
    {
        public Fault Fault => fault;

        public int? Left { get; set; } = fault.Times;

        public void Dispose() => board.Remove(this);
    }
}

/// <summary>What an open watch is to do next.</summary>
internal enum WatchMode { Normal, Cut, End, Expire, Silent }

/// <summary>An open watch as the switchboard sees it.</summary>
internal sealed class OpenWatch(string resource)
{
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile WatchMode _mode;
    private volatile WatchRest? _rests;

    /// <summary>What the watch waits for since it has told everything; null before it first did.</summary>
    public WatchRest? Rests
    {
        get => _rests;
        set => _rests = value;
    }

    public string Resource => resource;

    public WatchMode Mode => _mode;

    /// <summary>Completes when the mode changes; take it before reading the mode.</summary>
    public Task Changed => Volatile.Read(ref _changed).Task;

    public void Set(WatchMode mode)
    {
        _mode = mode;
        Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }
}

/// <summary>What ends the rest of a watch that has told everything.</summary>
internal sealed record WatchRest(Task Change, Task Bookmark, Task Mode, CancellationToken Stop)
{
    public bool Goes => !Change.IsCompleted && !Bookmark.IsCompleted && !Mode.IsCompleted && !Stop.IsCancellationRequested;
}
