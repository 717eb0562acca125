using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>Reads of all clusters under <c>/v1</c>.</summary>
internal static class ResourceEndpoints
{
    private const string Json = "application/json";

    public static void Map(RouteGroupBuilder v1)
    {
        v1.MapGet("/resources/{kind}", ListOrWatchAsync)
            .WithName("ListResources").WithTags("resources")
            .WithSummary("One page of objects of all selected clusters, or with watch=true their changes as server-sent events.")
            .WithDescription("Ordered by cluster, then by the bytes of namespace/name. Coverage says per cluster what the page holds and how old it is. " +
                "The kind may be a plural, singular, kind or short name, or name.group; group/version/name with its slashes escaped.")
            .WithMetadata(ListParameters)
            .Produces<HttpPage>(200, Json, "text/event-stream").Fails(400, 410, 429, 503);
        v1.MapGet("/resources/{kind}/{cluster}/{name}", GetClusterScopedAsync)
            .WithName("GetClusterScopedResource").WithTags("resources")
            .WithSummary("One cluster-scoped object of one cluster, or of every selected cluster with '-' in place of the cluster.")
            .WithMetadata(GetParameters)
            .Produces<HttpPage>(200, Json).Fails(400, 404, 503);
        v1.MapGet("/resources/{kind}/{cluster}/{ns}/{name}", GetAsync)
            .WithName("GetResource").WithTags("resources")
            .WithSummary("One object of one cluster, or of every selected cluster with '-' in place of the cluster.")
            .WithMetadata(GetParameters)
            .Produces<HttpPage>(200, Json).Fails(400, 404, 503);
        v1.MapGet("/count/{kind}", CountAsync)
            .WithName("CountResources").WithTags("resources")
            .WithSummary("How many objects there are, grouped by up to three of cluster, namespace, phase, node, image, readiness.")
            .WithMetadata(CountParameters)
            .Produces<HttpCounts>(200, Json).Fails(400, 503);
        v1.MapGet("/kinds", KindsAsync)
            .WithName("ListKinds").WithTags("resources")
            .WithSummary("The kinds that the selected clusters serve.")
            .WithMetadata(new ParametersMetadata(QueryDocs.Clusters))
            .Produces<HttpKinds>(200, Json).Fails(400, 503);
    }

    private static ParametersMetadata ListParameters => new([.. QueryDocs.Clusters, .. QueryDocs.Objects, .. QueryDocs.Page, .. QueryDocs.Watch]);

    private static ParametersMetadata GetParameters => new([.. QueryDocs.Clusters, .. QueryDocs.One]);

    private static ParametersMetadata CountParameters => new([.. QueryDocs.Clusters, .. QueryDocs.Objects, .. QueryDocs.Count]);

    // Routing leaves an escaped slash as it is; in group/version/name it is one.
    private static string KindOf(string kind) => kind.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    private static async Task ListOrWatchAsync(HttpContext http, string kind, FleetReader reader, WatchPlaces places, TimeProvider time)
    {
        var parameters = new QueryParameters(http.Request.Query);
        if (parameters.Flag("watch") == true)
        {
            FleetWatchQuery watch = WatchQuery(http, kind, parameters);
            using IDisposable place = places.Enter(http.User);
            await using IAsyncEnumerator<FleetWatchBatch> batches = reader.WatchAsync(watch, http.RequestAborted).GetAsyncEnumerator(http.RequestAborted);
            await EventStream.WriteAsync(http, batches, time);
            return;
        }

        FleetQuery query = new()
        {
            Clusters = parameters.Clusters(),
            Objects = parameters.Objects(KindOf(kind)),
            Source = parameters.Choice("source", ReadSource.Mirror),
            Projection = parameters.Choice("projection", Projection.Object),
            Limit = parameters.Number("limit", FleetQuery.DefaultLimit),
            Continue = parameters.Text("continue"),
            Strict = parameters.Flag("strict") ?? false,
            Deadline = parameters.Span("deadline", FleetQuery.DefaultDeadline),
        };
        parameters.ThrowIfWrong();
        FleetPage page = await reader.ListAsync(query, http.RequestAborted);
        http.Response.ContentType = Json;
        await PageWriter.WriteAsync(http.Response.BodyWriter, page, http.RequestAborted);
    }

    private static FleetWatchQuery WatchQuery(HttpContext http, string kind, QueryParameters parameters)
    {
        // A browser that reconnects repeats its URL and adds the id of the last event; that one is newer.
        string? lastEvent = http.Request.Headers["Last-Event-ID"].ToString() is { Length: > 0 } id ? id : null;
        string? revision = parameters.Text("revision");
        FleetWatchQuery query = new()
        {
            Clusters = parameters.Clusters(),
            Objects = parameters.Objects(KindOf(kind)),
            Projection = parameters.Choice("projection", Projection.Object),
            Since = lastEvent ?? revision,
            BookmarkEvery = parameters.Span("bookmarkEvery", FleetWatchQuery.DefaultBookmarkEvery),
        };
        parameters.ThrowIfWrong();
        return query;
    }

    private static Task GetClusterScopedAsync(HttpContext http, string kind, string cluster, string name, FleetReader reader) =>
        GetAsync(http, kind, cluster, "", name, reader);

    private static async Task GetAsync(HttpContext http, string kind, string cluster, string ns, string name, FleetReader reader)
    {
        var parameters = new QueryParameters(http.Request.Query);
        FleetGetQuery query = new()
        {
            // Where the path names the cluster, the parameters that select some are not known, and refused.
            Clusters = cluster == "-" ? parameters.Clusters() : ClusterSelection.Of(cluster),
            Kind = KindOf(kind),
            Namespace = ns,
            Name = name,
            Source = parameters.Choice("source", ReadSource.Mirror),
            Projection = parameters.Choice("projection", Projection.Object),
            Strict = parameters.Flag("strict") ?? false,
            Deadline = parameters.Span("deadline", FleetQuery.DefaultDeadline),
        };
        parameters.ThrowIfWrong();
        FleetObjects objects = await reader.GetAsync(query, http.RequestAborted);
        if (objects.Items.IsEmpty)
        {
            // Whoever goes by the status alone must not take for gone what a cluster may well have that could not say.
            bool isKnown = objects.Coverage.All(c => c.State == CoverageState.Disabled || FleetCoverage.CouldSay(c));
            HttpCoverage[] coverage = [.. objects.Coverage.Select(c => c.ToHttp())];
            await Problems.WriteAsync(http, isKnown
                ? new HttpProblem("Not found.", 404, "No cluster has this object.", null, coverage)
                : new HttpProblem("Not known.", 503, "No cluster that could say has this object; see the coverage for those that could not. Ask again, or select clusters.", null, coverage));
            return;
        }

        http.Response.ContentType = Json;
        await PageWriter.WriteAsync(http.Response.BodyWriter, objects, http.RequestAborted);
    }

    private static async Task CountAsync(HttpContext http, string kind, FleetReader reader)
    {
        var parameters = new QueryParameters(http.Request.Query);
        FleetCountQuery query = new()
        {
            Clusters = parameters.Clusters(),
            Objects = parameters.Objects(KindOf(kind)),
            By = parameters.Choices<GroupBy>("by", GroupBy.None),
            Strict = parameters.Flag("strict") ?? false,
            Deadline = parameters.Span("deadline", FleetQuery.DefaultDeadline),
        };
        parameters.ThrowIfWrong();
        FleetCounts counts = await reader.CountAsync(query, http.RequestAborted);
        await http.Response.WriteAsJsonAsync(
            new HttpCounts(counts.Total, counts.Other, [.. counts.Groups.Select(g => new HttpGroup(g.Values, g.Count))], [.. counts.Coverage.Select(c => c.ToHttp())]),
            HttpJson.Api.HttpCounts, Json, http.RequestAborted);
    }

    private static async Task KindsAsync(HttpContext http, FleetReader reader)
    {
        var parameters = new QueryParameters(http.Request.Query);
        ClusterSelection clusters = parameters.Clusters();
        parameters.ThrowIfWrong();
        FleetKinds kinds = await reader.KindsAsync(clusters, http.RequestAborted);
        await http.Response.WriteAsJsonAsync(
            new HttpKinds(
                [.. kinds.Kinds.Select(k => new HttpKind(k.Group, k.Version, k.Plural, k.Kind, k.Namespaced, k.ShortNames, k.Objects, k.Clusters))],
                [.. kinds.Coverage.Select(c => c.ToHttp())]),
            HttpJson.Api.HttpKinds, Json, http.RequestAborted);
    }
}
