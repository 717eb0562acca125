using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Selectors;
using Orleans.Runtime;

namespace MultiCluster.Grains.Fleet;

/// <summary>Keeps who belongs to the fleet, and hands out every change of it.</summary>
/// <remarks>
/// Admissions and dismissals are written before they are answered and before anybody sees them. Summaries live in memory:
/// after a restart every cluster reports anew within a heartbeat. Cluster grains are started by a loop beside the turns,
/// so that one that hangs costs a place among <see cref="FleetOptions.StartConcurrency"/> for a bounded time and nothing else.
/// </remarks>
[KeepAlive]
internal sealed partial class FleetGrain : Grain, IFleetGrain, IDisposable
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(1);

    private readonly IPersistentState<FleetState> _stored;
    private readonly IGrainFactory _grains;
    private readonly FleetOptions _options;
    private readonly FleetClock _clock;
    private readonly TimeProvider _time;
    private readonly ILogger<FleetGrain> _logger;
    private readonly FleetRegistry _registry = new();
    private readonly Dictionary<string, long> _heard = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private TaskCompletionSource _changed = NewSignal();
    private long? _pendingStamp;
    private Task _sweeping = Task.CompletedTask;

    public FleetGrain(
        [PersistentState("fleet", "clusters")] IPersistentState<FleetState> stored,
        IGrainFactory grains,
        IOptions<FleetOptions> options,
        FleetClock clock,
        TimeProvider time,
        ILogger<FleetGrain> logger)
    {
        _stored = stored;
        _grains = grains;
        _options = options.Value;
        _clock = clock;
        _time = time;
        _logger = logger;
    }

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _registry.Load(_stored.State, NextVersion(_stored.State.Version));
        LogFleetLoaded(_logger, _registry.Count);

        // Started in a turn and never left it: every continuation is a turn of this grain, so the fields need no lock.
        _sweeping = SweepAsync(_stopping.Token);
        return Task.CompletedTask;
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _sweeping.WaitAsync(cancellationToken);
    }

    public void Dispose() => _stopping.Dispose();

    public async Task<Admission> AdmitAsync(ClusterEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (!LabelSyntax.IsDnsLabel(entry.Name))
        {
            throw new ArgumentException("The name of a cluster must be a DNS label.", nameof(entry));
        }

        if (_registry.Find(entry.Name) is { } other && other.Uid != entry.Uid)
        {
            // Removed and registered anew while we did not hear of the removal: for watches the first one left.
            await DismissAsync(entry.Name, _clock.Now());
        }

        ClusterEntry? known = _registry.Find(entry.Name);
        ClusterEntry admitted = known ?? entry;
        if (known is null || !IsSameRegistration(known, entry))
        {
            long stamp = BeginStamp();
            try
            {
                admitted = Stamp(entry, known, stamp);
                await WriteAsync(new FleetState
                {
                    Version = NextVersion(_registry.Version),
                    Clusters = [.. Stored().Where(one => one.Name != entry.Name), admitted with { Summary = null }],
                    Departures = [.. _registry.Departures],
                });
                _registry.Admit(admitted, NextVersion(_registry.Version));
            }
            finally
            {
                _pendingStamp = null;
            }

            Signal();
            if (known?.Uid != entry.Uid)
            {
                LogClusterJoined(_logger, entry.Name, entry.Uid, _registry.Count);
            }
        }

        _heard[entry.Name] = _time.GetTimestamp();
        return new Admission(
            _registry.Version,
            [.. _registry.Clusters.Where(one => FleetTwins.AreSameServer(one, entry)).Select(one => one.Name).Order(StringComparer.Ordinal)],
            admitted);
    }

    public async Task<long> DismissAsync(string name, long leftAt)
    {
        if (_registry.Find(name) is not { } entry)
        {
            return _registry.Version;
        }

        _clock.Observe(leftAt);
        long stamp = BeginStamp();
        try
        {
            var record = new DepartureRecord(new Departure(name, entry.Uid, stamp), _time.GetUtcNow());
            ForgetOldDepartures();
            await WriteAsync(new FleetState
            {
                Version = NextVersion(_registry.Version),
                Clusters = [.. Stored().Where(other => other.Name != name)],
                Departures = [.. _registry.Departures.Append(record).TakeLast(_options.MaxDepartures)],
            });
            _registry.Dismiss(record, NextVersion(_registry.Version));
            ForgetOldDepartures();
        }
        finally
        {
            _pendingStamp = null;
        }

        _heard.Remove(name);
        Signal();
        LogClusterLeft(_logger, name, entry.Uid, _registry.Count);
        return _registry.Version;
    }

    public Task<bool> ReportAsync(ClusterSummary summary)
    {
        ArgumentNullException.ThrowIfNull(summary);
        _clock.Observe(summary.Sequence);   // a stamp of the cluster's clock: what readers are told to be through must not stay behind it
        bool known = _registry.Report(summary, NextVersion(_registry.Version), out bool changed);
        if (known)
        {
            _heard[summary.Name] = _time.GetTimestamp();
        }

        if (changed)
        {
            Signal();
        }

        return Task.FromResult(known);
    }

    public Task<FleetChange> GetAsync()
    {
        ForgetOldDepartures();
        return Task.FromResult(_registry.Whole() with { Through = Through() });
    }

    public async IAsyncEnumerable<FleetChange> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        ForgetOldDepartures();
        FleetChange next = _registry.Whole() with { Through = Through() };
        while (true)
        {
            yield return next;
            if (_registry.Version == next.Version)
            {
                // Taken in the same turn as the look at the version, so no change can fall between them.
                Task changed = _changed.Task;
                try
                {
                    await changed.WaitAsync(ProgressInterval, _time, either.Token);
                }
                catch (TimeoutException)
                {
                    // Quiet: the reader is told how far it is all the same.
                }
                catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
                {
                    yield break;   // this activation stops; the reader finds the next one by subscribing again
                }
            }

            next = (_registry.Since(next.Version) ?? new FleetChange { Version = next.Version, Whole = false }) with { Through = Through() };
        }
    }

    /// <summary>Starts every cluster's grain once, and later again those that have gone silent.</summary>
    private async Task SweepAsync(CancellationToken stop)
    {
        // Leaves the turn of the activation: nobody who waits for this grain waits for the clusters.
        await Task.Yield();
        try
        {
            while (true)
            {
                try
                {
                    ForgetOldDepartures();
                    await EnsureRunningAsync(stop);
                }
                catch (Exception e) when (!stop.IsCancellationRequested)
                {
                    LogSweepFailed(_logger, e);
                }

                await Task.Delay(_options.SweepInterval, _time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Deactivation asked for it.
        }
    }

    private async Task EnsureRunningAsync(CancellationToken stop)
    {
        List<ClusterEntry> silent = [.. _registry.Clusters.Where(IsSilent)];
        using var places = new SemaphoreSlim(_options.StartConcurrency);
        List<Task> starting = new(silent.Count);
        foreach (ClusterEntry entry in silent)
        {
            await places.WaitAsync(stop);
            starting.Add(StartOneAsync(entry, places, stop));
        }

        await Task.WhenAll(starting);
    }

    private bool IsSilent(ClusterEntry entry)
        => !_heard.TryGetValue(entry.Name, out long heard) || _time.GetElapsedTime(heard) > 3 * _options.Heartbeat;

    private async Task StartOneAsync(ClusterEntry entry, SemaphoreSlim places, CancellationToken stop)
    {
        try
        {
            Task<bool> asked = _grains.GetGrain<IClusterGrain>(entry.Name).EnsureRunningAsync();
            if (await asked.WaitAsync(_options.StartTimeout, _time, stop))
            {
                _heard[entry.Name] = _time.GetTimestamp();
            }
            else if (_registry.Find(entry.Name)?.Uid == entry.Uid)
            {
                // Registration writes the cluster first and the fleet last, removal the other way round, so a cluster
                // that knows nothing of itself will not come back. Its last change was before now.
                LogLeftoverDropped(_logger, entry.Name, entry.Uid);
                // It does so in a turn of its own, for which a grain that stops has no time any more, while it waits for this loop.
                await this.AsReference<IFleetGrain>().DismissAsync(entry.Name, _clock.Now()).WaitAsync(stop);
            }
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogStartFailed(_logger, e, entry.Name);
        }
        finally
        {
            places.Release();
        }
    }

    /// <summary>Draws a stamp that no reader has been told to be past, and keeps it so until the change is in.</summary>
    private long BeginStamp()
    {
        long stamp = _clock.Tick();
        _pendingStamp = stamp;
        return stamp;
    }

    // While a change is being written, readers must not be told that they have seen everything up to its stamp.
    private long Through() => _pendingStamp is { } pending ? pending - 1 : _clock.Now();

    private static ClusterEntry Stamp(ClusterEntry entry, ClusterEntry? known, long stamp)
        => known?.Uid != entry.Uid ? entry with { JoinedAt = stamp, SelectionChangedAt = 0 }
            : known.Enabled == entry.Enabled && known.Labels.SequenceEqual(entry.Labels)
                ? entry with { JoinedAt = known.JoinedAt, SelectionChangedAt = known.SelectionChangedAt }
                : entry with { JoinedAt = known.JoinedAt, SelectionChangedAt = stamp };

    private async Task WriteAsync(FleetState next)
    {
        FleetState before = _stored.State;
        _stored.State = next;
        try
        {
            await _stored.WriteStateAsync();
        }
        catch
        {
            _stored.State = before;
            throw;
        }
    }

    private IEnumerable<ClusterEntry> Stored() => _registry.Clusters.Select(entry => entry with { Summary = null });

    private void ForgetOldDepartures() => _registry.Forget(_time.GetUtcNow() - _options.DepartureWindow, _options.MaxDepartures);

    // Microseconds of the clock where that is more: a version must not step back over a restart, though summaries raise
    // it without a write.
    private long NextVersion(long last) => Math.Max(last + 1, (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond);

    private void Signal()
    {
        TaskCompletionSource before = _changed;
        _changed = NewSignal();
        before.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The generation counts every change a user makes, so the parts need no comparison.
    private static bool IsSameRegistration(ClusterEntry one, ClusterEntry other)
        => one.Uid == other.Uid && one.Generation == other.Generation && one.Server == other.Server && one.ServerIdentity == other.ServerIdentity;

    [LoggerMessage(4000, LogLevel.Information, "Fleet: loaded with {Count} clusters.", EventName = "FleetLoaded")]
    private static partial void LogFleetLoaded(ILogger logger, int count);

    [LoggerMessage(4001, LogLevel.Information, "Cluster {Cluster}: joined the fleet as {Uid}; clusters now: {Count}.", EventName = "ClusterJoined")]
    private static partial void LogClusterJoined(ILogger logger, string cluster, Guid uid, int count);

    [LoggerMessage(4002, LogLevel.Information, "Cluster {Cluster}: left the fleet as {Uid}; clusters now: {Count}.", EventName = "ClusterLeft")]
    private static partial void LogClusterLeft(ILogger logger, string cluster, Guid uid, int count);

    [LoggerMessage(4003, LogLevel.Warning, "Cluster {Cluster}: its grain did not start; trying again at the next sweep.", EventName = "ClusterStartFailed")]
    private static partial void LogStartFailed(ILogger logger, Exception exception, string cluster);

    [LoggerMessage(4004, LogLevel.Warning, "Cluster {Cluster}: the fleet knew {Uid}, of which the cluster's own state holds nothing; dropped from the fleet.", EventName = "LeftoverDropped")]
    private static partial void LogLeftoverDropped(ILogger logger, string cluster, Guid uid);

    [LoggerMessage(4005, LogLevel.Error, "Fleet: looking for silent clusters failed; trying again at the next sweep.", EventName = "FleetSweepFailed")]
    private static partial void LogSweepFailed(ILogger logger, Exception exception);
}
