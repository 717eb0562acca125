using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans;
using Orleans.Configuration;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Brings calls to activations, and ends what is idle, late or abandoned. One per host. Thread-safe.</summary>
internal sealed partial class ActorRuntime : IDisposable
{
    // How often late calls are looked for: fine enough that a caller waits at most a second too long.
    private static readonly TimeSpan LongestSweepPeriod = TimeSpan.FromSeconds(1);

    // A dead activation leaves the directory before its mailbox is sent on, so a second look normally succeeds.
    private const int MaxDispatchAttempts = 1000;

    private readonly Lock _sweepGate = new();
    private readonly List<MailItem> _expired = [];
    private ITimer? _sweep;
    private ITimer? _collect;
    private volatile bool _stopping;

    public ActorRuntime(
        IServiceProvider services,
        IOptions<SiloMessagingOptions> messaging,
        IOptions<GrainCollectionOptions> collection,
        GrainClasses classes,
        TimeProvider time,
        ILogger<ActorRuntime> logger,
        ICallListener? listener = null)
    {
        Listener = listener;
        Services = services;
        Messaging = messaging.Value;
        Collection = collection.Value;
        MailboxLimit = Messaging.MaxEnqueuedRequestsHardLimit;
        Time = time;
        Logger = logger;
        Clock = new RuntimeClock(time);
        Catalog = new GrainCatalog(classes.Types, Collection);
        References = new ReferenceFactory(this);
    }

    public IServiceProvider Services { get; }

    public SiloMessagingOptions Messaging { get; }

    public GrainCollectionOptions Collection { get; }

    public int MailboxLimit { get; }

    public TimeProvider Time { get; }

    public RuntimeClock Clock { get; }

    public ILogger Logger { get; }

    /// <summary>Is told of calls and streams; null where nobody wants to know.</summary>
    public ICallListener? Listener { get; }

    public GrainCatalog Catalog { get; }

    public ActivationDirectory Directory { get; } = new();

    public ReferenceFactory References { get; }

    // Asked for on the first call, since filters may themselves need the grain factory.
    public IIncomingGrainCallFilter[] IncomingFilters => field ??= Services.GetServices<IIncomingGrainCallFilter>().ToArray();

    public IOutgoingGrainCallFilter[] OutgoingFilters => field ??= Services.GetServices<IOutgoingGrainCallFilter>().ToArray();

    public long ResponseDeadline() => Clock.After(Messaging.ResponseTimeout);

    public void Start()
    {
        TimeSpan tenth = Messaging.ResponseTimeout / 10;
        TimeSpan period = Messaging.ResponseTimeout <= TimeSpan.Zero || tenth > LongestSweepPeriod ? LongestSweepPeriod : tenth;
        _sweep = Time.CreateTimer(static self => ((ActorRuntime)self!).Sweep(), this, period, period);
        _collect = Time.CreateTimer(static self => ((ActorRuntime)self!).CollectIdle(), this, Collection.CollectionQuantum, Collection.CollectionQuantum);
    }

    /// <summary>Ends all activations; what has not ended when the token does is left alone and named in the log.</summary>
    public async Task StopAsync(CancellationToken token)
    {
        _stopping = true;
        GrainActivation[] living = Directory.All.ToArray();
        foreach (GrainActivation activation in living)
        {
            activation.Deactivate(new DeactivationReason(DeactivationReasonCode.ShuttingDown, "The host stops."), token);
        }

        try
        {
            await Task.WhenAll(living.Select(a => a.Deactivated)).WaitAsync(Collection.DeactivationTimeout, TimeProvider.System, token);
        }
        catch (Exception e) when (e is OperationCanceledException or TimeoutException)
        {
            string[] stuck = living.Where(a => !a.Deactivated.IsCompleted).Select(a => a.GrainId.ToString()).Take(10).ToArray();
            LogNotStopped(Logger, living.Count(a => !a.Deactivated.IsCompleted), stuck);
        }

        Dispose();
    }

    public void ThrowIfStopping(GrainId id)
    {
        if (_stopping)
        {
            throw new SiloUnavailableException($"Grain {id} is not started any more, since the host stops.");
        }
    }

    /// <summary>Brings a call to its grain. Never throws: what goes wrong, the caller of the call gets.</summary>
    public void Dispatch(Call call)
    {
        if (call.Target.LastTarget is not { } target || !target.TryPost(call))
        {
            Dispatch(call, call.Target);
        }
    }

    /// <summary>Brings an item to a grain. Never throws: what goes wrong, the item's sender gets.</summary>
    public GrainActivation? Dispatch(MailItem item, GrainReference reference)
    {
        try
        {
            GrainId id = reference.GrainId;
            if (id.Type == GrainClass.Observer.GrainType)
            {
                GrainActivation observer = Directory.Find(id) ?? throw new InvalidOperationException($"Observer {id} was deleted.");
                return observer.TryPost(item) ? reference.LastTarget = observer : throw new InvalidOperationException($"Observer {id} was deleted.");
            }

            GrainClass grainClass = Catalog.Find(id.Type);
            if (grainClass.MaxWorkers > 0)
            {
                Directory.GetOrAddWorkers(id, grainClass, this).Post(item);
                return null;
            }

            for (int attempt = 0; attempt < MaxDispatchAttempts; attempt++)
            {
                GrainActivation activation = Directory.GetOrAdd(id, grainClass, this);
                if (activation.TryPost(item))
                {
                    return reference.LastTarget = activation;
                }

                // Dead but not yet out of the directory: its last turn is about to remove it.
                Directory.Remove(activation);
            }

            throw new OrleansMessageRejectionException($"Grain {id} ended {MaxDispatchAttempts} times in a row before it took the call.");
        }
        catch (Exception e)
        {
            item.Reject(e);
            return null;
        }
    }

    public void Dispose()
    {
        _sweep?.Dispose();
        _collect?.Dispose();
    }

    private void Sweep()
    {
        lock (_sweepGate)
        {
            long now = Clock.Timestamp;
            foreach (GrainActivation activation in Directory.All)
            {
                activation.Sweep(now, _expired);
            }
        }
    }

    private void CollectIdle()
    {
        long now = Clock.Timestamp;
        foreach (GrainActivation activation in Directory.All)
        {
            activation.CollectIfIdle(now);
        }
    }

    [LoggerMessage(7005, LogLevel.Warning, "{Count} grains did not end in time and are left alone, among them {Grains}.", EventName = "GrainsNotStopped")]
    private static partial void LogNotStopped(ILogger logger, int count, string[] grains);
}

/// <summary>The grain classes of a host.</summary>
internal sealed record GrainClasses(IReadOnlyCollection<Type> Types);
