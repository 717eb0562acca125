using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Reads;
using Orleans;

namespace MultiCluster.Gateway.Reads;

/// <summary>Reads objects of many clusters at once: the one read model behind every surface.</summary>
/// <remarks>
/// <para>Every method checks the whole request first and throws <see cref="InvalidQueryException"/> before any cluster is asked.
/// A sick cluster never fails an answer and never holds it up past the deadline, unless the request is strict; coverage says what is missing.</para>
/// <para>A list takes its revision before it asks, and each cluster observes it before it looks: so everything stamped up to it is in the
/// list, and a watch from it brings everything else. Of clusters that timed out the list holds nothing and a watch from its revision brings only
/// their changes; ask strictly where that matters.</para>
/// <para>Thread-safe, holds no state between calls.</para>
/// </remarks>
public sealed class FleetReader
{
    private readonly ClusterCalls _calls;
    private readonly FleetView _fleet;
    private readonly FleetClock _clock;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <summary>A reader over the grains of this service.</summary>
    public FleetReader(IGrainFactory grains, FleetView fleet, FleetClock clock, TimeProvider time, ILogger<FleetReader>? logger = null)
        : this(name => grains.GetGrain<IClusterGrain>(name), fleet, clock, time, logger)
    {
    }

    internal FleetReader(Func<string, IClusterGrain> clusters, FleetView fleet, FleetClock clock, TimeProvider time, ILogger? logger = null)
    {
        _logger = logger ?? NullLogger.Instance;
        _calls = new ClusterCalls(clusters, name => fleet.Current.LossOf(name), time, _logger);
        _fleet = fleet;
        _clock = clock;
        _time = time;
    }

    /// <summary>One page of objects.</summary>
    /// <exception cref="InvalidQueryException">The request is wrong.</exception>
    /// <exception cref="IncompleteReadException">The request is strict and a cluster is not covered.</exception>
    /// <exception cref="ExpiredReadException">The continue token of a live list has expired in the member.</exception>
    /// <exception cref="FleetUnavailableException">This gateway has not heard from the fleet within the deadline.</exception>
    public async Task<FleetPage> ListAsync(FleetQuery query, CancellationToken cancellationToken)
    {
        FleetSnapshot fleet = await _fleet.KnownAsync(query.Deadline, cancellationToken);
        var check = new QueryCheck(fleet);
        SelectedClusters selection = check.Clusters(query.Clusters);
        check.Objects(query.Objects);
        check.Limit(query.Limit);
        check.Deadline(query.Deadline);
        ContinueToken? from = check.Continue(query, _clock);
        check.ThrowIfWrong();

        ImmutableArray<ClusterEntry> clusters = selection.In(fleet);
        long revision = from?.Revision ?? Revision(fleet);
        var fill = new PageFill(_calls, query, clusters, from, revision, _clock);
        await fill.RunAsync(_time, cancellationToken);
        FleetCoverage.ThrowIfInvalid(fill.Coverage);
        // Only of a member's own page: a mirror whose watch has just expired says Gone too, lists again, and is readable meanwhile.
        if (from is { Position: PagePosition.AtMemberToken } && fill.Coverage.FirstOrDefault(c => c.Cluster == from.Cluster && c.Fault?.Kind == "Gone") is { } gone)
        {
            throw new ExpiredReadException($"Cluster {gone.Cluster} no longer knows the page that this token leads to. Begin the list anew.");
        }

        if (from is null && fill.Next is null)
        {
            await ThrowIfServedNowhereAsync(query.Objects, fill.Coverage, clusters, query.Deadline, cancellationToken);
        }

        ImmutableArray<ClusterCoverage>.Builder coverage = ImmutableArray.CreateBuilder<ClusterCoverage>();
        coverage.AddRange(fill.Coverage);
        for (int i = fill.Reached; i < clusters.Length; i++)
        {
            if (FleetCoverage.OfSick(clusters[i]) is { } sick && (coverage.Count == 0 || string.CompareOrdinal(coverage[^1].Cluster, sick.Cluster) < 0))
            {
                coverage.Add(sick);
            }
        }

        if (query.Strict)
        {
            FleetCoverage.ThrowIfIncomplete(coverage, selection);
        }

        return new FleetPage
        {
            Items = [.. fill.Items],
            Coverage = coverage.DrainToImmutable(),
            Selected = clusters.Length,
            Continue = fill.Next is { } next ? TextOf(next) : null,
            Revision = revision,
        };
    }

    /// <summary>The objects of one name, from every selected cluster that has it.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public async Task<FleetObjects> GetAsync(FleetGetQuery query, CancellationToken cancellationToken)
    {
        FleetSnapshot fleet = await _fleet.KnownAsync(query.Deadline, cancellationToken);
        var check = new QueryCheck(fleet);
        SelectedClusters selection = check.Clusters(query.Clusters);
        check.Key(query);
        check.Deadline(query.Deadline);
        check.ThrowIfWrong();

        ImmutableArray<ClusterEntry> clusters = selection.In(fleet);
        long revision = Revision(fleet);
        var request = new ClusterGetRequest
        {
            Kind = query.Kind,
            Key = new ObjectKey(query.Namespace, query.Name),
            Live = query.Source == ReadSource.Live,
            Deadline = query.Deadline,
            Projection = query.Projection,
        };
        ClusterPage[] answers = await AskEnabledAsync(
            clusters,
            (grain, token) => grain.GetAsync(request, token),
            static c => new ClusterPage { Coverage = c },
            query.Deadline,
            cancellationToken,
            fromMirror: query.Source == ReadSource.Mirror);
        ImmutableArray<ClusterCoverage> coverage = [.. answers.Select(a => a.Coverage)];
        FleetCoverage.ThrowIfInvalid(coverage);
        await ThrowIfServedNowhereAsync(new ObjectQuery { Kind = query.Kind }, coverage, clusters, query.Deadline, cancellationToken);
        if (query.Strict)
        {
            FleetCoverage.ThrowIfIncomplete(coverage, selection);
        }

        ImmutableArray<FleetItem>.Builder items = ImmutableArray.CreateBuilder<FleetItem>();
        foreach (ClusterPage answer in answers)
        {
            foreach (ObjectRow row in answer.Rows)
            {
                items.Add(new FleetItem(answer.Coverage.Cluster, row, answer.Payload.AsMemory(row.Offset, row.Length)));
            }
        }

        if (items.Count == 0)
        {
            FleetCoverage.ThrowIfUnanswered(coverage);
        }

        return new FleetObjects { Items = items.DrainToImmutable(), Coverage = coverage, Revision = revision };
    }

    /// <summary>How many objects a query finds, grouped.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public async Task<FleetCounts> CountAsync(FleetCountQuery query, CancellationToken cancellationToken)
    {
        FleetSnapshot fleet = await _fleet.KnownAsync(query.Deadline, cancellationToken);
        var check = new QueryCheck(fleet);
        SelectedClusters selection = check.Clusters(query.Clusters);
        check.Objects(query.Objects);
        check.Groups(query.By);
        check.Deadline(query.Deadline);
        check.ThrowIfWrong();

        ImmutableArray<ClusterEntry> clusters = selection.In(fleet);
        var request = new ClusterCountRequest { Query = query.Objects, By = query.By, MaxGroups = FleetCountQuery.MaxGroups, Revision = Revision(fleet) };
        ClusterCounts[] answers = await AskEnabledAsync(
            clusters, (grain, token) => grain.CountAsync(request, token), static c => new ClusterCounts { Coverage = c }, query.Deadline, cancellationToken);
        ImmutableArray<ClusterCoverage> coverage = [.. answers.Select(a => a.Coverage)];
        FleetCoverage.ThrowIfInvalid(coverage);
        await ThrowIfServedNowhereAsync(query.Objects, coverage, clusters, query.Deadline, cancellationToken);
        if (query.Strict)
        {
            FleetCoverage.ThrowIfIncomplete(coverage, selection);
        }

        return CountMerge.Merge(answers, coverage);
    }

    /// <summary>The present or the changes since a revision, then every change. Ends only by cancellation or after a batch that says why.</summary>
    /// <remarks>The request is checked when the enumeration begins. Batches must be read steadily: a reader that falls too far behind is cut off.</remarks>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public async IAsyncEnumerable<FleetWatchBatch> WatchAsync(
        FleetWatchQuery query, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        FleetSnapshot fleet = await _fleet.KnownAsync(query.Deadline, cancellationToken);
        var check = new QueryCheck(fleet);
        SelectedClusters selection = check.Clusters(query.Clusters, orDeparted: !string.IsNullOrEmpty(query.Since));
        check.Objects(query.Objects);
        check.BookmarkEvery(query.BookmarkEvery);
        check.Deadline(query.Deadline);
        long? since = check.Revision(query.Since, _clock);
        check.ThrowIfWrong();

        // The same answer to an unknown kind as a list gives; a first page of one row costs next to nothing.
        var probe = new FleetQuery
        {
            Clusters = query.Clusters with { Names = [.. query.Clusters.Names.Where(fleet.Clusters.ContainsKey)] },
            Objects = new ObjectQuery { Kind = query.Objects.Kind, Namespaces = query.Objects.Namespaces },
            Limit = 1,
            Projection = Projection.None,
            Deadline = query.Deadline,
        };
        _ = await ListAsync(probe, cancellationToken);

        await using var watch = new FleetWatch(_calls, _fleet, _clock, _time, query, selection, since, _logger);
        await foreach (FleetWatchBatch batch in watch.RunAsync(cancellationToken).WithCancellation(cancellationToken))
        {
            yield return batch;
        }
    }

    /// <summary>The kinds that the selected clusters serve.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public async Task<FleetKinds> KindsAsync(ClusterSelection clusters, CancellationToken cancellationToken)
    {
        FleetSnapshot fleet = await _fleet.KnownAsync(FleetQuery.DefaultDeadline, cancellationToken);
        var check = new QueryCheck(fleet);
        SelectedClusters selection = check.Clusters(clusters);
        check.ThrowIfWrong();
        return await KindsOfAsync(selection.In(fleet), FleetQuery.DefaultDeadline, cancellationToken);
    }

    private async Task<FleetKinds> KindsOfAsync(ImmutableArray<ClusterEntry> clusters, TimeSpan within, CancellationToken cancellationToken)
    {
        ClusterKinds[] answers = await AskEnabledAsync(
            clusters, static (grain, token) => grain.GetKindsAsync().WaitAsync(token), static c => new ClusterKinds { Coverage = c }, within, cancellationToken);
        return new FleetKinds
        {
            Coverage = [.. answers.Select(a => a.Coverage)],
            Kinds =
            [
                .. answers.SelectMany(a => a.Kinds.Select(kind => (a.Coverage.Cluster, Kind: kind)))
                    .GroupBy(k => (k.Kind.Group, k.Kind.Plural, k.Kind.Version))
                    .OrderBy(g => g.Key.Group, StringComparer.Ordinal).ThenBy(g => g.Key.Plural, StringComparer.Ordinal).ThenBy(g => g.Key.Version, StringComparer.Ordinal)
                    .Select(g => new FleetKind(
                        g.Key.Group, g.Key.Version, g.Key.Plural, g.First().Kind.Kind, g.First().Kind.Namespaced, g.First().Kind.ShortNames,
                        g.Sum(k => k.Kind.Objects), [.. g.Select(k => k.Cluster)])),
            ],
        };
    }

    private async Task<T[]> AskEnabledAsync<T>(
        ImmutableArray<ClusterEntry> clusters,
        Func<IClusterGrain, CancellationToken, Task<T>> call,
        Func<ClusterCoverage, T> failed,
        TimeSpan within,
        CancellationToken cancellationToken,
        bool fromMirror = true)
    {
        using var deadline = new CancellationTokenSource(within, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        if (clusters.All(c => c.Enabled))
        {
            return await _calls.AskAllAsync([.. clusters.Select(c => c.Name)], call, failed, either.Token, cancellationToken, fromMirror);
        }

        string[] enabled = [.. clusters.Where(c => c.Enabled).Select(c => c.Name)];
        T[] answers = await _calls.AskAllAsync(enabled, call, failed, either.Token, cancellationToken, fromMirror);
        int next = 0;
        return [.. clusters.Select(c => c.Enabled ? answers[next++] : failed(FleetCoverage.Disabled(c.Name)))];
    }

    /// <summary>A kind that no cluster serves is a mistake of the request, unless no cluster could tell.</summary>
    private async Task ThrowIfServedNowhereAsync(
        ObjectQuery objects, IReadOnlyList<ClusterCoverage> coverage, ImmutableArray<ClusterEntry> clusters, TimeSpan within, CancellationToken cancellationToken)
    {
        bool unknown = false;
        bool ownerUnknown = false;
        foreach (ClusterCoverage answer in coverage)
        {
            switch (answer.State)
            {
                case CoverageState.NotServed when answer.Fault?.Field == ReadFields.Owner:
                    ownerUnknown = true;
                    break;
                case CoverageState.NotServed:
                    unknown = true;
                    break;
                case CoverageState.Disabled or CoverageState.Timeout:
                    break;
                case CoverageState.Offline or CoverageState.Forbidden or CoverageState.Failed when answer.Age is null && answer.Items == 0:
                    break;   // never read: it does not know what it serves
                default:
                    return;   // also one that syncs: what it serves it says in a moment
            }
        }

        if (!unknown && !ownerUnknown)
        {
            return;
        }

        FleetKinds kinds = await KindsOfAsync(clusters, within, cancellationToken);
        IEnumerable<string> names = kinds.Kinds.SelectMany(k => (string[])[k.Plural, k.Kind.ToLowerInvariant(), .. k.ShortNames, k.Group.Length > 0 ? $"{k.Plural}.{k.Group}" : k.Plural]);
        (string field, string kind) = unknown ? (ReadFields.Kind, objects.Kind) : (ReadFields.Owner, objects.Owner?.Kind ?? "");
        throw new InvalidQueryException(field, $"No selected cluster that can be reached serves '{kind}'.{NearestNames.Suggest(kind, names)}");
    }

    /// <summary>A revision such that every cluster that joined up to it is in the snapshot, so that a watch from it finds the others new.</summary>
    private long Revision(FleetSnapshot fleet)
    {
        long now = _clock.Now();
        return fleet.Through > 0 ? Math.Min(fleet.Through, now) : now;
    }

    private static string TextOf(ContinueToken token) => token.ToText()
        ?? throw new IncompleteReadException([new ClusterCoverage
        {
            Cluster = token.Cluster,
            State = CoverageState.Failed,
            Fault = new ClusterFault("TokenTooLong", "The list cannot go on from here in 512 bytes. Ask for a larger page, or leave the cluster out."),
        }]);
}
