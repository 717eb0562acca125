using Microsoft.AspNetCore.Http;
using MultiCluster.Engine.Grpc.Server;

namespace Grpc.Core;

/// <summary>The way from a gRPC call to its HTTP request.</summary>
public static class ServerCallContextExtensions
{
    // Where the contexts of unit tests keep theirs.
    private const string HttpContextKey = "__HttpContext";

    /// <summary>The HTTP request, its user and its services.</summary>
    /// <exception cref="InvalidOperationException">The context does not come from the ASP.NET Core server.</exception>
    public static HttpContext GetHttpContext(this ServerCallContext serverCallContext)
    {
        ArgumentNullException.ThrowIfNull(serverCallContext);
        return serverCallContext is HttpServerCall call
            ? call.Http
            : serverCallContext.UserState.TryGetValue(HttpContextKey, out object? known) && known is HttpContext http
                ? http
                : throw new InvalidOperationException("This call has no HttpContext: it does not come from the ASP.NET Core gRPC server.");
    }
}
