using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>One life of a grain: its mailbox, its turns, its start and its end.</summary>
/// <remarks>
/// Thread-safe. The mailbox and the phase change under one lock that is never held while grain code runs; the grain object
/// is touched by turns only. Phases go New, Activating, Active, Draining (no new work, running work ends), Deactivating, Dead.
/// </remarks>
internal sealed partial class GrainActivation : IGrainContext
{
    // After so many items the pump queues up behind the continuations that wait for their turn.
    private const int ItemsPerTurn = 64;

    private static readonly Action<object?> PumpTurn = static self => ((GrainActivation)self!).Pump();

    private readonly Lock _gate = new();
    private readonly Mailbox _waiting = new();
    private readonly List<MailItem> _running = [];
    private readonly List<Guid> _callChains = [];
    private readonly GrainLifecycle _lifecycle = new();
    private readonly TaskCompletionSource _deactivated = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ActivationScheduler _scheduler;
    private Dictionary<Type, object>? _components;
    private HashSet<IDisposable>? _timers;
    private HashSet<StreamSession>? _sessions;
    private AsyncServiceScope? _scope;
    private ExecutionContext? _cleanContext;
    private GrainReference? _reference;
    private DeactivationReason _reason;
    private Phase _phase;
    private bool _pumpQueued;
    private int _runningBlocking;
    private int _runningWriters;
    private long _lastUsed;
    private long _keepUntil = long.MinValue;

    public GrainActivation(ActorRuntime runtime, GrainClass grainClass, GrainId grainId, object? observer = null)
    {
        Runtime = runtime;
        Class = grainClass;
        GrainId = grainId;
        GrainInstance = observer;
        _phase = observer is null ? Phase.New : Phase.Active;
        _scheduler = new ActivationScheduler(this);
        _lastUsed = runtime.Clock.Timestamp;
    }

    private enum Phase
    {
        New,
        Activating,
        Active,
        Draining,
        Deactivating,
        Dead,
    }

    public ActorRuntime Runtime { get; }

    public GrainClass Class { get; }

    public GrainId GrainId { get; }

    public ActivationId ActivationId { get; } = ActivationId.NewId();

    public object? GrainInstance { get; private set; }

    public IServiceProvider ActivationServices => _scope?.ServiceProvider ?? Runtime.Services;

    public IGrainLifecycle ObservableLifecycle => _lifecycle;

    public ActivationScheduler Scheduler => _scheduler;

    IWorkItemScheduler IGrainContext.Scheduler => _scheduler;

    public Task Deactivated => _deactivated.Task;

    public GrainReference GrainReference => _reference ??= Runtime.References.Create(GrainId, Class.DefaultInterface);

    /// <summary>How many items wait and run; for load decisions and for operators.</summary>
    public int Load
    {
        get { lock (_gate) { return _waiting.Count + _running.Count; } }
    }

    /// <summary>How many items wait.</summary>
    public int MailboxLength
    {
        get { lock (_gate) { return _waiting.Count; } }
    }

    public object? GetTarget() => GrainInstance;

    public object? GetComponent(Type componentType)
    {
        lock (_gate) { return _components?.GetValueOrDefault(componentType); }
    }

    public void SetComponent<TComponent>(TComponent? value) where TComponent : class
    {
        lock (_gate)
        {
            _components ??= [];
            if (value is null)
            {
                _components.Remove(typeof(TComponent));
            }
            else
            {
                _components[typeof(TComponent)] = value;
            }
        }
    }

    public bool Equals(IGrainContext? other) => ReferenceEquals(this, other);

    public override bool Equals(object? obj) => ReferenceEquals(this, obj);

    public override int GetHashCode() => ActivationId.GetHashCode();

    public override string ToString() => $"{GrainId}{ActivationId}";

    /// <summary>Takes the item, or says false when this life is over; over the mailbox limit the item is rejected.</summary>
    public bool TryPost(MailItem item)
    {
        bool start = false;
        bool pump = false;
        int over = 0;
        lock (_gate)
        {
            if (_phase == Phase.Dead)
            {
                return false;
            }

            if (Runtime.MailboxLimit > 0 && _waiting.Count >= Runtime.MailboxLimit && item.KeepsAlive)
            {
                over = _waiting.Count + 1;
            }
            else
            {
                _waiting.Append(item, this);
                if (_phase == Phase.New)
                {
                    _phase = Phase.Activating;
                    start = true;
                }
                else if (!_pumpQueued && MayRun(item))
                {
                    _pumpQueued = true;
                    pump = true;
                }
            }
        }

        if (over > 0)
        {
            item.Reject(new LimitExceededException("MaxEnqueuedRequestsHardLimit", over, Runtime.MailboxLimit, $"Calls wait for {GrainId}; try again later."));
        }
        else if (start)
        {
            _scheduler.QueueClean(static self => ((GrainActivation)self!).BeginActivate(), this);
        }
        else if (pump)
        {
            _scheduler.QueueClean(PumpTurn, this);
        }

        return true;
    }

    /// <summary>Takes an item back whose sender no longer waits; false when it is no longer waiting.</summary>
    public bool TryWithdraw(MailItem item)
    {
        lock (_gate)
        {
            if (!ReferenceEquals(item.Owner, this))
            {
                return false;
            }

            _waiting.Remove(item);
            return true;
        }
    }

    /// <summary>The item's work is over. Within a turn.</summary>
    public void OnFinished(MailItem item, bool wasLong)
    {
        bool pump = false;
        lock (_gate)
        {
            _running.Remove(item);
            if (!item.AlwaysInterleaves)
            {
                _runningBlocking--;
                _runningWriters -= item.IsReadOnly ? 0 : 1;
            }

            if (wasLong && item.KeepsAlive)
            {
                _lastUsed = Runtime.Clock.Timestamp;
            }

            // A drained activation is ended by its pump as well, so that there is one place that decides.
            if (!_pumpQueued && (_phase == Phase.Draining ? _running.Count == 0 || FindRunnable() is not null : FindRunnable() is not null))
            {
                _pumpQueued = true;
                pump = true;
            }
        }

        if (pump)
        {
            _scheduler.QueueClean(PumpTurn, this);
        }
    }

    public void EnterCallChain(Guid id)
    {
        bool pump = false;
        lock (_gate)
        {
            _callChains.Add(id);
            if (!_pumpQueued && FindRunnable() is not null)
            {
                _pumpQueued = true;
                pump = true;
            }
        }

        if (pump)
        {
            _scheduler.QueueClean(PumpTurn, this);
        }
    }

    public void ExitCallChain(Guid id)
    {
        lock (_gate) { _callChains.Remove(id); }
    }

    public void DelayDeactivation(TimeSpan time)
    {
        lock (_gate)
        {
            _keepUntil = time == TimeSpan.MaxValue || time == Timeout.InfiniteTimeSpan ? long.MaxValue
                : time <= TimeSpan.Zero ? long.MinValue
                : Runtime.Clock.After(time);
        }
    }

    public void Add(IDisposable timer)
    {
        lock (_gate) { (_timers ??= []).Add(timer); }
    }

    public void Remove(IDisposable timer)
    {
        lock (_gate) { _timers?.Remove(timer); }
    }

    public void Add(StreamSession session)
    {
        lock (_gate) { (_sessions ??= []).Add(session); }
    }

    public void Remove(StreamSession session)
    {
        lock (_gate)
        {
            _sessions?.Remove(session);
            _lastUsed = Runtime.Clock.Timestamp;
        }
    }

    /// <summary>Lets go of senders that no longer wait and of streams that nobody reads; called about once a second.</summary>
    public void Sweep(long now, List<MailItem> expired)
    {
        expired.Clear();
        StreamSession[] abandoned = [];
        lock (_gate)
        {
            for (MailItem? item = _waiting.First; item is not null;)
            {
                MailItem candidate = item;
                item = item.Next;
                if (candidate.Deadline <= now)
                {
                    _waiting.Remove(candidate);
                    expired.Add(candidate);
                }
            }

            foreach (MailItem item in _running)
            {
                if (item.Deadline <= now)
                {
                    expired.Add(item);
                }
            }

            if (_sessions is { Count: > 0 })
            {
                abandoned = _sessions.Where(s => s.IsAbandoned(now)).ToArray();
            }
        }

        foreach (MailItem item in expired)
        {
            item.OnExpired(this);
        }

        foreach (StreamSession session in abandoned)
        {
            _ = session.Close();   // reports its own failures
        }
    }

    /// <summary>Ends this life when nobody has used it for its collection age.</summary>
    public void CollectIfIdle(long now)
    {
        bool pump;
        lock (_gate)
        {
            if (_phase != Phase.Active || _running.Count > 0 || _waiting.Count > 0 || _sessions is { Count: > 0 }
                || _keepUntil > now || Class.CollectionAge == Timeout.InfiniteTimeSpan || !Runtime.Clock.HasPassed(Class.CollectionAge, _lastUsed, now))
            {
                return;
            }

            pump = BeginDrain_NeedsLock(new DeactivationReason(DeactivationReasonCode.ActivationIdle, $"Not used for {Class.CollectionAge}."));
        }

        if (pump)
        {
            _scheduler.QueueClean(PumpTurn, this);
        }
    }

    public void Deactivate(DeactivationReason deactivationReason, CancellationToken cancellationToken = default)
    {
        bool pump;
        lock (_gate)
        {
            pump = BeginDrain_NeedsLock(deactivationReason);
        }

        if (pump)
        {
            _scheduler.QueueClean(PumpTurn, this);
        }
    }

    private bool BeginDrain_NeedsLock(in DeactivationReason reason)
    {
        if (_phase >= Phase.Draining || _reason.ReasonCode != DeactivationReasonCode.None)
        {
            return false;
        }

        _reason = reason;
        if (_phase == Phase.Activating)
        {
            return false;   // seen when the activation is complete
        }

        _phase = Phase.Draining;
        if (_timers is { Count: > 0 })
        {
            // At once, since a tick may be what runs: its token tells it to end.
            _scheduler.QueueClean(static self => ((GrainActivation)self!).StopTimers(), this);
        }

        if (_running.Count > 0 || _pumpQueued)
        {
            return false;   // the last one to finish, or the pump, goes on
        }

        return _pumpQueued = true;
    }

    private void Pump()
    {
        // Items must not see what the one before left in the execution context.
        _cleanContext ??= ExecutionContext.Capture();
        for (int done = 0; done < ItemsPerTurn; done++)
        {
            MailItem? item;
            lock (_gate)
            {
                item = FindRunnable();
                if (item is null)
                {
                    _pumpQueued = false;
                    if (_phase != Phase.Draining || _running.Count > 0)
                    {
                        return;
                    }

                    _phase = Phase.Deactivating;
                }
                else
                {
                    _waiting.Remove(item);
                    _running.Add(item);
                    if (!item.AlwaysInterleaves)
                    {
                        _runningBlocking++;
                        _runningWriters += item.IsReadOnly ? 0 : 1;
                    }

                    if (item.KeepsAlive)
                    {
                        _lastUsed = Runtime.Clock.Timestamp;
                    }
                }
            }

            if (item is null)
            {
                _ = DeactivateAsync();   // reports its own failures, and Deactivated completes in any case
                return;
            }

            ExecutionContext.Restore(_cleanContext!);
            RequestContext.Snapshot = item.Context;
            item.Start(this);
        }

        _scheduler.QueueClean(PumpTurn, this);
    }

    private MailItem? FindRunnable()
    {
        MailItem? head = _waiting.First;
        if (head is null || MayRun(head))
        {
            return head;
        }

        if (_waiting.MightInterleave && _phase is Phase.Active or Phase.Draining)
        {
            for (MailItem? item = head.Next; item is not null; item = item.Next)
            {
                if (MayRun(item))
                {
                    return item;
                }
            }
        }

        return null;
    }

    private bool MayRun(MailItem item) => _phase switch
    {
        Phase.Active => _runningBlocking == 0 || item.AlwaysInterleaves || Class.IsReentrant
            || (item.IsReadOnly && _runningWriters == 0) || IsOfOwnChain(item),

        // Work that waits for work of its own must go on, or the activation would never be drained.
        Phase.Draining => _running.Count > 0 && IsOfOwnChain(item),
        _ => false,
    };

    private bool IsOfOwnChain(MailItem item) => item.CallChain != Guid.Empty && _callChains.Contains(item.CallChain);

    [Conditional("DEBUG")]
    private void AssertTurn() => Debug.Assert(ReferenceEquals(RuntimeContext.Current, this), "Must run as a turn.");
}
