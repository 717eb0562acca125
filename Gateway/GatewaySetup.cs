using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Grpc;
using MultiCluster.Gateway.Http;
using MultiCluster.Gateway.Observability;
using MultiCluster.Gateway.Reads;
using MultiCluster.Gateway.Security;

namespace MultiCluster.Gateway;

/// <summary>The gateway: every surface over one read model.</summary>
public static class GatewaySetup
{
    /// <summary>Tag of the health checks that <c>/readyz</c> runs.</summary>
    public const string ReadyTag = OperationsSurface.ReadyTag;

    // Objects of 1.5 MB, etcd's limit, with room for a page of large ones; a page ends before it exceeds this.
    private const int MaxMessageBytes = 64 * 1024 * 1024;

    // A registration with a kubeconfig of hundreds of contexts.
    private const int MaxRequestBytes = 4 * 1024 * 1024;

    /// <summary>Adds the gateway's services. Needs Orleans (or its in-process stand-in), Data Protection and the admin token beside.</summary>
    public static IServiceCollection AddMultiClusterGateway(this IServiceCollection services, AdminToken adminToken)
    {
        services.AddSingleton(adminToken);
        services.AddAuthentication(BearerAuthentication.Name)
            .AddScheme<AuthenticationSchemeOptions, BearerAuthentication>(BearerAuthentication.Name, null);
        services.AddAuthorization();
        services.AddFleetReads();
        services.AddSingleton<ConnectionSealer>();
        services.AddSingleton<ClusterCommands>();
        services.AddGrpc(o =>
        {
            // Their catch-all route would hide from HTTP clients which methods a path of two parts takes.
            o.IgnoreUnknownServices = true;
            o.MaxReceiveMessageSize = MaxRequestBytes;
            o.MaxSendMessageSize = MaxMessageBytes;
            o.Interceptors.Add<ErrorInterceptor>();
        });
        services.AddGrpcHealthChecks(o =>
        {
            // Clients ask for the service that they call; each is as well as the whole.
            o.Services.Map(V1.ClusterService.Descriptor.FullName, _ => true);
            o.Services.Map(V1.ResourceService.Descriptor.FullName, _ => true);
        });
        services.AddGrpcReflection();
        services.AddHttpSurface();
        services.AddFleetReadiness();
        return services;
    }

    /// <summary>Adds what every process of the service shows its operators, whether it has an API or not.</summary>
    public static IServiceCollection AddMultiClusterOperations(this IServiceCollection services) => services.AddOperations();

    /// <summary>Maps the operators' port; comes before everything else that is mapped.</summary>
    public static void UseMultiClusterOperations(this WebApplication app)
    {
        // The operators' port knows nothing but its three paths, and the API's port knows nothing of them.
        app.MapWhen(OperationsPort.Matches, OperationsSurface.Map);
    }

    /// <summary>Maps every surface.</summary>
    public static void UseMultiClusterGateway(this WebApplication app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandler = Problems.WriteAsync, AllowStatusCode404Response = true });
        app.UseWhen(
            http => !http.Request.HasGrpcContentType(),
            http =>
            {
                http.UseStatusCodePages(Problems.WriteAsync);
                http.Use(ForNoCache);
            });
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapGrpcService<ClusterServiceImplementation>().RequireAuthorization();
        app.MapGrpcService<ResourceServiceImplementation>().RequireAuthorization();
        app.MapGrpcHealthChecksService();
        app.MapGrpcReflectionService().RequireAuthorization();
        app.MapHttpSurface();
        app.MapGet("/", () => Results.Text("MultiCluster. HTTP/JSON is under /v1 (described at /v1/openapi.json), gRPC on this port too.\n"));
    }

    // Answers hold what clusters hold: no cache keeps them, and no browser takes them for anything but what they say they are.
    private static Task ForNoCache(HttpContext http, RequestDelegate next)
    {
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return next(http);
    }

    private static bool HasGrpcContentType(this HttpRequest request) =>
        request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;
}
