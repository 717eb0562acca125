using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;
using MultiCluster.V1;

namespace MultiCluster.Gateway.Grpc;

/// <summary><c>multicluster.v1.ResourceService</c>.</summary>
internal sealed class ResourceServiceImplementation(FleetReader reader, WatchPlaces places) : ResourceService.ResourceServiceBase
{
    // Seconds; far beyond every range that a field has.
    private const double LongestSpan = 1e6;

    public override async Task<ListResponse> List(ListRequest request, ServerCallContext context)
    {
        FleetPage page = await reader.ListAsync(
            new FleetQuery
            {
                Clusters = Clusters(request.Clusters),
                Objects = Query(request.Query),
                Source = WireReads.FromWire(request.Source),
                Projection = WireReads.FromWire(request.Projection),
                Limit = request.Limit == 0 ? FleetQuery.DefaultLimit : request.Limit,
                Continue = request.Continue,
                Strict = request.Strict,
                Deadline = Span(request.Deadline),
            },
            context.CancellationToken);
        var response = new ListResponse { Continue = page.Continue ?? "", Revision = page.RevisionText };
        response.Objects.Capacity = page.Items.Length;
        foreach (FleetItem item in page.Items)
        {
            response.Objects.Add(WireReads.ToWire(item.Cluster, item.Row, item.Json));
        }

        response.Coverage.Add(page.Coverage.Select(WireReads.ToWire));
        return response;
    }

    public override async Task<GetResponse> Get(GetRequest request, ServerCallContext context)
    {
        FleetObjects objects = await reader.GetAsync(
            new FleetGetQuery
            {
                Clusters = One(request),
                Kind = request.Kind,
                Namespace = request.Namespace,
                Name = request.Name,
                Source = WireReads.FromWire(request.Source),
                Projection = WireReads.FromWire(request.Projection),
                Deadline = Span(request.Deadline),
            },
            context.CancellationToken);
        if (objects.Items.IsEmpty)
        {
            throw WireErrors.NotCovered(objects.Coverage);
        }

        var response = new GetResponse();
        response.Objects.Add(objects.Items.Select(i => WireReads.ToWire(i.Cluster, i.Row, i.Json)));
        response.Coverage.Add(objects.Coverage.Select(WireReads.ToWire));
        return response;
    }

    public override async Task<CountResponse> Count(CountRequest request, ServerCallContext context)
    {
        FleetCounts counts = await reader.CountAsync(
            new FleetCountQuery
            {
                Clusters = Clusters(request.Clusters),
                Objects = Query(request.Query),
                By = [.. request.GroupBy.Select(WireReads.FromWire)],
                Strict = request.Strict,
                Deadline = Span(request.Deadline),
            },
            context.CancellationToken);
        var response = new CountResponse { Total = counts.Total, Other = counts.Other };
        foreach (GroupCount group in counts.Groups)
        {
            var wire = new CountResponse.Types.Group { Count = group.Count };
            wire.Values.Add(group.Values);
            response.Groups.Add(wire);
        }

        response.Coverage.Add(counts.Coverage.Select(WireReads.ToWire));
        return response;
    }

    public override async Task<ListKindsResponse> ListKinds(ListKindsRequest request, ServerCallContext context)
    {
        FleetKinds kinds = await reader.KindsAsync(Clusters(request.Clusters), context.CancellationToken);
        var response = new ListKindsResponse();
        foreach (FleetKind kind in kinds.Kinds)
        {
            var wire = new ListKindsResponse.Types.Kind
            {
                Group = kind.Group,
                Version = kind.Version,
                Plural = kind.Plural,
                Kind_ = kind.Kind,
                Namespaced = kind.Namespaced,
                Objects = kind.Objects,
                Clusters = kind.Clusters.Length,
            };
            wire.ShortNames.Add(kind.ShortNames);
            response.Kinds.Add(wire);
        }

        response.Coverage.Add(kinds.Coverage.Select(WireReads.ToWire));
        return response;
    }

    public override async Task Watch(WatchRequest request, IServerStreamWriter<WatchResponse> responseStream, ServerCallContext context)
    {
        var query = new FleetWatchQuery
        {
            Clusters = Clusters(request.Clusters),
            Objects = Query(request.Query),
            Projection = WireReads.FromWire(request.Projection),
            Since = request.Revision,
            BookmarkEvery = request.BookmarkEvery is null ? FleetWatchQuery.DefaultBookmarkEvery : Span(request.BookmarkEvery),
        };
        using IDisposable place = places.Enter(context.GetHttpContext().User);
        await foreach (FleetWatchBatch batch in reader.WatchAsync(query, context.CancellationToken))
        {
            foreach (WatchResponse message in Messages(batch))
            {
                await responseStream.WriteAsync(message, context.CancellationToken);
            }

            if (batch.End != FleetWatchEnd.None)
            {
                throw WireErrors.WatchEnded(batch);
            }
        }
    }

    private static IEnumerable<WatchResponse> Messages(FleetWatchBatch batch)
    {
        foreach (ClusterCoverage coverage in batch.Coverage)
        {
            yield return new WatchResponse { Type = WatchResponse.Types.Type.Coverage, Coverage = coverage.ToWire() };
        }

        foreach (FleetEvent change in batch.Events)
        {
            yield return new WatchResponse
            {
                Type = change.Type switch
                {
                    ChangeType.Added => WatchResponse.Types.Type.Added,
                    ChangeType.Modified => WatchResponse.Types.Type.Modified,
                    _ => WatchResponse.Types.Type.Deleted,
                },
                Object = WireReads.ToWire(change.Item.Cluster, change.Item.Row, change.Item.Json),
                Revision = Revision(change.Revision),
            };
        }

        foreach (string cluster in batch.Gone)
        {
            yield return new WatchResponse { Type = WatchResponse.Types.Type.Gone, Cluster = cluster };
        }

        if (batch.InitialEnd || (batch.Events.IsEmpty && batch.Revision > 0))
        {
            yield return new WatchResponse
            {
                Type = batch.InitialEnd ? WatchResponse.Types.Type.Synced : WatchResponse.Types.Type.Bookmark,
                Revision = Revision(batch.Revision),
            };
        }
    }

    private static string Revision(long revision) => revision == 0 ? "" : revision.ToString(CultureInfo.InvariantCulture);

    private static Reads.ClusterSelection Clusters(V1.ClusterSelection? wire) => wire is null
        ? Reads.ClusterSelection.All
        : new Reads.ClusterSelection { Names = [.. wire.Names], LabelSelector = wire.LabelSelector };

    private static MultiCluster.Reads.ObjectQuery Query(V1.ObjectQuery? wire) => WireReads.FromWire(wire ?? new V1.ObjectQuery());

    private static Reads.ClusterSelection One(GetRequest request)
    {
        Reads.ClusterSelection selection = Clusters(request.Clusters);
        if (request.Cluster.Length == 0)
        {
            return selection;
        }

        return selection.Names.IsEmpty && string.IsNullOrEmpty(selection.LabelSelector)
            ? Reads.ClusterSelection.Of(request.Cluster)
            : throw new InvalidQueryException("cluster", "Name one cluster, or select some with clusters; not both.");
    }

    // Not by the message's own conversion, which throws for what its writer should not have sent; whether it is in range is told with the other faults.
    private static TimeSpan Span(Duration? wire) => wire is null
        ? FleetQuery.DefaultDeadline
        : TimeSpan.FromSeconds(Math.Clamp(wire.Seconds + (wire.Nanos / 1e9), -LongestSpan, LongestSpan));
}
