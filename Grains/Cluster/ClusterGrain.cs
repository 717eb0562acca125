using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Configuration;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Grains.Cluster;

/// <summary>Owns one member cluster: its registration, and while it is switched on the session that probes and mirrors it.</summary>
/// <remarks>
/// A registration is written here first, then its reminder, then the fleet, then it is acknowledged; a removal is marked here
/// first, then the fleet, then it is cleared; a change is written and applied here before the fleet hears of it. So a crash between two steps leaves something that leads on: the reminder wakes the
/// grain, what the fleet has not heard is told with the next report, a removal that was begun is ended, and what the
/// fleet alone knows is dropped by it. Commands run one at a time; reads interleave and answer from snapshots.
/// </remarks>
[KeepAlive]
internal sealed partial class ClusterGrain : Grain, IClusterGrain, IRemindable, IGrainMigrationParticipant
{
    private const string ReminderName = "come-back";
    private const string MovedAt = "moved-at";
    private const string Trail = "version-trail";

    // A fleet grain that lost its state to another lives anew a moment later, one whose silo was killed after some five seconds: the pauses add up to that.
    private const int FleetTries = 8;
    private static readonly TimeSpan FleetPause = TimeSpan.FromMilliseconds(200);

    // How soon a write that failed is looked at again, in case it was stored all the same.
    private static readonly TimeSpan SettleEvery = TimeSpan.FromSeconds(2);

    // The shortest period that Orleans allows: how long a cluster may be without its grain after a crash that nobody noticed.
    private static readonly TimeSpan ReminderPeriod = TimeSpan.FromMinutes(1);

    private readonly IPersistentState<ClusterState> _stored;
    private readonly ClusterServices _services;
    private readonly IGrainFactory _grains;
    private readonly IFleetGrain _fleet;
    private readonly ILogger<ClusterGrain> _logger;
    private string _name = "";
    private ClusterSession? _session;
    private ClusterReads? _reads;
    private DepartedReads? _departed;
    private IGrainTimer? _idleReports;
    private VersionTrail? _trail;
    private bool _isStoredUnknown;
    private IGrainTimer? _settling;

    public ClusterGrain(
        [PersistentState("cluster", "clusters")] IPersistentState<ClusterState> stored,
        ClusterServices services,
        IGrainFactory grains,
        ILogger<ClusterGrain> logger)
    {
        _stored = stored;
        _services = services;
        _logger = logger;
        _grains = grains;
        _fleet = grains.GetGrain<IFleetGrain>(IFleetGrain.Key);
    }

    private ClusterEntry? Entry => _stored.State is { Leaving: false } state ? state.Entry : null;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _name = this.GetPrimaryKeyString();
        if (_stored.State.Leaving)
        {
            // The removal was acknowledged to nobody, but begun; it is ended in a turn of its own, so that the activation does not hang on the fleet.
            this.RegisterGrainTimer(FinishLeavingAsync, new GrainTimerCreationOptions(TimeSpan.Zero, Timeout.InfiniteTimeSpan) { KeepAlive = true });
        }
        else if (Entry is { } entry)
        {
            ClusterStandby? standby = _services.Clusters.Take(entry);
            if (standby is not null && _stored.State.Connection is { } connection && standby.TryUpdate(entry, connection, _services.Vault))
            {
                Adopt(standby);
            }
            else
            {
                if (standby is not null)
                {
                    _services.Clusters.LetEnd(standby.Session);
                }

                _reads = OpenReads(entry, hasJustJoined: false);
                Resume(entry, null);
            }
        }

        return Task.CompletedTask;
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        if (_session is not { } session)
        {
            return;
        }

        _session = null;
        if (reason.ReasonCode == DeactivationReasonCode.Migrating)
        {
            // Callers wait for the grain at its new place, and its session there runs already.
            _services.Clusters.LetEnd(session);
            return;
        }

        await session.StopAsync(letGo: false).WaitAsync(cancellationToken);
    }

    void IGrainMigrationParticipant.OnDehydrate(IDehydrationContext dehydrationContext)
    {
        if (_reads is { } reads)
        {
            dehydrationContext.TryAddValue(Trail, reads.Mirror.Trace(_services.Time.GetUtcNow()));
        }

        dehydrationContext.TryAddValue(MovedAt, _services.Clock.Now());
    }

    void IGrainMigrationParticipant.OnRehydrate(IRehydrationContext rehydrationContext)
    {
        if (rehydrationContext.TryGetValue(MovedAt, out long movedAt))
        {
            // Every revision that was given out there is from before: what is stamped here is later.
            _services.Clock.Observe(movedAt);
        }

        rehydrationContext.TryGetValue(Trail, out _trail);
    }

    public Task ReceiveReminder(string reminderName, TickStatus status)
    {
        // Its work is done by the activation that it caused; what is left is a reminder that outlived its cluster.
        return _stored.State.Entry is null ? RemoveReminderAsync() : Task.CompletedTask;
    }

    public async Task<RegistrationReply> RegisterAsync(RegisterCluster request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        await SettleAsync();
        if (_stored.State.Leaving)
        {
            await FinishLeavingAsync();
        }

        if (RegistrationRules.Check(_name, request.Labels, request.Mirror) is { } wrong)
        {
            return Refused(wrong);
        }

        if (Entry is not null)
        {
            return Refused(new ClusterFault(ClusterFault.AlreadyRegistered, $"A cluster is registered as {_name} already; remove it first, or replace its credentials.", "name"));
        }

        if (!_services.Vault.TryOpen(request.Connection, out ClusterConnection? connection, out ClusterFault? unreadable))
        {
            return Refused(unreadable);
        }

        ConnectionFindings found = await _services.Check.RunAsync(connection, request.Mirror, cancellationToken);
        ClusterEntry entry = new()
        {
            Name = _name,
            Uid = Guid.NewGuid(),
            Labels = request.Labels,
            RegisteredAt = _services.Time.GetUtcNow(),
            Server = AddressOf(connection),
            ServerIdentity = found.ServerIdentity,
            Mirror = request.Mirror,
        };
        ImmutableArray<string> warnings = [.. found.Warnings, .. WarningsOf(connection)];
        if (IsRefused(found, request.Force) || request.DryRun)
        {
            LeaveWhenIdle();
            ImmutableArray<string> twins = found.Checks.Reachable ? await TwinsOfAsync(entry) : [];
            return new RegistrationReply { Checks = found.Checks, Faults = found.Faults, Warnings = [.. warnings, .. WarningsOf(twins)] };
        }

        Admission admission = await JoinAsync(entry, request.Connection, found.Checks);
        Resume(admission.Entry, found);
        LogRegistered(_logger, _name, entry.Uid, entry.Server, found.Faults.Length);
        return new RegistrationReply
        {
            Cluster = admission.Entry,
            Checks = found.Checks,
            Faults = found.Faults,
            Warnings = [.. warnings, .. WarningsOf(admission.SameServerAs)],
            FleetVersion = admission.Version,
        };
    }

    public async Task<RegistrationReply> ReplaceCredentialsAsync(ReplaceCredentials request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        await SettleAsync();
        if (Entry is not { } entry)
        {
            LeaveWhenIdle();
            return Refused(NotRegistered());
        }

        if (!_services.Vault.TryOpen(request.Connection, out ClusterConnection? connection, out ClusterFault? unreadable))
        {
            return Refused(unreadable);
        }

        ConnectionFindings found = await _services.Check.RunAsync(connection, entry.Mirror, cancellationToken);
        if (entry.ServerIdentity.Length > 0 && found.ServerIdentity.Length > 0 && entry.ServerIdentity != found.ServerIdentity)
        {
            found = found with
            {
                Faults = [.. found.Faults, new ClusterFault(
                    ClusterFault.OtherServer,
                    $"These credentials lead to another cluster than the one registered as {_name}; register it under a name of its own, or force the change.",
                    "connection")],
            };
        }

        if (IsRefused(found, request.Force))
        {
            return new RegistrationReply { Checks = found.Checks, Faults = found.Faults, Warnings = found.Warnings };
        }

        ClusterEntry changed = entry with
        {
            Generation = entry.Generation + 1,
            Server = AddressOf(connection),
            ServerIdentity = found.ServerIdentity.Length > 0 ? found.ServerIdentity : entry.ServerIdentity,
        };
        await WriteAsync(new ClusterState { Entry = changed, Connection = request.Connection, Checks = found.Checks });
        if (_session is { } session)
        {
            session.Update(changed);
            session.Replace(connection);
        }
        else
        {
            Resume(changed, found);
        }

        Admission admission = await AskFleetAsync(fleet => fleet.AdmitAsync(changed));
        LogCredentialsReplaced(_logger, _name, changed.Server);
        return new RegistrationReply
        {
            Cluster = admission.Entry,
            Checks = found.Checks,
            Faults = found.Faults,
            Warnings = [.. found.Warnings, .. WarningsOf(connection), .. WarningsOf(admission.SameServerAs)],
            FleetVersion = admission.Version,
        };
    }

    public async Task<ClusterReply> UpdateAsync(UpdateCluster request)
    {
        ArgumentNullException.ThrowIfNull(request);
        await SettleAsync();
        if (Entry is not { } entry)
        {
            LeaveWhenIdle();
            return new ClusterReply { Fault = NotRegistered() };
        }

        if (RegistrationRules.Check(_name, request.Labels, request.Mirror) is { } wrong)
        {
            return new ClusterReply { Fault = wrong };
        }

        if (request.IfGeneration != 0 && request.IfGeneration != entry.Generation)
        {
            return new ClusterReply
            {
                Fault = new ClusterFault(
                    ClusterFault.GenerationConflict,
                    $"Somebody else has changed {_name}: its generation is {entry.Generation}, not {request.IfGeneration}. Read it again, then decide.",
                    "ifGeneration"),
            };
        }

        if (RegistrationRules.ChangesNothing(entry, request))
        {
            return new ClusterReply { Cluster = entry };
        }

        ClusterEntry changed = entry with
        {
            Generation = entry.Generation + 1,
            Labels = request.Labels ?? entry.Labels,
            Enabled = request.Enabled ?? entry.Enabled,
            Mirror = request.Mirror ?? entry.Mirror,
        };
        await WriteAsync(new ClusterState { Entry = changed, Connection = _stored.State.Connection, Checks = _stored.State.Checks });
        await ApplyAsync(changed);
        Admission admission = await AskFleetAsync(fleet => fleet.AdmitAsync(changed));
        LogUpdated(_logger, _name, changed.Generation, changed.Enabled);
        return new ClusterReply { Cluster = admission.Entry, FleetVersion = admission.Version };
    }

    public async Task<ClusterReply> RemoveAsync()
    {
        await SettleAsync();
        if (_stored.State.Entry is not { } entry)
        {
            LeaveWhenIdle();
            return new ClusterReply { Fault = NotRegistered() };
        }

        if (!_stored.State.Leaving)
        {
            // From here on the cluster is gone, whatever happens; its credentials are forgotten first.
            await WriteAsync(new ClusterState { Entry = entry, Leaving = true });
        }

        return new ClusterReply { FleetVersion = await FinishLeavingAsync() };
    }

    public Task<bool> EnsureRunningAsync()
    {
        if (Entry is not { } entry)
        {
            bool isLeaving = _stored.State.Leaving;
            if (!isLeaving)
            {
                LeaveWhenIdle();
            }

            return Task.FromResult(isLeaving);
        }

        if (_session is null && entry.Enabled && _reads is not null)
        {
            Resume(entry, null);   // its credentials could not be read; somebody may have brought the keys back
        }

        _session?.ReportAgain();   // a fleet that asks has not heard of it
        return Task.FromResult(true);
    }

    public async Task<MoveReadiness> PrepareMoveAsync(string standby, bool copies = false)
    {
        if (Entry is not { } entry || _session is not { } session || _stored.State.Connection is not { } connection)
        {
            return new MoveReadiness(true, 0);   // nothing is filled here
        }

        return await _grains.GetGrain<IClusterStandbyGrain>(standby).PrepareAsync(new StandbyOrder
        {
            Entry = entry,
            Connection = connection,
            Kinds = copies ? [] : session.KindsInStep(),
            Revision = _services.Clock.Now(),
            Copies = copies || session.HoldsWhatTheServerMayNotGive,
            Health = MirrorCopy.HealthOf(session),
        });
    }

    public IAsyncEnumerable<MirrorPiece> CopyAsync(CancellationToken cancellationToken) =>
        _session is { } session ? MirrorCopy.TakeAsync(session, cancellationToken) : AsyncEnumerable.Empty<MirrorPiece>();

    /// <summary>Goes on with what a standby has filled here.</summary>
    private void Adopt(ClusterStandby standby)
    {
        standby.Reads.Mirror.TakeOver(_trail);
        _trail = null;
        _reads = standby.Reads;
        _session = standby.Session;
        _session.Adopt();
        LogAdopted(_logger, _name, _reads.Mirror.ObjectCount);
    }

    /// <summary>Takes a change of the registration over into what runs.</summary>
    private async Task ApplyAsync(ClusterEntry entry)
    {
        if (!entry.Enabled && _session is { } running)
        {
            _session = null;
            await running.StopAsync(letGo: true);
            _reads?.Detach(new ClusterStanding(ClusterPhase.Disabled, null, _services.Time.GetUtcNow()));
        }

        if (_session is { } session)
        {
            session.Update(entry);
        }
        else
        {
            Resume(entry, null);
        }
    }

    private ClusterReads OpenReads(ClusterEntry entry, bool hasJustJoined) => new(
        new ClusterMirror(_name, _services.Clock, _services.Time, _services.Mirror.BoundsFor(entry.Mirror), hasJustJoined), entry.Uid, _services.Mirror.ResumeWithin, _services.Time);

    /// <summary>Starts what the registration asks for: a session, or while it is off or cannot be opened only reports of that.</summary>
    private void Resume(ClusterEntry entry, ConnectionFindings? seen)
    {
        _idleReports?.Dispose();
        _idleReports = null;
        ClusterFault? unreadable = null;
        if (entry.Enabled && _services.Vault.TryOpen(_stored.State.Connection, out ClusterConnection? connection, out unreadable))
        {
            _session = new ClusterSession(entry, connection, _reads!.Mirror, _fleet, _services, RuntimeIdentity);
            _reads.Attach(_session);
            _session.Start(seen);
            return;
        }

        if (entry.Enabled)
        {
            LogCredentialsUnreadable(_logger, _name);
        }

        _reads!.Detach(new ClusterStanding(entry.Enabled ? ClusterPhase.AuthFailed : ClusterPhase.Disabled, unreadable, _services.Time.GetUtcNow()));
        _idleReports = this.RegisterGrainTimer(ReportIdleAsync, new GrainTimerCreationOptions(TimeSpan.Zero, _services.Fleet.Heartbeat) { Interleave = true });
    }

    private async Task ReportIdleAsync(CancellationToken stop)
    {
        if (Entry is { } entry && IdleSummary(entry) is { } summary && !await _fleet.ReportAsync(summary) && !stop.IsCancellationRequested)
        {
            await _fleet.AdmitAsync(entry with { Summary = summary });
        }
    }

    private ClusterSummary? IdleSummary(ClusterEntry entry) => _reads?.Idle is { } idle
        ? new ClusterSummary
        {
            Name = _name,
            Uid = entry.Uid,
            Generation = entry.Generation,
            Phase = idle.Phase,
            Fault = idle.Fault,
            Since = idle.Since,
            Sequence = _services.Clock.Tick(),
            Silo = RuntimeIdentity,
        }
        : null;

    /// <summary>The durable part of a registration.</summary>
    private async Task<Admission> JoinAsync(ClusterEntry entry, ProtectedConnection connection, ConnectionChecks checks)
    {
        await WriteAsync(new ClusterState { Entry = entry, Connection = connection, Checks = checks });
        try
        {
            await this.RegisterOrUpdateReminder(ReminderName, ReminderPeriod, ReminderPeriod);

            // Whoever hears of it from the fleet asks for it at once, perhaps before the fleet's answer is here.
            _reads = OpenReads(entry, hasJustJoined: true);
            return await AskFleetAsync(fleet => fleet.AdmitAsync(entry));
        }
        catch
        {
            // Nobody was told that it is registered, so it must not appear later by itself. Where even this fails, it does
            // appear: with its next report, and the user's second try says that it is registered.
            _reads?.Mirror.Freeze();
            _reads = null;
            await _stored.ClearStateAsync();
            throw;
        }
    }

    /// <summary>Asks the fleet, again where its grain was lost or found that another had written before it: what is asked may be asked twice.</summary>
    private async Task<T> AskFleetAsync<T>(Func<IFleetGrain, Task<T>> question)
    {
        for (int tried = 1; ; tried++)
        {
            try
            {
                return await question(_fleet);
            }
            catch (OrleansException e) when (tried < FleetTries)
            {
                LogFleetAskedAgain(_logger, e, _name);
                await Task.Delay(FleetPause * (tried * (0.5 + Random.Shared.NextDouble())), _services.Time);
            }
        }
    }

    private async Task<long> FinishLeavingAsync()
    {
        if (_stored.State.Entry is not { } entry)
        {
            return 0;
        }

        _idleReports?.Dispose();
        _idleReports = null;
        if (_session is { } session)
        {
            _session = null;
            await session.StopAsync(letGo: false);
        }

        // Frozen before the fleet hears of it: whatever a watch was given of this cluster lies before the stamp of its departure.
        _reads?.Mirror.Freeze();
        long leftAt = _services.Clock.Now();
        long version = await AskFleetAsync(fleet => fleet.DismissAsync(_name, leftAt));
        await _stored.ClearStateAsync();
        await RemoveReminderAsync();
        if (_reads is { } reads)
        {
            _departed = new DepartedReads(reads, _services.Clock.Now());
            _reads = null;
            this.RegisterGrainTimer(ForgetDeparted, _departed, new GrainTimerCreationOptions(_services.Fleet.DepartureWindow, Timeout.InfiniteTimeSpan) { KeepAlive = true });
        }

        LogRemoved(_logger, _name, entry.Uid);
        LeaveWhenIdle();
        return version;
    }

    private Task ForgetDeparted(DepartedReads which, CancellationToken stop)
    {
        if (ReferenceEquals(_departed, which))
        {
            _departed = null;
            LeaveWhenIdle();
        }

        return Task.CompletedTask;
    }

    /// <summary>An activation that has nothing to keep goes, so that a wrong name costs no memory for ever.</summary>
    private void LeaveWhenIdle()
    {
        if (_stored.State.Entry is null && _departed is null)
        {
            this.DeactivateOnIdle();
        }
    }

    private async Task RemoveReminderAsync()
    {
        if (await this.GetReminder(ReminderName) is { } reminder)
        {
            await this.UnregisterReminder(reminder);
        }
    }

    private async Task WriteAsync(ClusterState next)
    {
        ClusterState before = _stored.State;
        _stored.State = next;
        string reason;
        try
        {
            await _stored.WriteStateAsync();
            return;
        }
        catch (InconsistentStateException)
        {
            _stored.State = before;
            throw;   // another activation has written: this one is given up, and what it mirrors with it
        }
        catch (Exception e)
        {
            _stored.State = before;

            // A store that ends while it writes may have written. Not knowing that, the next write would find a conflict with this one.
            _isStoredUnknown = true;
            _settling ??= this.RegisterGrainTimer(TrySettleAsync, new GrainTimerCreationOptions(SettleEvery, SettleEvery) { KeepAlive = true });
            LogNotStored(_logger, e, _name);
            reason = e.GetBaseException().Message;   // engines put words of their own around what a store throws
        }

        throw new OrleansException($"The state of the cluster could not be stored: {reason}");   // what a driver throws could not be read at the other end
    }

    private async Task TrySettleAsync(CancellationToken stop)
    {
        try
        {
            await SettleAsync();
            LeaveWhenIdle();
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogNotSettled(_logger, e, _name);
        }
    }

    /// <summary>Where a write has failed, finds out what is stored, and goes on from that.</summary>
    private async Task SettleAsync()
    {
        if (!_isStoredUnknown)
        {
            return;
        }

        ClusterState before = _stored.State;
        await _stored.ReadStateAsync();
        ClusterState found = _stored.State;
        if (before.Entry is null && found.Entry is not null)
        {
            await _stored.ClearStateAsync();   // a registration that nobody was told of must not appear later by itself
        }
        else if (found.Leaving)
        {
            await FinishLeavingAsync();
        }
        else if (found.Entry is { } entry && entry.Generation != before.Entry?.Generation)
        {
            bool isOtherConnection = !(found.Connection?.Ciphertext ?? []).AsSpan().SequenceEqual(before.Connection?.Ciphertext ?? []);
            if (isOtherConnection && _session is { } session && _services.Vault.TryOpen(found.Connection, out ClusterConnection? connection, out _))
            {
                session.Replace(connection);
            }

            await ApplyAsync(entry);
            await AskFleetAsync(fleet => fleet.AdmitAsync(entry));
            LogUpdated(_logger, _name, entry.Generation, entry.Enabled);
        }

        _isStoredUnknown = false;
        _settling?.Dispose();
        _settling = null;
    }

    private async Task<ImmutableArray<string>> TwinsOfAsync(ClusterEntry entry)
    {
        FleetChange fleet = await _fleet.GetAsync();
        return [.. fleet.Clusters.Where(other => FleetTwins.AreSameServer(other, entry)).Select(other => other.Name)];
    }

    private ClusterFault NotRegistered() => new(ClusterFault.NotRegistered, $"No cluster is registered as {_name}.", "name");

    // A request that is wrong in itself is not made right by force.
    private static bool IsRefused(ConnectionFindings found, bool force)
        => !found.Faults.IsEmpty && (!force || found.Faults.Any(fault => fault.Kind == ClusterFault.InvalidRequest));

    private static RegistrationReply Refused(ClusterFault fault) => new() { Faults = [fault] };

    private static string AddressOf(ClusterConnection connection)
        => connection.Server.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped).TrimEnd('/');

    private static ImmutableArray<string> WarningsOf(ClusterConnection connection)
        => connection.InsecureSkipTlsVerify
            ? ["The server's certificate is not verified: anybody in between can read the credentials. Give its certificate authority instead."]
            : [];

    private static ImmutableArray<string> WarningsOf(ImmutableArray<string> sameServerAs)
        => sameServerAs.IsEmpty ? [] : [$"The same server is registered as {string.Join(", ", sameServerAs)} too; its objects will show once for each name."];

    [LoggerMessage(4200, LogLevel.Information, "Cluster {Cluster}: registered as {Uid} at {Server}; faults overlooked: {Overlooked}.", EventName = "ClusterRegistered")]
    private static partial void LogRegistered(ILogger logger, string cluster, Guid uid, string server, int overlooked);

    [LoggerMessage(4201, LogLevel.Information, "Cluster {Cluster}: credentials replaced, server {Server}.", EventName = "CredentialsReplaced")]
    private static partial void LogCredentialsReplaced(ILogger logger, string cluster, string server);

    [LoggerMessage(4202, LogLevel.Information, "Cluster {Cluster}: changed to generation {Generation}, enabled {Enabled}.", EventName = "ClusterUpdated")]
    private static partial void LogUpdated(ILogger logger, string cluster, long generation, bool enabled);

    [LoggerMessage(4203, LogLevel.Information, "Cluster {Cluster}: removed, was {Uid}.", EventName = "ClusterRemoved")]
    private static partial void LogRemoved(ILogger logger, string cluster, Guid uid);

    [LoggerMessage(4205, LogLevel.Information, "Cluster {Cluster}: has moved here, with {Objects} objects.", EventName = "ClusterMoved")]
    private static partial void LogAdopted(ILogger logger, string cluster, long objects);

    [LoggerMessage(4206, LogLevel.Warning, "Cluster {Cluster}: the fleet did not answer; asking it again.", EventName = "FleetAskedAgain")]
    private static partial void LogFleetAskedAgain(ILogger logger, Exception exception, string cluster);

    [LoggerMessage(4207, LogLevel.Warning, "Cluster {Cluster}: a change could not be stored; what is stored is read as soon as that can be.", EventName = "StateNotStored")]
    private static partial void LogNotStored(ILogger logger, Exception exception, string cluster);

    [LoggerMessage(4208, LogLevel.Debug, "Cluster {Cluster}: what is stored cannot be read yet.", EventName = "StateNotSettled")]
    private static partial void LogNotSettled(ILogger logger, Exception exception, string cluster);

    [LoggerMessage(4204, LogLevel.Error, "Cluster {Cluster}: its credentials cannot be decrypted with this service's keys; replace them, or bring the keys back.", EventName = "CredentialsUnreadable")]
    private static partial void LogCredentialsUnreadable(ILogger logger, string cluster);
}
