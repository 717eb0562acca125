using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>Registration and state of clusters under <c>/v1</c>.</summary>
internal static class ClusterEndpoints
{
    private const string Json = "application/json";

    public static void Map(RouteGroupBuilder v1)
    {
        RouteGroupBuilder clusters = v1.MapGroup("/clusters").WithTags("clusters");
        clusters.MapGet("", ListAsync).WithName("ListClusters").WithSummary("All clusters, or those that a selection names, ordered by name.")
            .WithMetadata(new ParametersMetadata(QueryDocs.Clusters)).Produces<HttpClusterList>(200, Json).Fails(400, 404, 503);
        clusters.MapPost("", RegisterAsync).WithName("RegisterCluster").WithSummary("Checks a cluster and takes it into the fleet.")
            .WithDescription("Answers 201 with the cluster, or after a dry run 200 without one.")
            .Accepts<HttpRegistration>(Json).Produces<HttpRegistrationResult>(201, Json).Produces<HttpRegistrationResult>(200, Json).Fails(400, 409, 413, 415, 422);
        clusters.MapGet("/{name}", GetAsync).WithName("GetCluster").WithSummary("One cluster, with the kinds it serves and how the mirror stands with each.")
            .WithDescription("Where the part of the service that holds it does not answer, its phase is pending with a fault that says so, without checks and kinds.")
            .Produces<HttpClusterDetail>(200, Json).Fails(400, 404);
        clusters.MapPatch("/{name}", UpdateAsync).WithName("UpdateCluster").WithSummary("Changes labels, the scope of the mirror, or whether the cluster is enabled.")
            .Accepts<HttpClusterUpdate>(Json).Produces<HttpCluster>(200, Json).Fails(400, 404, 409, 413, 415);
        clusters.MapPut("/{name}/credentials", ReplaceCredentialsAsync).WithName("ReplaceCredentials")
            .WithSummary("Checks new credentials and puts them in place of the old; running watches lose no event.")
            .Accepts<HttpReplacement>(Json).Produces<HttpRegistrationResult>(200, Json).Fails(400, 404, 413, 415, 422);
        clusters.MapDelete("/{name}", RemoveAsync).WithName("RemoveCluster").WithSummary("Takes a cluster out of the fleet. Nothing in the member is touched.")
            .Produces(204).Fails(400, 404);
    }

    private static async Task ListAsync(HttpContext http, ClusterCommands commands)
    {
        var parameters = new QueryParameters(http.Request.Query);
        ClusterSelection selection = parameters.Clusters();
        parameters.ThrowIfWrong();
        ImmutableArray<ClusterEntry> found = await commands.SelectAsync(selection.Names, selection.LabelSelector, http.RequestAborted);
        await http.Response.WriteAsJsonAsync(
            new HttpClusterList([.. found.Select(c => c.ToHttp())]), HttpJson.Api.HttpClusterList, Json, http.RequestAborted);
    }

    private static async Task GetAsync(HttpContext http, string name, ClusterCommands commands)
    {
        ClusterDescription description = await commands.DescribeAsync(name, http.RequestAborted);
        await http.Response.WriteAsJsonAsync(description.ToHttp(), HttpJson.Api.HttpClusterDetail, Json, http.RequestAborted);
    }

    private static async Task RegisterAsync(HttpContext http, ClusterCommands commands)
    {
        HttpRegistration request = await ReadAsync(http, HttpJson.Api.HttpRegistration);
        RegistrationReply reply = await commands.RegisterAsync(
            request.Name ?? "", request.Labels ?? ImmutableDictionary<string, string>.Empty, Input(request),
            request.Mirror?.ToScope() ?? MirrorScope.Default, request.Force, request.DryRun, http.RequestAborted);
        http.Response.StatusCode = request.DryRun ? 200 : 201;
        if (reply.Cluster is { } cluster)
        {
            http.Response.Headers.Location = $"/v1/clusters/{cluster.Name}";
        }

        await http.Response.WriteAsJsonAsync(reply.ToHttp(), HttpJson.Api.HttpRegistrationResult, Json, http.RequestAborted);
    }

    private static async Task ReplaceCredentialsAsync(HttpContext http, string name, ClusterCommands commands)
    {
        HttpReplacement request = await ReadAsync(http, HttpJson.Api.HttpReplacement);
        RegistrationReply reply = await commands.ReplaceCredentialsAsync(name, Input(request), request.Force, http.RequestAborted);
        await http.Response.WriteAsJsonAsync(reply.ToHttp(), HttpJson.Api.HttpRegistrationResult, Json, http.RequestAborted);
    }

    private static async Task UpdateAsync(HttpContext http, string name, ClusterCommands commands)
    {
        HttpClusterUpdate request = await ReadAsync(http, HttpJson.Api.HttpClusterUpdate);
        ClusterEntry cluster = await commands.UpdateAsync(
            name,
            new UpdateCluster
            {
                Labels = request.Labels?.ToImmutableSortedDictionary(StringComparer.Ordinal),
                Enabled = request.Enabled,
                Mirror = request.Mirror?.ToScope(),
                IfGeneration = request.IfGeneration,
            },
            http.RequestAborted);
        await http.Response.WriteAsJsonAsync(cluster.ToHttp(), HttpJson.Api.HttpCluster, Json, http.RequestAborted);
    }

    private static async Task RemoveAsync(HttpContext http, string name, ClusterCommands commands)
    {
        await commands.RemoveAsync(name, http.RequestAborted);
        http.Response.StatusCode = 204;
    }

    private static async Task<T> ReadAsync<T>(HttpContext http, JsonTypeInfo<T> type)
        where T : class
    {
        if (!http.Request.HasJsonContentType())
        {
            throw new BadHttpRequestException("The body must be application/json.", 415);
        }

        return await JsonSerializer.DeserializeAsync(http.Request.Body, type, http.RequestAborted)
            ?? throw new JsonException("The body is null.");
    }

    private static ConnectionInput Input(HttpConnection connection) => new()
    {
        Kubeconfig = connection.Kubeconfig,
        Context = connection.Context,
        Server = connection.Server,
        CertificateAuthority = connection.CertificateAuthority,
        Token = connection.Token,
        ClientCertificate = connection.ClientCertificate,
        ClientKey = connection.ClientKey,
        TlsServerName = connection.TlsServerName,
        InsecureSkipTlsVerify = connection.InsecureSkipTlsVerify,
        ProxyUrl = connection.ProxyUrl,
    };
}
