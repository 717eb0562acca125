using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace MultiCluster.Gateway.Http;

/// <summary>HTTP/JSON under <c>/v1</c>, for programs without gRPC.</summary>
internal static class HttpSurface
{
    private const string Document = "v1";

    public static IServiceCollection AddHttpSurface(this IServiceCollection services)
    {
        services.Configure<JsonOptions>(o =>
        {
            // The document is made from these: numbers are numbers, never texts.
            o.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            o.SerializerOptions.TypeInfoResolverChain.Insert(0, HttpJson.Api);
        });
        services.AddOpenApi(Document, o =>
        {
            o.ShouldInclude = api => api.RelativePath?.StartsWith("v1/", StringComparison.Ordinal) == true;
            o.AddDocumentTransformer((document, _, _) =>
            {
                document.Info = new OpenApiInfo { Title = "MultiCluster", Version = "v1", Description = "All your Kubernetes clusters at once." };
                document.Components ??= new OpenApiComponents();
                document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
                {
                    ["bearer"] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer" },
                };
                document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("bearer", document)] = [] }];
                return Task.CompletedTask;
            });
            o.AddOperationTransformer(AddQueryParameters);
        });
        return services;
    }

    public static void MapHttpSurface(this IEndpointRouteBuilder endpoints)
    {
        RouteGroupBuilder v1 = endpoints.MapGroup("/v1").RequireAuthorization();
        v1.AddEndpointFilterFactory((_, next) => async context =>
        {
            try
            {
                if (context.HttpContext.GetEndpoint()?.Metadata.GetMetadata<ParametersMetadata>() is null)
                {
                    new QueryParameters(context.HttpContext.Request.Query).ThrowIfWrong();
                }

                return await next(context);
            }
            catch (Exception e) when (!context.HttpContext.Response.HasStarted && Problems.Of(e) is { Status: not 500 } problem)
            {
                await Problems.WriteAsync(context.HttpContext, problem);
                return Results.Empty;
            }
            catch (OperationCanceledException) when (context.HttpContext.RequestAborted.IsCancellationRequested)
            {
                return Results.Empty;
            }
        });
        ClusterEndpoints.Map(v1);
        ResourceEndpoints.Map(v1);
        endpoints.MapOpenApi("/{documentName}/openapi.json").RequireAuthorization();
    }

    /// <summary>Says which errors an endpoint answers with.</summary>
    public static RouteHandlerBuilder Fails(this RouteHandlerBuilder endpoint, params ReadOnlySpan<int> statuses)
    {
        endpoint.Produces<HttpProblem>(401, "application/problem+json");
        foreach (int status in statuses)
        {
            endpoint.Produces<HttpProblem>(status, "application/problem+json");
        }

        return endpoint;
    }

    private static Task AddQueryParameters(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        foreach (ParametersMetadata metadata in context.Description.ActionDescriptor.EndpointMetadata.OfType<ParametersMetadata>())
        {
            operation.Parameters ??= [];
            foreach (ParameterDoc parameter in metadata.Parameters)
            {
                JsonSchemaType type = parameter.Type switch
                {
                    "integer" => JsonSchemaType.Integer,
                    "boolean" => JsonSchemaType.Boolean,
                    _ => JsonSchemaType.String,
                };
                operation.Parameters.Add(new OpenApiParameter
                {
                    Name = parameter.Name,
                    In = ParameterLocation.Query,
                    Description = parameter.Description,
                    Schema = parameter.Repeats
                        ? new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema { Type = type } }
                        : new OpenApiSchema { Type = type },
                });
            }
        }

        return Task.CompletedTask;
    }
}
