using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>Keeps one kind of one cluster in step: a table, and the reflector that fills it.</summary>
/// <remarks>
/// Started, stopped and looked after by the supervisor's loop alone; <see cref="Read"/> and the counters may be read from any
/// thread. The table outlives the reflector: one that starts anew lists, and the list is taken over as a difference.
/// </remarks>
internal sealed partial class KindMirror
{
    // A server that starts answers 403 for about a second before its roles are loaded. Only its refusals count, not that it was down before.
    private const int ForbiddenForGood = 3;

    // What has failed for less than this may have failed because the server was away.
    private static readonly TimeSpan YoungFailure = TimeSpan.FromMinutes(1);

    private readonly MirrorParts _parts;
    private readonly Action? _changed;
    private readonly KindTable _table;
    private Run? _run;
    private Past _past;
    private bool _vanished;
    private ReflectorStatus _counted = Idle;

    private static readonly ReflectorStatus Idle = new(ReflectorPhase.Idle, DateTimeOffset.UnixEpoch);

    /// <param name="parts">What the mirrors of one cluster share.</param>
    /// <param name="type">The kind.</param>
    /// <param name="hidesValues">Whether only metadata may be taken over, as of secrets.</param>
    /// <param name="changed">Called with every change, on the reflector's thread.</param>
    /// <param name="heardAt">When the objects that are in the mirror already were last heard of; null without any.</param>
    public KindMirror(MirrorParts parts, ResourceType type, bool hidesValues, Action? changed, DateTimeOffset? heardAt = null)
    {
        _parts = parts;
        _changed = changed;
        Type = type;
        HidesValues = hidesValues;
        _table = parts.Mirror.AddKind(type);
        _past = new Past { HasObjects = _table.IsSynced, HeardAt = heardAt };
    }

    public ResourceType Type { get; }

    /// <summary>Whether only metadata is taken over.</summary>
    public bool HidesValues { get; }

    /// <summary>When the kind was first found missing from discovery; null while it is there.</summary>
    public DateTimeOffset? MissingSince { get; set; }

    /// <summary>When it is tried again after it was given up for a while; null while it runs.</summary>
    public DateTimeOffset? RetryAt => Volatile.Read(ref _past).RetryAt;

    /// <summary>Whether a whole list has been taken over, by this or by whoever filled the mirror before.</summary>
    public bool HoldsObjects => _table.IsSynced;

    public int Objects => _table.ObjectCount;

    public long Bytes => _table.RetainedBytes;

    /// <summary>Lists taken over, by all reflectors of this kind.</summary>
    public long Lists => Volatile.Read(ref _past).Lists + Status.Lists;

    /// <summary>Changes taken over from watches, by all reflectors of this kind.</summary>
    public long Events => Volatile.Read(ref _past).Events + (Volatile.Read(ref _run)?.Intake.Events ?? 0);

    public ReflectorStatus Status => Volatile.Read(ref _run)?.Reflector.Status ?? Idle;

    /// <summary>Starts listing and watching; nothing happens where it runs already.</summary>
    public void Start()
    {
        if (_run is not null)
        {
            return;
        }

        Volatile.Write(ref _past, _past with { RetryAt = null });
        var intake = new MirrorIntake(_table, _parts.Tidying, _changed);
        var reflector = new Reflector(
            _parts.Cluster,
            _parts.Client,
            Type,
            HidesValues ? new SecretRedaction(intake) : intake,
            _parts.Reflectors with { MetadataOnly = HidesValues },
            _parts.Loggers.CreateLogger<Reflector>());
        var stopping = new CancellationTokenSource();
        Volatile.Write(ref _run, new Run(reflector, intake, stopping, Task.Run(() => reflector.RunAsync(stopping.Token))));
    }

    /// <summary>Stops listing and watching and keeps the objects.</summary>
    public async Task StopAsync()
    {
        if (_run is not { } run)
        {
            return;
        }

        await run.Stopping.CancelAsync();
        try
        {
            await run.Ended.WaitAsync(_parts.Options.StopTimeout, _parts.Time);
            run.Stopping.Dispose();
        }
        catch (TimeoutException)
        {
            LogStopSlow(_parts.Logger, _parts.Cluster, Type.GroupResource);
        }
        catch (Exception e)
        {
            LogBroke(_parts.Logger, e, _parts.Cluster, Type.GroupResource);
        }

        run.Intake.Close();
        Count();
        ReflectorStatus last = run.Reflector.Status;
        Volatile.Write(ref _past, _past with
        {
            HasObjects = _past.HasObjects || last.Synced,
            HeardAt = last.LastHeard ?? _past.HeardAt,
            Lists = _past.Lists + last.Lists,
            Events = _past.Events + run.Intake.Events,
        });
        _counted = Idle;
        Volatile.Write(ref _run, null);
    }

    /// <summary>Looks after the kind: gives up for a while what is forbidden or broke, begins anew what is due.</summary>
    public async Task LookAfterAsync(DateTimeOffset now)
    {
        if (RetryAt is { } due)
        {
            if (now >= due)
            {
                Start();
            }

            return;
        }

        Count();
        ReflectorStatus status = Status;
        if (_run is { Ended.IsFaulted: true } run)
        {
            LogBroke(_parts.Logger, run.Ended.Exception!.InnerException!, _parts.Cluster, Type.GroupResource);
            await GiveUpAsync(MirrorState.Failed, new ClusterFault(ClusterFault.Internal, "The mirror of this kind broke; it is tried again, and the log has the details."), now);
        }
        else if (status.Error?.Kind == KubeErrorKind.Forbidden && status.FailuresAlike >= ForbiddenForGood)
        {
            await GiveUpAsync(MirrorState.Forbidden, ClusterFaults.From(status.Error), now);
        }
        else if (_past.Held is not null && status.Synced && status.Failures == 0)
        {
            Volatile.Write(ref _past, _past with { Held = null });
        }
    }

    /// <summary>Whether the server has begun to answer 404 since this was last asked.</summary>
    public bool HasJustVanished()
    {
        bool before = _vanished;
        _vanished = Status.Vanished;
        return _vanished && !before;
    }

    /// <summary>Tries at once again where it was given up or waits after a failure: somebody has changed what stood in the way.</summary>
    public void Hurry()
    {
        if (RetryAt is not null)
        {
            Start();
        }
        else
        {
            _run?.Reflector.RetryNow();
        }
    }

    /// <summary>Tries at once again where it waits after a failure that a server which was away for a moment explains.</summary>
    public void HurryIfYoung(DateTimeOffset now)
    {
        ReflectorStatus status = Status;
        bool mayBeOver = status.Error?.Kind is KubeErrorKind.ConnectionRefused or KubeErrorKind.Unauthorized or KubeErrorKind.Forbidden or KubeErrorKind.Timeout;
        if (mayBeOver && status.FailingSince is { } since && now - since < YoungFailure)
        {
            _run?.Reflector.RetryNow();
        }
    }

    /// <summary>Stops the kind for good; its objects come out of the mirror as deleted.</summary>
    public async Task RemoveAsync()
    {
        await StopAsync();
        _parts.Mirror.RemoveKind(Type.GroupResource);
    }

    /// <summary>How the mirror stands with the kind now.</summary>
    public KindStanding Read(DateTimeOffset now)
    {
        Past past = Volatile.Read(ref _past);
        ReflectorStatus status = Status;
        DateTimeOffset? heard = status.LastHeard ?? past.HeardAt;
        if (past.Held is { } held && (past.RetryAt is not null || status is { Synced: false, Error: null or { Kind: KubeErrorKind.Forbidden } }))
        {
            return new KindStanding(past.HeldState, held, heard);
        }

        var silence = new Silence(_parts.Options.StaleGrace, _parts.Options.BookmarkInterval, 2 * _parts.Reflectors.MinWatchTimeout);
        KindHealth health = KindHealth.Of(status, past.HasObjects || status.Synced, heard, now, silence, _parts.Options.DegradedAfter);
        ClusterFault? fault = health.Fault is not null && _table.OutOfSyncReason is { } reason ? new ClusterFault(ClusterFault.OverBudget, reason) : health.Fault;
        return new KindStanding(health.State, fault, heard);
    }

    private async Task GiveUpAsync(MirrorState state, ClusterFault fault, DateTimeOffset now)
    {
        bool isNews = _past.Held is null;
        await StopAsync();
        Volatile.Write(ref _past, _past with { Held = fault, HeldState = state, RetryAt = now + _parts.Options.ForbiddenRetry });
        LogGivenUp(_parts.Logger, isNews ? LogLevel.Information : LogLevel.Debug, _parts.Cluster, Type.GroupResource, fault.Kind, _parts.Options.ForbiddenRetry);
    }

    /// <summary>Carries what the reflector did since the last look into the metrics.</summary>
    private void Count()
    {
        ReflectorStatus now = Status;
        for (int i = _counted.Lists; i < now.Lists; i++)
        {
            _parts.Metrics.Listed(_parts.Cluster, Type.GroupResource);
        }

        for (int i = _counted.Watches; i < now.Watches; i++)
        {
            _parts.Metrics.WatchOpened(_parts.Cluster, Type.GroupResource);
        }

        if (now.Failures > _counted.Failures && now.Error is { } error)
        {
            _parts.Metrics.SyncFailed(_parts.Cluster, error.Kind.ToString());
        }

        _counted = now;
    }

    /// <summary>What is left of the reflectors that have ended. Swapped whole, since readers look at it at any time.</summary>
    private sealed record Past
    {
        /// <summary>Why the kind was given up, until it is in step again.</summary>
        public ClusterFault? Held { get; init; }

        public MirrorState HeldState { get; init; }

        public DateTimeOffset? RetryAt { get; init; }

        public DateTimeOffset? HeardAt { get; init; }

        public bool HasObjects { get; init; }

        public long Lists { get; init; }

        public long Events { get; init; }
    }

    private sealed record Run(Reflector Reflector, MirrorIntake Intake, CancellationTokenSource Stopping, Task Ended);

    [LoggerMessage(EventId = 4120, Message = "Cluster {Cluster}: mirror of {Resource} given up for {Time}, {Kind}.", EventName = "KindGivenUp")]
    private static partial void LogGivenUp(ILogger logger, LogLevel level, string cluster, string resource, string kind, TimeSpan time);

    [LoggerMessage(4121, LogLevel.Error, "Cluster {Cluster}: mirror of {Resource} broke; it starts over later.", EventName = "KindBroke")]
    private static partial void LogBroke(ILogger logger, Exception exception, string cluster, string resource);

    [LoggerMessage(4122, LogLevel.Warning, "Cluster {Cluster}: mirror of {Resource} does not stop in time; it is left to end by itself.", EventName = "KindStopSlow")]
    private static partial void LogStopSlow(ILogger logger, string cluster, string resource);
}
