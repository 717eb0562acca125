using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using Orleans;

namespace MultiCluster.Gateway.Reads;

/// <summary>The fleet at one moment. Immutable.</summary>
public sealed class FleetSnapshot
{
    /// <summary>What is known before anything was heard.</summary>
    public static readonly FleetSnapshot Empty = new();

    private ClusterEntry[]? _ordered;

    /// <summary>Version of the fleet; 0 before anything was heard.</summary>
    public long Version { get; init; }

    /// <summary>Every join, leave and change of selection stamped up to here is part of this snapshot; 0 where the fleet does not say.</summary>
    public long Through { get; init; }

    /// <summary>The clusters by name, in byte order.</summary>
    public ImmutableSortedDictionary<string, ClusterEntry> Clusters { get; init; } = ImmutableSortedDictionary.Create<string, ClusterEntry>(StringComparer.Ordinal);

    /// <summary>Clusters that left within the kept history.</summary>
    public ImmutableArray<Departure> Departures { get; init; } = [];

    /// <summary>Whether the fleet has been heard of at all.</summary>
    public bool IsKnown { get; init; }

    /// <summary>Silos that do not answer, by name.</summary>
    internal ImmutableDictionary<string, LostSilo> LostSilos { get; init; } = [];

    /// <summary>What is wrong with the silo of a cluster; null while that is not known to be lost, or once another has said that it holds the cluster.</summary>
    internal ClusterFault? LossOf(string cluster) =>
        !LostSilos.IsEmpty && Clusters.TryGetValue(cluster, out ClusterEntry? entry) && entry.Summary is { } summary && LostSilos.TryGetValue(summary.Silo, out LostSilo? lost) ? lost.Fault : null;

    /// <summary>The clusters in byte order of their names.</summary>
    public ImmutableArray<ClusterEntry> Ordered
    {
        get
        {
            // Summaries make a new snapshot many times a second in a large fleet, requests look at few of them: hence on demand.
            ClusterEntry[]? ordered = Volatile.Read(ref _ordered);
            if (ordered is null)
            {
                ordered = [.. Clusters.Values];
                Volatile.Write(ref _ordered, ordered);
            }

            return ImmutableCollectionsMarshal.AsImmutableArray(ordered);
        }
    }
}

/// <summary>This gateway's copy of the fleet, kept in step with <see cref="IFleetGrain"/>.</summary>
/// <remarks>
/// Readers take <see cref="Current"/> once per request. When the grain is lost, the last snapshot stays and the watch is opened
/// anew after 0.2 to 5 seconds with jitter. Thread-safe.
/// </remarks>
public sealed partial class FleetView : BackgroundService
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan MaxBackoff = TimeSpan.FromSeconds(5);

    // The fleet says something every second; one that is silent for this long hangs with its silo.
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private FleetSnapshot _heard = FleetSnapshot.Empty;   // what the fleet has said; under _gate
    private readonly LostClusters _lost = new();            // under _gate
    private FleetSnapshot _current = FleetSnapshot.Empty;   // the same, with what has been lost since
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // No time that a clock gives out, since it begins with the machine.
    private const long NotLost = long.MinValue;

    private readonly Func<IFleetGrain> _fleet;
    private readonly FleetClock _clock;
    private readonly TimeProvider _time;
    private readonly ILogger<FleetView> _logger;
    private long _lostAt = NotLost;

    public FleetView(IGrainFactory grains, FleetClock clock, TimeProvider time, ILogger<FleetView> logger)
        : this(() => grains.GetGrain<IFleetGrain>(IFleetGrain.Key), clock, time, logger)
    {
    }

    /// <param name="fleet">Finds the fleet; asked anew after each loss.</param>
    /// <param name="clock">The process's clock.</param>
    /// <param name="time">For silence and pauses.</param>
    /// <param name="logger">Log.</param>
    internal FleetView(Func<IFleetGrain> fleet, FleetClock clock, TimeProvider time, ILogger<FleetView> logger) =>
        (_fleet, _clock, _time, _logger) = (fleet, clock, time, logger);

    /// <summary>The latest snapshot.</summary>
    public FleetSnapshot Current => Volatile.Read(ref _current);

    /// <summary>How long the fleet could not be watched, so that <see cref="Current"/> is that old; null while it is watched, or has not been tried yet.</summary>
    public TimeSpan? LostFor => Interlocked.Read(ref _lostAt) is var since && since == NotLost ? null : _time.GetElapsedTime(since);

    /// <summary>Completes with the first snapshot of at least this version; read your own registrations with it.</summary>
    public async Task<FleetSnapshot> WaitForVersionAsync(long version, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed = Changed();
            FleetSnapshot now = Current;
            if (now.Version >= version)
            {
                return now;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    /// <summary>The latest snapshot; a gateway that has just started waits for its first, since an empty fleet would be a false answer.</summary>
    /// <param name="within">How long to wait; outside of 0 to <see cref="FleetQuery.MaxDeadline"/> it is <see cref="FleetQuery.DefaultDeadline"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="FleetUnavailableException">The fleet was not heard of in time.</exception>
    public async Task<FleetSnapshot> KnownAsync(TimeSpan within, CancellationToken cancellationToken)
    {
        if (Current is { IsKnown: true } known)
        {
            return known;
        }

        TimeSpan wait = within > TimeSpan.Zero && within <= FleetQuery.MaxDeadline ? within : FleetQuery.DefaultDeadline;
        using var deadline = new CancellationTokenSource(wait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            while (true)
            {
                Task changed = Changed();
                FleetSnapshot now = Current;
                if (now.IsKnown)
                {
                    return now;
                }

                await changed.WaitAsync(either.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new FleetUnavailableException("This gateway has not heard which clusters there are. It keeps trying; ask again.");
        }
    }

    /// <summary>Completes at the next change of <see cref="Current"/>. Take it before reading the snapshot, so that no change falls between.</summary>
    public Task Changed()
    {
        lock (_gate)
        {
            return _changed.Task;
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        TimeSpan backoff = FirstBackoff;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                using var attempt = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
                await using var stream = new PatientStream<FleetChange>(
                    _fleet().WatchAsync(attempt.Token).GetAsyncEnumerator(attempt.Token), _time);
                while (await NextAsync(stream, attempt))
                {
                    Apply(stream.Current);
                    backoff = FirstBackoff;
                    Interlocked.Exchange(ref _lostAt, NotLost);
                }

                LogLost(_logger, null, backoff);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (!Current.IsKnown)
            {
                LogNotKnownYet(_logger, e, backoff);   // a client that starts has yet to learn which silos there are; /readyz tells if that lasts
            }
            catch (Exception e)
            {
                LogLost(_logger, e is TimeoutException ? null : e, backoff);
            }

            // The first failure is the one since when nothing was heard.
            Interlocked.CompareExchange(ref _lostAt, _time.GetTimestamp(), NotLost);

            // Up to half of it at random, so that many gateways do not come back in step.
            TimeSpan wait = backoff * (0.5 + (Random.Shared.NextDouble() * 0.5));
            backoff = TimeSpan.FromTicks(Math.Min(backoff.Ticks * 2, MaxBackoff.Ticks));
            try
            {
                await Task.Delay(wait, _time, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async ValueTask<bool> NextAsync(PatientStream<FleetChange> stream, CancellationTokenSource attempt)
    {
        using var silence = new CancellationTokenSource(Silence, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, attempt.Token);
        try
        {
            return await stream.MoveNextAsync(either.Token);
        }
        catch (OperationCanceledException e) when (!attempt.IsCancellationRequested)
        {
            await attempt.CancelAsync();
            throw new TimeoutException($"The fleet has said nothing for {Silence.TotalSeconds} s.", e);
        }
    }

    /// <summary>Takes a change over. Changes come in order from one watch; a whole fleet replaces what was there, whatever its version.</summary>
    internal void Apply(FleetChange change)
    {
        _clock.Observe(change.Through);
        Change(() =>
        {
            DateTimeOffset now = _time.GetUtcNow();
            foreach (ClusterEntry entry in change.Clusters)
            {
                _lost.Note(_heard.Clusters.GetValueOrDefault(entry.Name), entry, now);
            }

            _heard = Merge(_heard, change);
        });
    }

    /// <summary>Shows the clusters of these silos as lost until they are heard of from another silo and in step there, or this is called without theirs.</summary>
    internal void ShowLost(ImmutableDictionary<string, LostSilo> silos) => Change(() => _lost.Lose(silos));

    private void Change(Action change)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            change();
            Volatile.Write(ref _current, _lost.ShowIn(_heard, _current, _time.GetUtcNow()));
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.TrySetResult();
    }

    private static FleetSnapshot Merge(FleetSnapshot before, FleetChange change)
    {
        if (change.Whole)
        {
            return new FleetSnapshot
            {
                IsKnown = true,
                Version = change.Version,
                Through = change.Through,
                Clusters = FleetSnapshot.Empty.Clusters.AddRange(change.Clusters.Select(c => KeyValuePair.Create(c.Name, WithSummaryOf(before, c)))),
                Departures = change.Departures,
            };
        }

        ImmutableSortedDictionary<string, ClusterEntry>.Builder clusters = before.Clusters.ToBuilder();
        ImmutableArray<Departure> departures = before.Departures;
        foreach (Departure left in change.Departures)
        {
            // The name may be registered anew already, under another uid.
            if (clusters.TryGetValue(left.Name, out ClusterEntry? known) && known.Uid == left.Uid)
            {
                clusters.Remove(left.Name);
            }

            if (!departures.Contains(left))
            {
                departures = departures.Add(left);
            }
        }

        foreach (ClusterEntry entry in change.Clusters)
        {
            clusters[entry.Name] = WithSummaryOf(before, entry);
        }

        // The fleet forgets departures after its history; so do we, when it has grown beyond what it can hold.
        if (departures.Length > MaxDepartures)
        {
            departures = [.. departures.OrderBy(d => d.LeftAt).Skip(departures.Length - MaxDepartures)];
        }

        return new FleetSnapshot
        {
            IsKnown = true,
            Version = change.Version,
            Through = Math.Max(before.Through, change.Through),
            Clusters = clusters.ToImmutable(),
            Departures = departures,
        };
    }

    // A fleet grain that has just come up has heard of no cluster yet; what the one before it had heard is the best that is known until then.
    private static ClusterEntry WithSummaryOf(FleetSnapshot before, ClusterEntry entry) =>
        entry.Summary is null && before.Clusters.TryGetValue(entry.Name, out ClusterEntry? known) && known.Uid == entry.Uid ? entry with { Summary = known.Summary } : entry;

    // A departure is 50 bytes; a fleet that loses more clusters than this within the history of a watch has other worries.
    private const int MaxDepartures = 10_000;

    [LoggerMessage(5104, LogLevel.Debug, "The fleet is not known yet; asking again in about {Backoff}.", EventName = "FleetNotKnownYet")]
    private static partial void LogNotKnownYet(ILogger logger, Exception error, TimeSpan backoff);

    [LoggerMessage(5101, LogLevel.Warning, "The watch of the fleet ended; the last known fleet stays and the watch is opened again in about {Backoff}.", EventName = "FleetWatchLost")]
    private static partial void LogLost(ILogger logger, Exception? error, TimeSpan backoff);
}
