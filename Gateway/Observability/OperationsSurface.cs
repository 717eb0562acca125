using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MultiCluster.Gateway.Reads;

namespace MultiCluster.Gateway.Observability;

/// <summary>What operators and their probes ask, on a port of its own without TLS or authentication: <c>/healthz</c>, <c>/readyz</c>, <c>/metrics</c>.</summary>
/// <remarks>Nothing here shows names of objects or credentials; figures carry the names of clusters.</remarks>
internal static class OperationsSurface
{
    /// <summary>Tag of the checks that <c>/readyz</c> runs.</summary>
    public const string ReadyTag = "ready";

    public static IServiceCollection AddOperations(this IServiceCollection services)
    {
        services.AddSingleton<PrometheusText>();
        services.AddHealthChecks();
        return services;
    }

    public static void AddFleetReadiness(this IServiceCollection services) =>
        services.AddHealthChecks().AddCheck<FleetCheck>("fleet", tags: [ReadyTag]);

    public static void Map(IApplicationBuilder app)
    {
        // Listens from the start: what is only counted up and down would be wrong for ever if the first scrape began it.
        _ = app.ApplicationServices.GetRequiredService<PrometheusText>();
        app.Run(AnswerAsync);
    }

    private static async Task AnswerAsync(HttpContext http)
    {
        if (!HttpMethods.IsGet(http.Request.Method) && !HttpMethods.IsHead(http.Request.Method))
        {
            http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            http.Response.Headers.Allow = "GET, HEAD";
            return;
        }

        switch (http.Request.Path.Value)
        {
            case "/healthz":
                await TextAsync(http, "ok\n");
                break;
            case "/readyz":
                await ReadinessAsync(http);
                break;
            case "/metrics":
                await TextAsync(http, http.RequestServices.GetRequiredService<PrometheusText>().Write(), "text/plain; version=0.0.4; charset=utf-8");
                break;
            default:
                http.Response.StatusCode = StatusCodes.Status404NotFound;
                await TextAsync(http, "Here are /healthz, /readyz and /metrics.\n");
                break;
        }
    }

    private static async Task ReadinessAsync(HttpContext http)
    {
        HealthReport report = await http.RequestServices.GetRequiredService<HealthCheckService>()
            .CheckHealthAsync(check => check.Tags.Contains(ReadyTag), http.RequestAborted);
        var text = new StringBuilder();
        foreach ((string name, HealthReportEntry entry) in report.Entries)
        {
            bool ok = entry.Status == HealthStatus.Healthy;
            text.Append(ok ? "[+] " : "[-] ").Append(name).Append(ok ? " ok" : $" {entry.Description}").Append('\n');
        }

        bool ready = report.Status != HealthStatus.Unhealthy;
        http.Response.StatusCode = ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        await TextAsync(http, text.Append(ready ? "ready\n" : "not ready\n").ToString());
    }

    private static Task TextAsync(HttpContext http, string text, string type = "text/plain; charset=utf-8")
    {
        http.Response.ContentType = type;
        http.Response.Headers.CacheControl = "no-store";
        return http.Response.WriteAsync(text, http.RequestAborted);
    }
}
