using System.Buffers;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>One cluster while it is switched on: its client and the loops that probe, mirror and report.</summary>
/// <remarks>
/// Made, changed and stopped by turns of the cluster's grain; what it shows may be read from any thread. Stopping keeps the
/// objects in the mirror unless <see cref="StopAsync"/> is told to let them go.
/// </remarks>
internal sealed partial class ClusterSession
{
    private static readonly ClusterFault CutOff = new(
        ClusterFault.CutOff,
        "The part of this service that holds the cluster is cut off from the others and from the database, and does not follow the cluster until it is back or another has taken over. Ask again in a few seconds.");

    private readonly string _cluster;
    private readonly ClusterServices _services;
    private readonly ILogger _logger;
    private readonly HealthMonitor _health;
    private readonly MirrorSupervisor _supervisor;
    private readonly SummaryReporter _reporter;
    private readonly Lock _gate = new();
    private readonly WakeSignal _probeNow;
    private readonly ListGate _pastLists;
    private readonly Lock _life = new();
    private ImmutableArray<SupervisedLoop> _loops = [];   // under _life, as are the four below
    private Task _paused = Task.CompletedTask;
    private bool _reports;
    private bool _isSuspended;
    private bool _isStopped;
    private ClusterStanding _standing;
    private MirrorCondition _mirrorCondition = MirrorCondition.Well;   // under _gate
    private HealthState _healthBefore = HealthState.Unknown(default);
    private ClusterEntry _entry;

    /// <param name="entry">The registration.</param>
    /// <param name="connection">Server and credentials.</param>
    /// <param name="mirror">Where the objects go; it outlives the session.</param>
    /// <param name="fleet">Takes the summaries.</param>
    /// <param name="services">What all clusters share.</param>
    /// <param name="silo">Name of the silo that this is.</param>
    public ClusterSession(ClusterEntry entry, ClusterConnection connection, ClusterMirror mirror, IFleetGrain fleet, ClusterServices services, string silo)
    {
        Silo = silo;
        _cluster = entry.Name;
        _entry = entry;
        _services = services;
        _logger = services.Loggers.CreateLogger<ClusterSession>();
        _standing = new ClusterStanding(ClusterPhase.Pending, null, services.Time.GetUtcNow());
        _probeNow = new WakeSignal(services.Time);
        _pastLists = new ListGate(services.Mirror.ListsPerCluster, Timeout.InfiniteTimeSpan);
        Client = services.Clients.Create(connection);
        Mirror = mirror;
        _health = new HealthMonitor(_cluster, Client, services.Health, services.Time, services.Metrics, _logger) { Probed = TakeProbe, Wake = _probeNow };
        var parts = new MirrorParts
        {
            Cluster = _cluster,
            Client = Client,
            Mirror = mirror,
            Options = services.Mirror,
            Reflectors = services.Reflectors with
            {
                ListGates = [new ListGate(services.Mirror.ListsPerCluster, Timeout.InfiniteTimeSpan), services.Lists],
                BookmarkInterval = services.Mirror.BookmarkInterval,
            },
            Time = services.Time,
            Metrics = services.Metrics,
            Tidying = services.Tidying,
            Loggers = services.Loggers,
            Logger = _logger,
        };
        _supervisor = new MirrorSupervisor(parts, entry.Mirror) { Looked = () => Evaluate(isProbe: false) };
        _reporter = new SummaryReporter(this, fleet, services, _logger);
    }

    /// <summary>Name of the silo that it lives on.</summary>
    public string Silo { get; }

    public KubeClient Client { get; }

    public ClusterMirror Mirror { get; }

    /// <summary>The registration as it is now; the reporter admits it again where the fleet has lost it.</summary>
    public ClusterEntry Entry
    {
        get => Volatile.Read(ref _entry);
        private set => Volatile.Write(ref _entry, value);
    }

    public ClusterStanding Standing => Volatile.Read(ref _standing);

    public HealthView Health => _health.Current;

    public MirrorView View => _supervisor.Current;

    /// <summary>What the fleet was last told; null before the first time.</summary>
    public ClusterSummary? Summary => _reporter.Reported;

    /// <summary>Takes the server for what another session has found it to be, until probes say otherwise. Only before <see cref="Start"/>.</summary>
    public void Seed(KnownHealth known)
    {
        if (known.Phase == ClusterPhase.Pending)
        {
            return;
        }

        _healthBefore = new HealthState(known.Phase, known.Fault, known.Since);
        _health.Begin(_healthBefore, known.ServerVersion);
        Volatile.Write(ref _standing, new ClusterStanding(known.Phase, known.Fault, known.Since));
    }

    /// <summary>Begins with what another session has mirrored, whose objects the mirror holds. Only before <see cref="Start"/>.</summary>
    public void Seed(MirrorSeed seed) => _supervisor.Seed(seed);

    /// <summary>Starts the loops.</summary>
    /// <param name="seen">What a check has just found, so that the cluster does not stay pending until the first probe.</param>
    /// <param name="reports">Whether the fleet hears of it; a standby keeps quiet until it is adopted.</param>
    public void Start(ConnectionFindings? seen, bool reports = true)
    {
        if (seen?.Probe is { } probe)
        {
            _health.Seed(probe, seen.Checks.Version);
        }

        lock (_life)
        {
            StartLoops_NeedsLife();
        }

        if (reports)
        {
            Adopt();
        }
    }

    /// <summary>The cluster lives here from now on: the fleet hears of it.</summary>
    public void Adopt()
    {
        lock (_life)
        {
            _reports = true;
            if (!_isSuspended)
            {
                _loops = _loops.Add(StartReports());
            }
        }

        _services.Clusters.Enter(this, _cluster);
    }

    /// <summary>Tells the fleet how the cluster stands, also where nothing has changed: it has asked.</summary>
    public void ReportAgain() => _reporter.ReportAgain();

    /// <summary>Ends everything that reaches the member or the fleet, or begins it anew. Returns at once.</summary>
    /// <remarks>The objects stay, and are called stale while nothing follows them.</remarks>
    internal void SetSuspended(bool isSuspended)
    {
        lock (_life)
        {
            if (_isStopped || _isSuspended == isSuspended)
            {
                return;
            }

            _isSuspended = isSuspended;
            if (isSuspended)
            {
                ImmutableArray<SupervisedLoop> loops = _loops;
                _loops = [];
                foreach (SupervisedLoop loop in loops)
                {
                    loop.RequestStop();
                }

                _paused = Task.WhenAll([_paused, .. loops.Select(loop => loop.DisposeAsync().AsTask())]);
                LogSuspended(_logger, _cluster);
                return;
            }

            // Two loops of one kind never run beside each other, and whoever ends the pause does not wait.
            _paused = _paused.ContinueWith(_ => GoOn(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private void GoOn()
    {
        lock (_life)
        {
            if (_isStopped || _isSuspended || !_loops.IsEmpty)
            {
                return;
            }

            StartLoops_NeedsLife();
            if (_reports)
            {
                _loops = _loops.Add(StartReports());
            }
        }

        _supervisor.Hurry();
        _probeNow.Set();
        LogResumed(_logger, _cluster);
    }

    private void StartLoops_NeedsLife() => _loops =
    [
        SupervisedLoop.Start(_cluster, "health", _health.RunAsync, _services.Time, _logger),
        SupervisedLoop.Start(_cluster, "mirror", _supervisor.RunAsync, _services.Time, _logger),
    ];

    private SupervisedLoop StartReports() => SupervisedLoop.Start(_cluster, "report", _reporter.RunAsync, _services.Time, _logger);

    /// <summary>Takes over what a user changed of the registration.</summary>
    public void Update(ClusterEntry entry)
    {
        bool isOtherScope = !RegistrationRules.IsSame(entry.Mirror, Entry.Mirror);
        Entry = entry;
        if (isOtherScope)
        {
            Mirror.ByteBudget = _services.Mirror.BoundsFor(entry.Mirror).ByteBudget ?? long.MaxValue;
            _supervisor.SetScope(entry.Mirror);
            _supervisor.Hurry();   // what did not fit may fit now
        }

        _reporter.ReportNow();
    }

    /// <summary>Uses other credentials from now on. Watches that run go on, and what failed is tried again at once.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">They cannot be used; the old ones stay.</exception>
    public void Replace(ClusterConnection connection)
    {
        Client.ReplaceCredentials(connection);
        _supervisor.Hurry();
        _probeNow.Set();
    }

    /// <summary>Stops the loops, each within its time.</summary>
    /// <param name="letGo">Whether the objects leave the mirror, as deletions that watches see.</param>
    public async Task StopAsync(bool letGo)
    {
        _services.Clusters.Leave(this);
        ImmutableArray<SupervisedLoop> loops;
        lock (_life)
        {
            _isStopped = true;
            loops = _loops;
            _loops = [];
        }

        foreach (SupervisedLoop loop in loops)
        {
            loop.RequestStop();
        }

        foreach (SupervisedLoop loop in loops)
        {
            try
            {
                await loop.DisposeAsync().AsTask().WaitAsync(2 * _services.Mirror.StopTimeout, _services.Time);
            }
            catch (TimeoutException)
            {
                LogStopSlow(_logger, _cluster, loop.Name);
            }
        }

        if (letGo)
        {
            await _supervisor.ClearAsync();
        }

        _reporter.Forget();
        await Client.DisposeAsync();
    }

    /// <summary>How the mirror stands with a kind; null where it does not mirror it.</summary>
    public KindStanding? StandingOf(string groupResource)
    {
        MirrorView view = View;
        if (!view.Mirrored.TryGetValue(groupResource, out KindMirror? kind))
        {
            // One that discovery has just found is neither mirrored nor left out yet: calling it left out would be wrong a moment later.
            return view.Surface is null || view.LeftOut.ContainsKey(groupResource) ? null : new KindStanding(MirrorState.Syncing, null, null);
        }

        KindStanding standing = kind.Read(_services.Time.GetUtcNow());
        return Volatile.Read(ref _isSuspended) && standing.State is (MirrorState.Synced or MirrorState.Stale) ? standing with { State = MirrorState.Stale, Fault = CutOff } : standing;
    }

    /// <summary>Whether the server does not answer, or not us.</summary>
    public bool IsOutOfReach => _health.Current.State.Phase is ClusterPhase.Offline or ClusterPhase.AuthFailed;

    /// <summary>Whether the mirror holds kinds that are not in step: who fills another mirror by asking the server may not get what is here.</summary>
    public bool HoldsWhatTheServerMayNotGive
    {
        get
        {
            DateTimeOffset now = _services.Time.GetUtcNow();
            return IsOutOfReach || View.Mirrored.Values.Any(kind => kind.HoldsObjects && kind.Read(now).State != MirrorState.Synced);
        }
    }

    /// <summary>Whether a kind is in step by what this session has heard itself.</summary>
    public bool Follows(string groupResource) =>
        View.Mirrored.TryGetValue(groupResource, out KindMirror? kind) && kind.Status.Synced && StandingOf(groupResource) is { State: MirrorState.Synced };

    /// <summary>The kinds that are in step and that another could bring into step as well, by group-resource: none while the server is out of reach.</summary>
    public ImmutableArray<string> KindsInStep()
    {
        if (IsOutOfReach)
        {
            return [];
        }

        DateTimeOffset now = _services.Time.GetUtcNow();
        return [.. View.Mirrored.Where(kind => kind.Value.Read(now).State == MirrorState.Synced).Select(kind => kind.Key)];
    }

    /// <summary>The kinds in order of their group-resource.</summary>
    public ImmutableArray<MirroredKind> Kinds()
    {
        DateTimeOffset now = _services.Time.GetUtcNow();
        MirrorView view = View;
        IEnumerable<MirroredKind> mirrored = view.Mirrored.Values.Select(kind =>
        {
            KindStanding reading = kind.Read(now);
            return Describe(kind.Type) with
            {
                State = reading.State,
                Objects = kind.Objects,
                Bytes = kind.Bytes,
                HeardAt = reading.HeardAt,
                ResourceVersion = kind.Status.ResourceVersion,
                Lists = kind.Lists,
                Fault = reading.Fault,
            };
        });
        return [.. mirrored.Concat(view.LeftOut.Values.Select(Describe)).OrderBy(kind => kind.Group.Length == 0 ? kind.Plural : $"{kind.Plural}.{kind.Group}", StringComparer.Ordinal)];
    }

    /// <summary>One page of what was there at an earlier version, with nothing in it that the mirror would not take in.</summary>
    /// <remarks>After the loss of a silo all its watches ask at once, so they wait for each other, page by page.</remarks>
    /// <exception cref="Kubernetes.Errors.KubeException">It cannot be read.</exception>
    public async Task<string> ReadPastAsync(PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken)
    {
        bool hidesValues = View.Mirrored.TryGetValue(list.Resource.GroupResource, out KindMirror? kind) && kind.HidesValues;
        var clean = new ArrayBufferWriter<byte>();
        using IDisposable place = await _pastLists.EnterAsync(cancellationToken);
        using IDisposable placeOfAll = await _services.Lists.EnterAsync(cancellationToken);
        return await Client.ReadPastPageAsync(list with { MetadataOnly = hidesValues }, token, hidesValues ? TakeRedacted : take, cancellationToken);

        void TakeRedacted(ReadOnlySpan<byte> item)
        {
            clean.Clear();
            SecretRedaction.Redact(item, clean);
            take(clean.WrittenSpan);
        }
    }

    private static MirroredKind Describe(ResourceType type) => new()
    {
        Group = type.Group,
        Version = type.Version,
        Plural = type.Plural,
        Kind = type.Kind,
        Namespaced = type.Namespaced,
        ShortNames = type.ShortNames,
    };

    /// <summary>Takes over what a probe found. Called by the loop of health alone.</summary>
    private void TakeProbe()
    {
        HealthState before = _healthBefore;
        HealthState after = _healthBefore = _health.Current.State;
        Evaluate(isProbe: true);

        // A server that is back, or well again, must not wait for the pauses that its outage has led to, however short it was.
        // One that starts answers, and refuses a good deal, before it is well; so both steps count.
        bool answersAgain = before.Phase is ClusterPhase.Offline or ClusterPhase.AuthFailed && after.Phase == ClusterPhase.Degraded;
        if (answersAgain || (after.IsWell && !before.IsWell))
        {
            _supervisor.Hurry();
        }
        else if (after.IsWell)
        {
            // It may have been away between two probes; nothing but its kinds knows then.
            _supervisor.HurryYoung();
        }
    }

    /// <summary>Brings the standing up to date. Called by the loops after each of their rounds.</summary>
    private void Evaluate(bool isProbe)
    {
        DateTimeOffset now = _services.Time.GetUtcNow();
        ClusterStanding before;
        ClusterStanding after;
        lock (_gate)
        {
            before = _standing;
            ClusterFault? fault = MirrorFault.Of(View, Loops, now, _services.Mirror.DegradedAfter);
            HealthOptions health = _services.Health;
            _mirrorCondition = isProbe ? _mirrorCondition.AtProbe(fault, health.DownAfter, health.UpAfter) : _mirrorCondition.Between(fault, health.UpAfter);
            after = before.With(_health.Current.State, _mirrorCondition.Shows, now, reads: Reads(now));
            Volatile.Write(ref _standing, after);
        }

        if (before.Phase == after.Phase)
        {
            return;
        }

        _services.Metrics.PhaseChanged(_cluster, after.Phase);
        LogPhase(_logger, LevelOf(after.Phase), _cluster, after.Phase, before.Phase, after.Fault?.Message ?? "");
        _reporter.ReportNow();
    }

    private ImmutableArray<SupervisedLoop> Loops
    {
        get
        {
            lock (_life)
            {
                return _loops;
            }
        }
    }

    private bool Reads(DateTimeOffset now) =>
        _health.Current.State.Phase == ClusterPhase.AuthFailed && View.Mirrored.Values.Any(kind => kind.Read(now).State == MirrorState.Synced);

    private static LogLevel LevelOf(ClusterPhase phase) =>
        phase is ClusterPhase.Degraded or ClusterPhase.Offline or ClusterPhase.AuthFailed ? LogLevel.Warning : LogLevel.Information;

    [LoggerMessage(EventId = 4140, Message = "Cluster {Cluster}: {Phase}, was {Before}. {Reason}", EventName = "PhaseChanged")]
    private static partial void LogPhase(ILogger logger, LogLevel level, string cluster, ClusterPhase phase, ClusterPhase before, string reason);

    [LoggerMessage(4142, LogLevel.Warning, "Cluster {Cluster}: not followed any more, because this process may have lost it to another.", EventName = "SessionSuspended")]
    private static partial void LogSuspended(ILogger logger, string cluster);

    [LoggerMessage(4143, LogLevel.Information, "Cluster {Cluster}: followed again.", EventName = "SessionResumed")]
    private static partial void LogResumed(ILogger logger, string cluster);

    [LoggerMessage(4141, LogLevel.Warning, "Cluster {Cluster}: the {Loop} loop does not stop in time; it is left to end by itself.", EventName = "LoopStopSlow")]
    private static partial void LogStopSlow(ILogger logger, string cluster, string loop);
}
