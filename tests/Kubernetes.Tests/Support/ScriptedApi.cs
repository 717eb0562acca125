using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Kubernetes.Configuration;

namespace MultiCluster.Kubernetes.Tests.Support;

/// <summary>A server on loopback that answers as its test says, well or badly.</summary>
public sealed class ScriptedApi : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<string> _calls = new();
    private readonly List<(int Count, TaskCompletionSource Reached)> _waiters = [];
    private readonly CancellationTokenSource _stopping = new();
    private string?[] _serverName = [];

    private ScriptedApi(WebApplication app) => _app = app;

    /// <summary>The name that the last TLS client asked for (SNI).</summary>
    public string? AskedServerName => _serverName[0];

    public Uri Url { get; private set; } = null!;

    /// <summary>Cancelled when the server stops: what a handler that hangs waits for.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>Every request so far: method, path and query.</summary>
    public IReadOnlyList<string> Calls => [.. _calls];

    public ClusterConnection Connection => new(Url);

    public static async Task<ScriptedApi> StartAsync(
        Func<HttpContext, ScriptedApi, Task> answer, X509Certificate2? certificate = null, bool askForCertificate = false,
        HttpProtocols protocols = HttpProtocols.Http1AndHttp2, int port = 0)
    {
        string?[] serverName = [null];
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen =>
        {
            listen.Protocols = certificate is null ? HttpProtocols.Http1 : protocols;
            if (certificate is not null)
            {
                listen.UseHttps(https =>
                {
                    https.ServerCertificateSelector = (_, name) =>
                    {
                        serverName[0] = name;
                        return certificate;
                    };
                    https.ClientCertificateMode = askForCertificate ? ClientCertificateMode.AllowCertificate : ClientCertificateMode.NoCertificate;
                    https.ClientCertificateValidation = (_, _, _) => true;
                });
            }
        }));
        WebApplication app = builder.Build();
        var api = new ScriptedApi(app) { _serverName = serverName };
        app.Run(context => api.HandleAsync(context, answer));
        await app.StartAsync();
        api.Url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return api;
    }

    /// <summary>Completes when there have been so many requests.</summary>
    public Task CallsAsync(int count)
    {
        lock (_waiters)
        {
            if (_calls.Count >= count)
            {
                return Task.CompletedTask;
            }

            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((count, reached));
            return reached.Task.WaitAsync(TimeSpan.FromSeconds(60));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        await _app.StopAsync(soon.Token);
        await _app.DisposeAsync();
        _stopping.Dispose();
    }

    private async Task HandleAsync(HttpContext context, Func<HttpContext, ScriptedApi, Task> answer)
    {
        _calls.Enqueue($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}");
        lock (_waiters)
        {
            foreach ((int count, TaskCompletionSource reached) in _waiters.ToArray())
            {
                if (_calls.Count >= count)
                {
                    _ = reached.TrySetResult();
                }
            }
        }

        try
        {
            await answer(context, this);
        }
        catch (OperationCanceledException)
        {
            // The client left, or the server stops.
        }
    }
}

public static class ScriptedAnswers
{
    public static async Task JsonAsync(this HttpContext context, string body, int status = 200, string contentType = "application/json")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        await context.Response.WriteAsync(body, context.RequestAborted);
    }

    public static async Task SendAsync(this HttpContext context, string text)
    {
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    public static bool IsWatch(this HttpContext context) => context.Request.Query.ContainsKey("watch");

    public static string Status(int code, string reason, string message, string extra = "") =>
        $$"""{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"{{message}}","reason":"{{reason}}"{{extra}},"code":{{code}}}""";
}
