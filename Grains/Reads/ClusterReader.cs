using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Evaluates queries over one cluster: its mirror, or the member itself.</summary>
/// <remarks>
/// Thread-safe. Whatever may take long runs on the thread pool over an immutable snapshot, never inside the caller's turn, and
/// stops when it is cancelled. Failures of the cluster are coverage; only cancellation is thrown.
/// </remarks>
internal sealed class ClusterReader(IClusterReadSource source, TimeProvider time)
{
    // After a full page, one more match decides whether there is another page. It is not sought for ever: an empty last page
    // is cheaper than a walk over a table of which nothing more matches.
    private const int MaxLookAhead = 4096;

    private const int MaxGroupsLimit = 100_000;

    /// <summary>One page; see <see cref="IClusterGrain.ListAsync"/>.</summary>
    public Task<ClusterPage> ListAsync(ClusterListRequest request, CancellationToken cancellationToken)
    {
        source.Mirror.Clock.Observe(request.Revision);
        return request.Live
            ? new LiveReader(source, time).ListAsync(request, cancellationToken)
            : Task.Run(() => List(request, cancellationToken), cancellationToken);
    }

    /// <summary>One object; see <see cref="IClusterGrain.GetAsync"/>.</summary>
    public Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken) => request.Live
        ? new LiveReader(source, time).GetAsync(request, cancellationToken)
        : Task.FromResult(Get(request));   // a look-up and one object to unpack: less than a hop to another thread

    /// <summary>Counts; see <see cref="IClusterGrain.CountAsync"/>.</summary>
    public Task<ClusterCounts> CountAsync(ClusterCountRequest request, CancellationToken cancellationToken)
    {
        source.Mirror.Clock.Observe(request.Revision);
        return Task.Run(() => Count(request, cancellationToken), cancellationToken);
    }

    /// <summary>Watches; see <see cref="IClusterGrain.WatchAsync"/>.</summary>
    public IAsyncEnumerable<ClusterWatchBatch> WatchAsync(ClusterWatchRequest request, CancellationToken cancellationToken) =>
        new ClusterWatch(source, request, time).RunAsync(cancellationToken);

    /// <summary>Where a watch stands that has seen nothing of this cluster yet.</summary>
    public WatchPosition Before(long stamp) => new()
    {
        Registration = source.Registration,
        History = source.Mirror.History.Id,
        Stamp = stamp,
        Points = [new MemberPoint(0, null)],
    };

    private ClusterPage List(ClusterListRequest request, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        QueryTarget target = QueryTarget.Resolve(source, request.Query.Kind, now);
        if (!TryPrepare(target, request.Query, out CompiledQuery? query, out OwnerScope? owner, out ClusterCoverage coverage))
        {
            return Empty(target, coverage);
        }

        int limit = Math.Max(1, request.Limit);
        List<MirrorRow> rows = new(Math.Min(limit, 1024));
        long bytes = 0;
        int looked = 0;
        bool more = false;
        (string, string)? after = request.After is { } key ? (key.Namespace, key.Name) : null;
        foreach (MirrorRow row in RowScan.Candidates(target.Table!.Snapshot, query, owner, after, now, cancellationToken))
        {
            bool full = rows.Count == limit;
            if (full && ++looked > MaxLookAhead)
            {
                more = true;
                break;
            }

            if (query.NeedsJson && !query.MatchesJson(row, now))
            {
                continue;
            }

            int length = request.Projection == Projection.None ? 0 : row.JsonLength;
            if (full || (rows.Count > 0 && bytes + length > request.MaxBytes))
            {
                more = true;
                break;
            }

            bytes += length;
            rows.Add(row);
        }

        // The size is known now: one array, filled once. What a filter has unpacked is unpacked again, which costs less than an array that grows.
        ImmutableArray<ObjectRow>.Builder found = ImmutableArray.CreateBuilder<ObjectRow>(rows.Count);
        var writer = new PayloadWriter(request.Projection == Projection.Object ? (int)bytes : 0);
        foreach (MirrorRow row in rows)
        {
            int start = writer.Length;
            RowReading.Write(row, request.Projection, writer);
            found.Add(RowReading.RowOf(row, start, writer.Length - start));
        }

        return new ClusterPage
        {
            Revision = source.Mirror.Clock.Now(),
            Coverage = coverage with { Items = rows.Count },
            Rows = found.DrainToImmutable(),
            Payload = writer.ToPayload(),
            More = more,
            GroupResource = target.Type!.GroupResource,
        };
    }

    private ClusterPage Get(ClusterGetRequest request)
    {
        QueryTarget target = QueryTarget.Resolve(source, request.Kind, time.GetUtcNow());
        if (target.Table is null)
        {
            return Empty(target, target.Coverage);
        }

        if (KeyFault(target.Type!, request.Key) is { } fault)
        {
            return Empty(target, target.Coverage with { State = fault.State, Fault = fault.Fault });
        }

        if (target.Table.Snapshot.Get(request.Key.Namespace, request.Key.Name) is not { } row)
        {
            return Empty(target, target.Coverage);
        }

        var payload = new PayloadWriter(request.Projection == Projection.Object ? row.JsonLength : 0);
        RowReading.Write(row, request.Projection, payload);
        return new ClusterPage
        {
            Coverage = target.Coverage with { Items = 1 },
            Rows = [RowReading.RowOf(row, 0, payload.Length)],
            Payload = payload.ToPayload(),
            GroupResource = target.Type!.GroupResource,
        };
    }

    private ClusterCounts Count(ClusterCountRequest request, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        QueryTarget target = QueryTarget.Resolve(source, request.Query.Kind, now);
        if (!TryPrepare(target, request.Query, out CompiledQuery? query, out OwnerScope? owner, out ClusterCoverage coverage))
        {
            return new ClusterCounts { Coverage = coverage };
        }

        MirrorSnapshot snapshot = target.Table!.Snapshot;
        var counter = new GroupCounter(source.Cluster, request.By, Math.Clamp(request.MaxGroups, 1, MaxGroupsLimit));
        if (query.IsEverything && owner is null && !request.By.Any(by => by is not GroupBy.Cluster))
        {
            counter.Add(snapshot.Count);
        }
        else
        {
            foreach (MirrorRow row in RowScan.Candidates(snapshot, query, owner, null, now, cancellationToken))
            {
                if (!query.NeedsJson || query.MatchesJson(row, now))
                {
                    counter.Add(row);
                }
            }
        }

        return counter.ToCounts(coverage with { Items = (int)Math.Min(counter.Total, int.MaxValue) });
    }

    private bool TryPrepare(
        QueryTarget target,
        ObjectQuery query,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out CompiledQuery? compiled,
        out OwnerScope? owner,
        out ClusterCoverage coverage)
    {
        coverage = target.Coverage;
        compiled = null;
        owner = null;
        if (target.Type is null)
        {
            return false;
        }

        // A wrong query is wrong whether or not there is something to evaluate it over.
        compiled = CompiledQuery.Compile(query, target.Type, out ReadFailure? failure);
        if (compiled is not null && query.Owner is { } wanted)
        {
            owner = OwnerScope.Begin(source.Mirror, source.Surface!, wanted, out failure);
        }

        if (failure is not null)
        {
            coverage = coverage with { State = failure.State, Fault = failure.Fault };
            compiled = null;
            return false;
        }

        return target.Table is not null && compiled is not null;
    }

    private static ClusterPage Empty(QueryTarget target, ClusterCoverage coverage) =>
        new() { Coverage = coverage, GroupResource = target.Type?.GroupResource ?? "" };

    internal static ReadFailure? KeyFault(ResourceType type, ObjectKey key) => (type.Namespaced, key.Namespace.Length > 0) switch
    {
        (true, false) => ReadFailure.Invalid("namespace", $"{type.GroupResource} live in namespaces; name one."),
        (false, true) => ReadFailure.Invalid("namespace", $"{type.GroupResource} do not live in namespaces; leave the namespace out."),
        _ => null,
    };
}
