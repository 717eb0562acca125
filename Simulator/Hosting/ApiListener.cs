using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Security;

namespace MultiCluster.Simulator.Hosting;

/// <summary>The socket of a simulated cluster: Kestrel on loopback, started and stopped as often as one likes on one port.</summary>
internal sealed class ApiListener(ServerParts server, FaultSwitchboard faults, CertificateAuthority authority) : IAsyncDisposable
{
    // How long a stop in good order waits for requests to end before it breaks them.
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);

    private readonly X509Certificate2? _certificate = server.Options.Tls ? authority.IssueServing() : null;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private WebApplication? _app;
    private CancellationTokenSource _stopping = new();
    private int _port = server.Options.Port;

    public Uri Url => new($"{(server.Options.Tls ? "https" : "http")}://127.0.0.1:{_port}");

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_app is not null)
            {
                return;
            }

            _stopping = new CancellationTokenSource();
            server.Stopping = _stopping.Token;
            WebApplication app = Build();
            await app.StartAsync(cancellationToken);
            _app = app;
            _port = new Uri(app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First()).Port;
            server.Authority = $"127.0.0.1:{_port}";
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task StopAsync(bool graceful, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_app is not { } app)
            {
                return;
            }

            _app = null;
            if (graceful)
            {
                await _stopping.CancelAsync();
            }

            // Kestrel aborts what is still open when the token fires.
            using var patience = new CancellationTokenSource(graceful ? StopPatience : TimeSpan.Zero);
            await app.StopAsync(patience.Token);
            await app.DisposeAsync();
            _stopping.Dispose();
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(graceful: false, CancellationToken.None);
        _certificate?.Dispose();
        _turn.Dispose();
    }

    private WebApplication Build()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        if (_certificate is not null)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;

            // The handlers check bodies themselves and answer with a Status, and slow readers are a fault that clients must survive.
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.MinRequestBodyDataRate = null;

            // Large lists go out in large pieces.
            kestrel.Limits.MaxResponseBufferSize = 1024 * 1024;

            // As the real server: --http2-max-streams-per-connection.
            kestrel.Limits.Http2.MaxStreamsPerConnection = 100;
            kestrel.Listen(IPAddress.Loopback, _port, Configure);
        });
        WebApplication app = builder.Build();
        var api = new ApiServer(server, faults, NullLogger<ApiServer>.Instance);
        app.Run(api.HandleAsync);
        return app;
    }

    private void Configure(ListenOptions listen)
    {
        if (_certificate is null)
        {
            listen.Protocols = HttpProtocols.Http1;
            return;
        }

        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.UseHttps(new HttpsConnectionAdapterOptions
        {
            ServerCertificate = _certificate,
            ClientCertificateMode = ClientCertificateMode.AllowCertificate,

            // Who issued it is checked by the authenticator, which answers with a Status instead of a broken handshake.
            ClientCertificateValidation = (_, _, _) => true,
            SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        });
    }
}
