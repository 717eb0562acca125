using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Discovery;

/// <summary>Answers the paths that describe the API: discovery, version, OpenAPI.</summary>
internal static class DiscoveryEndpoints
{
    private const string AggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

    private const string Version =
        """
        {
          "major": "1",
          "minor": "32",
          "gitVersion": "v1.32.13",
          "gitCommit": "63adf010aa20e104c0b7043b47f42f50c9f72b17",
          "gitTreeState": "clean",
          "buildDate": "2026-07-01T00:00:00Z",
          "goVersion": "go1.23.5",
          "compiler": "gc",
          "platform": "linux/amd64"
        }
        """;

    private static readonly string[] OtherPaths =
    [
        "/healthz", "/healthz/etcd", "/healthz/log", "/healthz/ping", "/livez", "/livez/etcd", "/livez/log", "/livez/ping", "/metrics",
        "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/readyz", "/readyz/etcd", "/readyz/log", "/readyz/ping", "/version",
    ];

    /// <summary>Answers, or returns false when the path is none of these.</summary>
    public static async Task<bool> TryAnswerAsync(Exchange exchange)
    {
        string path = exchange.Target.Path;
        DiscoveryDocuments documents = exchange.Server.Registry.Catalog.Documents;
        switch (path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            case []:
                await WritePathsAsync(exchange, documents);
                return true;
            case ["version"]:
                await exchange.WriteBytesAsync(System.Text.Encoding.UTF8.GetBytes(Version), "application/json", 200);
                return true;
            case ["api"]:
                await WriteAggregatedAsync(exchange, documents.Core, LegacyVersions(exchange));
                return true;
            case ["apis"]:
                await WriteAggregatedAsync(exchange, documents.Groups, documents.GroupList);
                return true;
            case ["api", var version]:
                await WriteResourcesAsync(exchange, documents.OfVersion(version), groupKnown: false);
                return true;
            case ["apis", var group]:
                await WriteResourcesAsync(exchange, documents.OfGroup(group), groupKnown: false);
                return true;
            case ["apis", var group, var version]:
                await WriteResourcesAsync(exchange, documents.OfVersion($"{group}/{version}"), documents.OfGroup(group) is not null);
                return true;
            case ["openapi", "v3"]:
                await exchange.WriteBytesAsync(exchange.Server.OpenApi.Index, "text/plain; charset=utf-8", 200);
                return true;
            case ["openapi", "v3", .. var rest]:
                await WriteOpenApiAsync(exchange, exchange.Server.OpenApi.V3(string.Join('/', rest)));
                return true;
            case ["openapi", "v2"]:
                await WriteOpenApiV2Async(exchange);
                return true;
            case [".well-known", "openid-configuration"]:
                exchange.Http.Response.Headers.CacheControl = "public, max-age=3600";
                await exchange.WriteBytesAsync(IssuerOf(exchange), "application/json", 200);
                return true;
            default:
                return false;
        }
    }

    private static Task WritePathsAsync(Exchange exchange, DiscoveryDocuments documents)
    {
        IEnumerable<string> paths = documents.Paths.Concat(OtherPaths).Append("/.well-known/openid-configuration").Order(StringComparer.Ordinal);

        // Always indented, whoever asks.
        byte[] json = JsonTree.ToIndentedUtf8(new JsonObject { ["paths"] = new JsonArray([.. paths.Select(p => (JsonNode)p)]) });
        return exchange.WriteBytesAsync(json, "application/json", 200);
    }

    private static async Task WriteAggregatedAsync(Exchange exchange, TaggedDocument aggregated, byte[] plain)
    {
        string accept = exchange.Http.Request.Headers.Accept.ToString();
        if (!WantsAggregated(accept))
        {
            _ = Negotiation.Of(exchange.Http.Request, transforms: false);
            exchange.Http.Response.Headers.Vary = accept.Contains("apidiscovery", StringComparison.Ordinal) ? "Accept" : default;
            await exchange.WriteDocumentAsync(plain);
            return;
        }

        HttpResponse response = exchange.Http.Response;
        response.Headers.CacheControl = "public";
        response.Headers.ETag = aggregated.ETag;
        response.Headers.Vary = "Accept";
        if (exchange.Http.Request.Headers.IfNoneMatch.ToString() == aggregated.ETag)
        {
            response.StatusCode = 304;
            return;
        }

        await exchange.WriteBytesAsync(aggregated.Json, AggregatedType, 200);
    }

    /// <summary>Whether v2 of the aggregated form comes before any other form that we have.</summary>
    private static bool WantsAggregated(string accept)
    {
        foreach (string range in accept.Split(',', StringSplitOptions.TrimEntries))
        {
            if (range.StartsWith("application/json", StringComparison.Ordinal))
            {
                if (range.Contains("as=APIGroupDiscoveryList", StringComparison.Ordinal))
                {
                    if (range.Contains("g=apidiscovery.k8s.io", StringComparison.Ordinal) && range.Contains("v=v2;", StringComparison.Ordinal))
                    {
                        return true;
                    }

                    continue;
                }

                return false;
            }
        }

        return false;
    }

    private static async Task WriteResourcesAsync(Exchange exchange, byte[]? document, bool groupKnown)
    {
        if (document is null)
        {
            if (groupKnown || exchange.Target.Path.StartsWith("/api/", StringComparison.Ordinal))
            {
                throw Refusal.NotServed();
            }

            await exchange.WriteNotFoundPathAsync();
            return;
        }

        _ = Negotiation.Of(exchange.Http.Request, transforms: false);
        await exchange.WriteDocumentAsync(document);
    }

    private static Task WriteOpenApiAsync(Exchange exchange, byte[]? document)
    {
        if (document is null)
        {
            return exchange.WriteNotFoundPathAsync();
        }

        return exchange.WriteBytesAsync(document, "application/json", 200);
    }

    private static Task WriteOpenApiV2Async(Exchange exchange)
    {
        OpenApiDocuments documents = exchange.Server.OpenApi;
        exchange.Http.Response.Headers.Vary = "Accept";
        return ProtobufDocument.IsPreferred(exchange.Http.Request.Headers.Accept.ToString())
            ? exchange.WriteBytesAsync(documents.V2Protobuf, ProtobufDocument.MediaType, 200)
            : exchange.WriteBytesAsync(documents.V2, "application/json", 200);
    }

    private static byte[] LegacyVersions(Exchange exchange) => [.. JsonTree.ToUtf8(new JsonObject
    {
        ["kind"] = "APIVersions",
        ["versions"] = new JsonArray("v1"),
        ["serverAddressByClientCIDRs"] = new JsonArray(new JsonObject
        {
            ["clientCIDR"] = "0.0.0.0/0",
            ["serverAddress"] = exchange.Server.Authority,
        }),
    }), (byte)'\n'];

    private static byte[] IssuerOf(Exchange exchange) => JsonTree.ToUtf8(new JsonObject
    {
        ["issuer"] = "https://kubernetes.default.svc.cluster.local",
        ["jwks_uri"] = $"https://{exchange.Server.Authority}/openid/v1/jwks",
        ["response_types_supported"] = new JsonArray("id_token"),
        ["subject_types_supported"] = new JsonArray("public"),
        ["id_token_signing_alg_values_supported"] = new JsonArray("RS256"),
    });
}
