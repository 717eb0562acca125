using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Reads;
using MultiCluster.Kubernetes.Selectors;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Gateway.Clusters;

/// <summary>Why a command on a cluster was refused.</summary>
public enum RefusalReason
{
    /// <summary>The request is wrong.</summary>
    Invalid,

    /// <summary>No such cluster.</summary>
    NotFound,

    /// <summary>The name is taken.</summary>
    AlreadyExists,

    /// <summary>The cluster is not as the request expects.</summary>
    Conflict,

    /// <summary>The checks of the connection did not pass.</summary>
    ChecksFailed,
}

/// <summary>A command on a cluster was refused; nothing has changed. Its texts are meant for the user.</summary>
public sealed class ClusterRefusedException(RefusalReason reason, ImmutableArray<ClusterFault> faults)
    : Exception(string.Join(' ', faults.Select(f => f.Field is null ? f.Message : $"{f.Field}: {f.Message}")))
{
    /// <summary>Why.</summary>
    public RefusalReason Reason => reason;

    /// <summary>What is wrong; at least one.</summary>
    public ImmutableArray<ClusterFault> Faults => faults;
}

/// <summary>Whether a command took effect is not known. Its text is meant for the user.</summary>
public sealed class CommandUnconfirmedException(Exception cause) : Exception(
    "The change is not confirmed: the part of this service that holds the cluster was lost on the way, or could not store it; GET /readyz of its processes says whether the database is away. Look at the cluster before you try again, since the change may have been made.",
    cause);

/// <summary>Registers, changes and removes clusters: the one model behind every surface.</summary>
/// <remarks>
/// Checks what can be checked without the cluster, encrypts the connection, asks the cluster's grain, and returns when this gateway's own
/// view shows the result, so that a client that lists next sees what it did. Thread-safe.
/// </remarks>
public sealed partial class ClusterCommands
{
    // The view follows within milliseconds; when it does not, the command has succeeded all the same.
    private static readonly TimeSpan ViewDeadline = TimeSpan.FromSeconds(2);

    // A silo that was killed or hangs is replaced within this time, as a rule; a client that waits for it need not try again by itself.
    private static readonly TimeSpan MoveDeadline = TimeSpan.FromSeconds(10);

    // One that stood still for a moment may still answer; Orleans itself would wait for half a minute.
    private static readonly TimeSpan LostPatience = TimeSpan.FromSeconds(2);

    // A silo that stops refuses what comes for what it has handed over, and says so; the next try is led elsewhere.
    private const int MostTries = 4;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(150);

    private readonly Func<string, IClusterGrain> _clusters;
    private readonly ClusterCalls _reads;
    private readonly FleetView _fleet;
    private readonly ConnectionSealer _sealer;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public ClusterCommands(IGrainFactory grains, FleetView fleet, ConnectionSealer sealer, TimeProvider time, ILogger<ClusterCommands> logger)
        : this(name => grains.GetGrain<IClusterGrain>(name), fleet, sealer, time, logger)
    {
    }

    /// <param name="clusters">Finds the grain of a cluster.</param>
    /// <param name="fleet">This gateway's view.</param>
    /// <param name="sealer">Encrypts connections.</param>
    /// <param name="time">For deadlines.</param>
    /// <param name="logger">Log.</param>
    internal ClusterCommands(Func<string, IClusterGrain> clusters, FleetView fleet, ConnectionSealer sealer, TimeProvider time, ILogger logger) =>
        (_clusters, _reads, _fleet, _sealer, _time, _logger) = (clusters, new ClusterCalls(clusters, name => fleet.Current.LossOf(name), time, logger), fleet, sealer, time, logger);

    /// <summary>Registers a cluster.</summary>
    /// <exception cref="ClusterRefusedException">It was refused.</exception>
    public async Task<RegistrationReply> RegisterAsync(
        string name,
        IEnumerable<KeyValuePair<string, string>> labels,
        ConnectionInput connection,
        MirrorScope mirror,
        bool force,
        bool dryRun,
        CancellationToken cancellationToken)
    {
        var faults = ImmutableArray.CreateBuilder<ClusterFault>();
        CheckName(name, faults);
        ImmutableSortedDictionary<string, string> checkedLabels = CheckLabels(labels, faults);
        ProtectedConnection? sealedConnection = _sealer.Seal(connection, faults);
        if (faults.Count > 0 || sealedConnection is null)
        {
            throw new ClusterRefusedException(RefusalReason.Invalid, faults.ToImmutable());
        }

        RegistrationReply reply = await ConfirmedAsync(
            name,
            cluster => cluster.RegisterAsync(
                new RegisterCluster { Labels = checkedLabels, Connection = sealedConnection, Force = force, DryRun = dryRun, Mirror = mirror }, cancellationToken),
            cancellationToken);
        ThrowIfRefused(reply, dryRun);
        await SeenAsync(reply.FleetVersion, cancellationToken);
        return reply with { Cluster = AsSeen(reply.Cluster) };
    }

    /// <summary>Puts new credentials in place of the old.</summary>
    /// <exception cref="ClusterRefusedException">It was refused.</exception>
    public async Task<RegistrationReply> ReplaceCredentialsAsync(
        string name, ConnectionInput connection, bool force, CancellationToken cancellationToken)
    {
        RequireName(name);
        var faults = ImmutableArray.CreateBuilder<ClusterFault>();
        ProtectedConnection? sealedConnection = _sealer.Seal(connection, faults);
        if (sealedConnection is null)
        {
            throw new ClusterRefusedException(RefusalReason.Invalid, faults.ToImmutable());
        }

        RegistrationReply reply = await ConfirmedAsync(
            name, cluster => cluster.ReplaceCredentialsAsync(new ReplaceCredentials { Connection = sealedConnection, Force = force }, cancellationToken), cancellationToken);
        ThrowIfRefused(reply, dryRun: false);
        await SeenAsync(reply.FleetVersion, cancellationToken);
        return reply with { Cluster = AsSeen(reply.Cluster) };
    }

    /// <summary>Changes a cluster.</summary>
    /// <exception cref="ClusterRefusedException">It was refused.</exception>
    public async Task<ClusterEntry> UpdateAsync(string name, UpdateCluster update, CancellationToken cancellationToken)
    {
        RequireName(name);
        if (update.Labels is { } labels)
        {
            var faults = ImmutableArray.CreateBuilder<ClusterFault>();
            CheckLabels(labels, faults);
            if (faults.Count > 0)
            {
                throw new ClusterRefusedException(RefusalReason.Invalid, faults.ToImmutable());
            }
        }

        ClusterReply reply = await ConfirmedAsync(name, cluster => cluster.UpdateAsync(update), cancellationToken);
        ClusterEntry entry = Accepted(reply);
        await SeenAsync(reply.FleetVersion, cancellationToken);
        return AsSeen(entry);
    }

    /// <summary>Takes a cluster out of the fleet.</summary>
    /// <exception cref="ClusterRefusedException">It was refused.</exception>
    public async Task RemoveAsync(string name, CancellationToken cancellationToken)
    {
        RequireName(name);
        ClusterReply reply = await ConfirmedAsync(name, static cluster => cluster.RemoveAsync(), cancellationToken);
        if (reply.Fault is { } fault)
        {
            throw Refused(fault);
        }

        await SeenAsync(reply.FleetVersion, cancellationToken);
    }

    /// <summary>Sends a command to the cluster's grain. One whose silo is known to be lost waits unsent until the cluster lives elsewhere.</summary>
    /// <exception cref="FleetUnavailableException">The cluster lives nowhere for now; nothing was sent.</exception>
    /// <exception cref="CommandUnconfirmedException">It was sent, and what became of it is not known.</exception>
    private async Task<T> ConfirmedAsync<T>(string name, Func<IClusterGrain, Task<T>> command, CancellationToken cancellationToken)
    {
        for (int tried = 1; ; tried++)
        {
            await FoundAsync(name, cancellationToken);
            try
            {
                return await SendAsync(name, command, cancellationToken);
            }
            catch (OrleansMessageRejectionException e) when (e is not SiloUnavailableException && tried < MostTries)
            {
                // The grain never saw it: it was on its way to a silo that stops, or to where the grain had just left.
                LogSentAgain(_logger, e, name);
                await Task.Delay(Pause * (tried * (0.5 + Random.Shared.NextDouble())), _time, cancellationToken);
            }
            catch (Exception e) when (e is not (OperationCanceledException or ArgumentException))
            {
                // What a store throws does not keep its type on the way from another process, so a fault of ours looks the same to the client; the log tells them apart.
                LogUnconfirmed(_logger, e, name);
                throw new CommandUnconfirmedException(e);
            }
        }
    }

    /// <summary>Sends a command once, and gives up when its silo is lost meanwhile.</summary>
    private async Task<T> SendAsync<T>(string name, Func<IClusterGrain, Task<T>> command, CancellationToken cancellationToken)
    {
        using var answered = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<T> sent = command(_clusters(name));
        try
        {
            if (await Task.WhenAny(sent, LostAsync(name, answered.Token)) != sent && !sent.IsCompleted)
            {
                _ = sent.ContinueWith(static late => late.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
                cancellationToken.ThrowIfCancellationRequested();
                throw new TimeoutException($"The part of this service that held {name} was lost while it had the command.");
            }

            return await sent;
        }
        finally
        {
            await answered.CancelAsync();
        }
    }

    /// <summary>Waits until the silo of a cluster is not known to be lost.</summary>
    private async Task FoundAsync(string name, CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        while (true)
        {
            Task changed = _fleet.Changed();
            if (_fleet.Current.LossOf(name) is not { } fault)
            {
                return;
            }

            TimeSpan left = MoveDeadline - _time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero)
            {
                throw new FleetUnavailableException($"Nothing was changed. {fault.Message}");
            }

            try
            {
                await changed.WaitAsync(left, _time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // Looked at once more.
            }
        }
    }

    /// <summary>Completes once the silo of a cluster has been known to be lost for a while: what it was sent is not answered any more.</summary>
    private async Task LostAsync(string name, CancellationToken stop)
    {
        while (true)
        {
            Task changed = _fleet.Changed();
            if (_fleet.Current.LossOf(name) is null)
            {
                await changed.WaitAsync(stop);
                continue;
            }

            await Task.Delay(LostPatience, _time, stop);
            if (_fleet.Current.LossOf(name) is not null)
            {
                return;
            }
        }
    }

    /// <summary>Everything known of one cluster; where its grain does not answer, its registration and why there is no more.</summary>
    /// <exception cref="ClusterRefusedException">There is none of this name.</exception>
    /// <exception cref="FleetUnavailableException">Neither the fleet nor the cluster's grain could be asked.</exception>
    public async Task<ClusterDescription> DescribeAsync(string name, CancellationToken cancellationToken)
    {
        RequireName(name);

        // Asked of the view first: a name nobody registered must not bring a grain to life.
        if (_fleet.Current.IsKnown && !_fleet.Current.Clusters.ContainsKey(name))
        {
            throw NotFound(name);
        }

        using var deadline = new CancellationTokenSource(FleetQuery.DefaultDeadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        ClusterDescription description = await _reads.AskAsync(
            name, (grain, _) => grain.DescribeAsync(), coverage => DescribeWithout(name, coverage.Fault!), either.Token, cancellationToken);
        if (description.Cluster is not { } cluster)
        {
            throw NotFound(name);
        }

        ClusterSummary? seen = _fleet.Current.Clusters.TryGetValue(name, out ClusterEntry? entry) && entry.Uid == cluster.Uid ? entry.Summary : null;
        return cluster.Enabled ? description with { Cluster = cluster with { Summary = LostClusters.ShowOne(seen, description, _time.GetUtcNow()) } } : description;
    }

    /// <summary>What is known of a cluster whose grain does not answer: its registration, and why there is no more.</summary>
    private ClusterDescription DescribeWithout(string name, ClusterFault fault)
    {
        if (!_fleet.Current.Clusters.TryGetValue(name, out ClusterEntry? entry))
        {
            // Removed meanwhile, or nothing is known here yet: either way nobody has said that there is none.
            throw new FleetUnavailableException($"Nothing can be said of {name} at the moment: {fault.Message}");
        }

        ClusterSummary last = entry.Summary ?? new ClusterSummary { Name = name, Uid = entry.Uid, Generation = entry.Generation };
        return new ClusterDescription { Cluster = entry.Enabled ? entry with { Summary = LostClusters.Lost(last, fault, _time.GetUtcNow()) } : entry };
    }

    /// <summary>The clusters that a selection names, ordered by name. An unknown name is refused.</summary>
    /// <exception cref="ClusterRefusedException">The selection is wrong, or names a cluster that is not registered.</exception>
    /// <exception cref="FleetUnavailableException">This gateway has not heard which clusters there are.</exception>
    public async Task<ImmutableArray<ClusterEntry>> SelectAsync(ImmutableArray<string> names, string? labelSelector, CancellationToken cancellationToken)
    {
        LabelSelector? selector = ParseSelector(labelSelector);
        FleetSnapshot snapshot = await _fleet.KnownAsync(FleetQuery.DefaultDeadline, cancellationToken);
        foreach (string name in names)
        {
            if (!snapshot.Clusters.ContainsKey(name))
            {
                throw NotFound(name);
            }
        }

        return [.. snapshot.Clusters.Values.Where(c => Matches(c, names, selector))];
    }

    /// <summary>Reads a label selector over clusters; null for none.</summary>
    /// <exception cref="ClusterRefusedException">It cannot be read.</exception>
    public static LabelSelector? ParseSelector(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return null;
        }

        return LabelSelector.TryParse(text, out LabelSelector? selector, out string? fault)
            ? selector
            : throw new ClusterRefusedException(RefusalReason.Invalid, [new ClusterFault(ClusterFault.InvalidRequest, fault, "label_selector")]);
    }

    /// <summary>Whether a cluster is among the names (none means all) and its labels match.</summary>
    public static bool Matches(ClusterEntry cluster, ImmutableArray<string> names, LabelSelector? selector) =>
        (names.IsEmpty || names.Contains(cluster.Name)) && (selector is null || selector.Matches(cluster.Labels));

    private async Task SeenAsync(long version, CancellationToken cancellationToken)
    {
        if (version <= 0)
        {
            return;
        }

        using var deadline = new CancellationTokenSource(ViewDeadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await _fleet.WaitForVersionAsync(version, either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The command is done and durable; only this gateway's view is behind, and it says so by its version.
        }
    }

    /// <summary>The entry with what the fleet knows of its state: the grain answers for the registration alone.</summary>
    [return: NotNullIfNotNull(nameof(entry))]
    private ClusterEntry? AsSeen(ClusterEntry? entry) =>
        entry is not null && _fleet.Current.Clusters.TryGetValue(entry.Name, out ClusterEntry? seen) && seen.Uid == entry.Uid && seen.Generation >= entry.Generation
            ? seen
            : entry;

    private static void ThrowIfRefused(RegistrationReply reply, bool dryRun)
    {
        if (reply.Cluster is not null || (dryRun && reply.Faults.IsEmpty))
        {
            return;
        }

        RefusalReason reason = reply.Faults.IsEmpty ? RefusalReason.ChecksFailed : ReasonOf(reply.Faults[0]);
        throw new ClusterRefusedException(reason, reply.Faults);
    }

    private static ClusterEntry Accepted(ClusterReply reply) =>
        reply.Fault is { } fault ? throw Refused(fault) : reply.Cluster!;

    private static ClusterRefusedException Refused(ClusterFault fault) => new(ReasonOf(fault), [fault]);

    private static ClusterRefusedException NotFound(string name) =>
        new(RefusalReason.NotFound, [new ClusterFault(ClusterFault.NotRegistered, $"No cluster is registered as '{name}'.", "name")]);

    private static RefusalReason ReasonOf(ClusterFault fault) => fault.Kind switch
    {
        ClusterFault.NotRegistered => RefusalReason.NotFound,
        ClusterFault.AlreadyRegistered => RefusalReason.AlreadyExists,
        ClusterFault.GenerationConflict => RefusalReason.Conflict,
        ClusterFault.InvalidRequest => RefusalReason.Invalid,
        _ => RefusalReason.ChecksFailed,
    };

    private static void RequireName(string name)
    {
        var faults = ImmutableArray.CreateBuilder<ClusterFault>();
        CheckName(name, faults);
        if (faults.Count > 0)
        {
            throw new ClusterRefusedException(RefusalReason.Invalid, faults.ToImmutable());
        }
    }

    private static void CheckName(string name, ImmutableArray<ClusterFault>.Builder faults)
    {
        if (!LabelSyntax.IsDnsLabel(name))
        {
            faults.Add(new ClusterFault(
                ClusterFault.InvalidRequest, "A cluster's name must be a DNS label: 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends.", "name"));
        }
    }

    private static ImmutableSortedDictionary<string, string> CheckLabels(
        IEnumerable<KeyValuePair<string, string>> labels, ImmutableArray<ClusterFault>.Builder faults)
    {
        ImmutableSortedDictionary<string, string>.Builder kept = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        // JSON puts null where the type says text.
        foreach ((string key, string? value) in labels)
        {
            if (LabelSyntax.CheckKey(key) is { } keyFault)
            {
                faults.Add(new ClusterFault(ClusterFault.InvalidRequest, $"A label's key {keyFault}.", "labels"));
            }
            else if ((value is null ? "must be a text" : LabelSyntax.CheckValue(value)) is { } valueFault)
            {
                faults.Add(new ClusterFault(ClusterFault.InvalidRequest, $"A label's value {valueFault}.", "labels"));
            }

            kept[key] = value ?? "";
        }

        return kept.ToImmutable();
    }

    [LoggerMessage(5003, LogLevel.Debug, "Cluster {Cluster}: a change did not reach its grain; sending it again.", EventName = "CommandSentAgain")]
    private static partial void LogSentAgain(ILogger logger, Exception exception, string cluster);

    [LoggerMessage(5002, LogLevel.Error, "Cluster {Cluster}: a change was not confirmed; the client was told to look before it tries again.", EventName = "CommandUnconfirmed")]
    private static partial void LogUnconfirmed(ILogger logger, Exception exception, string cluster);
}
