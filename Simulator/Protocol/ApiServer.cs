using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Security;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Takes every request through the stages of the real server: audit, faults, authentication, impersonation, authorization, handler.</summary>
internal sealed partial class ApiServer(ServerParts server, FaultSwitchboard faults, ILogger<ApiServer> logger)
{
    public async Task HandleAsync(HttpContext http)
    {
        bool watch = http.Request.Query.TryGetValue("watch", out var asked) && ListQuery.IsTrue(asked.ToString());
        var target = RequestTarget.Parse(http.Request.Method, http.Request.Path.Value ?? "/", watch);
        var exchange = new Exchange(http, target, server);
        http.Response.Headers["Audit-Id"] = Guid.NewGuid().ToString();
        http.Response.Headers.CacheControl = "no-cache, private";
        try
        {
            await RunAsync(exchange);
        }
        catch (StatusException refusal) when (!http.Response.HasStarted)
        {
            await exchange.WriteRefusalAsync(refusal);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client went away; nobody is left to answer.
        }
        catch (IOException)
        {
            // The connection broke while we wrote.
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            LogHandlerFailed(logger, e, http.Request.Method, target.Path);
            await exchange.WriteRefusalAsync(new StatusException(500, "InternalError", "Internal error occurred: " + e.Message));
        }
    }

    private async Task RunAsync(Exchange exchange)
    {
        HttpContext http = exchange.Http;
        RequestTarget target = exchange.Target;
        UserInfo? user = null;
        try
        {
            user = server.Authenticator.Authenticate(http);
        }
        finally
        {
            server.Calls.Add(http.Request.Method, target, http.Request.QueryString.Value ?? "", user?.Name);
        }

        if (target.Path.StartsWith(FaultSwitchboard.Path, StringComparison.Ordinal) && user.IsMaster)
        {
            await FaultEndpoints.AnswerAsync(exchange, faults);
            return;
        }

        if (await faults.InterceptAsync(exchange))
        {
            return;
        }

        http.Response.Headers["X-Kubernetes-Pf-Flowschema-Uid"] = "e75f8854-a9e3-4429-8d2b-b186aa9a404d";
        http.Response.Headers["X-Kubernetes-Pf-Prioritylevel-Uid"] = "9a588cf7-4cc7-48ef-9987-937ffca70e26";
        if (Authenticator.Impersonated(http) is { } other)
        {
            server.Authorizer.Demand(user, new AccessAttributes("impersonate") { Resource = "users", Name = other.Name });
            user = other;
        }

        exchange.User = user;
        server.Authorizer.Demand(user, AccessAttributes.Of(target));
        if (target.IsResource)
        {
            await HandleResourceAsync(exchange);
        }
        else if (!HttpMethods.IsGet(http.Request.Method) && !HttpMethods.IsHead(http.Request.Method))
        {
            throw Refusal.MethodNotAllowed();
        }
        else if (!await HealthEndpoints.TryAnswerAsync(exchange) && !await DiscoveryEndpoints.TryAnswerAsync(exchange))
        {
            await exchange.WriteNotFoundPathAsync();
        }
    }

    private async Task HandleResourceAsync(Exchange exchange)
    {
        RequestTarget target = exchange.Target;
        ApiCatalog catalog = server.Registry.Catalog;
        ApiResource? resource = faults.Hides(target) ? null : catalog.Find(target.Group, target.Version, target.Plural);
        if (resource is null)
        {
            if (catalog.HasGroup(target.Group) && (target.Group.Length > 0 || target.Version == "v1"))
            {
                throw Refusal.NotServed();
            }

            await exchange.WriteNotFoundPathAsync();
            return;
        }

        exchange.Resource = resource;
        if (resource.Namespaced && target.Namespace.Length == 0 && (target.Name.Length > 0 || target.Verb is "create" or "deletecollection" or "update" or "patch"))
        {
            throw target.Name.Length > 0 ? Refusal.NotServed() : Refusal.MethodNotAllowed();
        }

        if (!resource.Namespaced && target.Namespace.Length > 0 && resource.Plural != "namespaces")
        {
            throw Refusal.NotServed();
        }

        if (target.Subresource.Length > 0)
        {
            ApiSubresource sub = resource.Subresources.FirstOrDefault(s => s.Name == target.Subresource.Split('/')[0]) ?? throw Refusal.NotServed();
            if (!sub.Verbs.Contains(target.Verb))
            {
                throw Refusal.MethodNotAllowed();
            }

            await SubresourceHandlers.RunAsync(exchange);
            return;
        }

        if (resource.Plural == "componentstatuses")
        {
            exchange.Warn("v1 ComponentStatus is deprecated in v1.19+");
        }

        if (await ReviewEndpoints.TryAnswerAsync(exchange))
        {
            return;
        }

        // A POST to an object and a PUT to a collection are methods that the path does not have.
        bool fits = target.Verb switch
        {
            "create" => target.IsCollection,
            "update" or "patch" => !target.IsCollection,
            _ => true,
        };
        if (!fits || !resource.Allows(target.Verb))
        {
            throw Refusal.MethodNotAllowed();
        }

        await (target.Verb switch
        {
            "get" => ReadHandlers.GetAsync(exchange),
            "list" => ReadHandlers.ListAsync(exchange),
            "watch" => WatchHandler.RunAsync(exchange),
            "create" => WriteHandlers.CreateAsync(exchange),
            "update" => WriteHandlers.UpdateAsync(exchange),
            "patch" => PatchHandler.RunAsync(exchange),
            "delete" => WriteHandlers.DeleteAsync(exchange),
            "deletecollection" => WriteHandlers.DeleteCollectionAsync(exchange),
            _ => throw Refusal.MethodNotAllowed(),
        });
    }

    [LoggerMessage(8001, LogLevel.Error, "Simulator: {Method} {Path} failed in its handler; answered with 500.", EventName = "HandlerFailed")]
    private static partial void LogHandlerFailed(ILogger logger, Exception e, string method, string path);
}
