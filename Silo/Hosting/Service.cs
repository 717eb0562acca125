using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Gateway;
using MultiCluster.Gateway.Observability;
using MultiCluster.Gateway.Security;
using MultiCluster.Grains;
using MultiCluster.Silo.Engines;

namespace MultiCluster.Silo.Hosting;

/// <summary>One process of the service: silo, gateway or both, with its data directory.</summary>
/// <remarks>Started once, disposed once. Its addresses are known after <see cref="StartAsync"/>.</remarks>
public sealed class Service : IAsyncDisposable
{
    // Registrations are small; an event stream sends more than it receives.
    private const long MaxRequestBody = 4 * 1024 * 1024;

    // Selectors of 8 KiB of which every character is escaped, beside a thousand names; HTTP/2 counts the URL among the headers.
    private const int MaxRequestLine = 64 * 1024;

    // Ordinary clients multiplex a handful of calls; a scheduler may hold a watch per kind.
    private const int MaxStreamsPerConnection = 500;

    // Time for running calls and grains to end when the process is asked to stop.
    internal static readonly TimeSpan ShutdownDeadline = TimeSpan.FromSeconds(15);

    // No process takes longer to stop, whatever it is set to hand over within.
    internal static readonly TimeSpan LongestShutdown = SiloNetworkSettings.MostHandOverTimeout + ShutdownDeadline + TimeSpan.FromSeconds(5);

    private readonly DataDirectory _data;
    private readonly EngineSetup _engine;
    private readonly ListenAddresses _listen;
    private readonly ServiceSecrets? _secrets;

    private Service(WebApplication app, DataDirectory data, EngineSetup engine, ServiceSecrets? secrets, ListenAddresses listen, ServiceRole role)
    {
        App = app;
        Role = role;
        _data = data;
        _engine = engine;
        _secrets = secrets;
        _listen = listen;
    }

    /// <summary>The host.</summary>
    public WebApplication App { get; }

    /// <summary>What this process does.</summary>
    public ServiceRole Role { get; }

    /// <summary>Services of the host.</summary>
    public IServiceProvider Services => App.Services;

    /// <summary>The admin token. Not in a process that is a silo only.</summary>
    public AdminToken Token => Secrets.Token;

    /// <summary>Whether this start created the admin token.</summary>
    public bool IsFirstStart => Secrets.IsFirstStart;

    /// <summary>Absolute path of the data directory.</summary>
    public string DataDirectoryPath => _data.Path;

    /// <summary>What clients trust, in PEM. Not in a process that is a silo only.</summary>
    public string AuthorityPem => Secrets.Certificates.AuthorityPem;

    /// <summary>Address of the API. Not in a process that is a silo only.</summary>
    public Uri Address { get; private set; } = new("https://127.0.0.1/");

    /// <summary>Address of health and metrics; null where they are switched off.</summary>
    public Uri? OperationsAddress { get; private set; }

    /// <summary>The kubeconfig for clients of this service.</summary>
    public string KubeconfigPath => Path.Combine(DataDirectoryPath, KubeconfigFile.FileName);

    /// <summary>Whether it stops because others have taken over what it did, and not because it was asked to.</summary>
    public bool IsReplaced => _engine.IsReplaced(App.Services);

    private ServiceSecrets Secrets => _secrets ?? throw new InvalidOperationException("A silo without a gateway has no API.");

    /// <summary>Composes the service. Nothing listens yet.</summary>
    /// <param name="settings">Where to listen and to keep data.</param>
    /// <param name="configuration">Settings of everything else; null for those of the environment alone.</param>
    /// <param name="configure">Last word on the host, for the demo and for tests.</param>
    /// <param name="cancellationToken">Ends the wait for what the engine needs, such as a database.</param>
    /// <exception cref="ServiceStartException">Something is wrong with the settings or the data directory.</exception>
    /// <exception cref="Database.DatabaseException">The engine needs a database, and it cannot be used.</exception>
    public static async Task<Service> CreateAsync(
        ServiceSettings settings,
        IConfiguration? configuration = null,
        Action<WebApplicationBuilder>? configure = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(settings);
        bool hasApi = settings.Role != ServiceRole.Silo;
        IPEndPoint? api = hasApi ? ServiceSettings.Endpoint(settings.Listen, "Service:Listen (--listen)") : null;
        IPEndPoint? operations = settings.ListenMetrics.Length == 0
            ? null
            : ServiceSettings.Endpoint(settings.ListenMetrics, "Service:ListenMetrics (--listen-metrics)");
        DataDirectory data = DataDirectory.Open(settings.DataDirectory);
        EngineSetup? engine = null;
        ServiceSecrets? secrets = null;
        try
        {
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "MultiCluster", ContentRootPath = AppContext.BaseDirectory });
            LogSettings.GiveTimes(builder.Configuration);
            builder.Configuration.AddEnvironmentVariables("MULTICLUSTER_");
            if (configuration is not null)
            {
                builder.Configuration.AddConfiguration(configuration);
            }

            LogSettings.Check(builder.Configuration);
            LogSettings.ChooseForm(builder.Logging, builder.Configuration);
            engine = await EngineSetup.CreateAsync(settings, builder.Configuration, data.Path, cancellationToken);
            secrets = api is null ? null : await ServiceSecrets.OpenAsync(engine, data.Path, CertificateNames(settings, api), cancellationToken);
            builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
            builder.Logging.AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);
            builder.Logging.AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);

            // It tells of every request without a token, which anybody can send.
            builder.Logging.AddFilter("MultiCluster.Gateway.Security.BearerAuthentication", LogLevel.Warning);

            // It tells with a stack what clients send that is no message; what fails on our side is told by the gateway's own interceptor.
            builder.Logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.Critical);
            LogSettings.QuietenHostileClients(builder.Logging);
            builder.Services.Configure<HostOptions>(o =>
            {
                o.ShutdownTimeout = ShutdownDeadline;

                // A gateway answers its operators while it still looks for a silo; everything else must be whole before it listens.
                o.ServicesStartConcurrently = settings.Role == ServiceRole.Gateway;
            });
            builder.Services.AddSingleton(TimeProvider.System);
            builder.Services.AddDataProtection().SetApplicationName("MultiCluster");
            builder.WebHost.UseKestrelHttpsConfiguration();
            builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, api, operations, secrets?.Certificates));
            engine.Configure(builder);
            if (settings.Role != ServiceRole.Gateway)
            {
                builder.Services.AddMultiClusterGrains();
            }

            builder.Services.AddMultiClusterOperations();
            if (secrets is not null)
            {
                builder.Services.AddMultiClusterGateway(secrets.Token);
            }

            configure?.Invoke(builder);
            WebApplication app = builder.Build();
            app.UseMultiClusterOperations();
            if (secrets is not null)
            {
                app.UseMultiClusterGateway();
            }

            engine.Map(app);
            return new Service(app, data, engine, secrets, new ListenAddresses(api, operations), settings.Role);
        }
        catch (Exception e)
        {
            secrets?.Dispose();
            if (engine is not null)
            {
                await engine.DisposeAsync();
            }

            data.Dispose();
            if (e is InvalidDataException)
            {
                throw new ServiceStartException(e.Message);
            }

            if (e is IOException or UnauthorizedAccessException)
            {
                throw CannotWrite(data.Path, e);
            }

            throw;
        }
    }

    /// <summary>Listens, brings the fleet back, and writes the kubeconfig.</summary>
    /// <exception cref="ServiceStartException">A port is taken, or a setting is out of its range.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // Looked at before the host starts, which would print the same faults with the stacks of its inside.
        _listen.Check();
        CheckOptions();
        await _engine.ClaimAsync(App.Services, cancellationToken);
        try
        {
            await App.StartAsync(cancellationToken);
        }
        catch (IOException e) when (e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException)
        {
            throw new ServiceStartException("A port is taken by another process; choose others with --listen and --listen-metrics (0 takes a free one).");
        }

        ICollection<string> addresses = App.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        OperationsAddress = addresses.FirstOrDefault(a => a.StartsWith("http:", StringComparison.Ordinal)) is { } plain ? Reachable(plain) : null;
        if (_secrets is not null)
        {
            Address = Reachable(addresses.First(a => a.StartsWith("https:", StringComparison.Ordinal)));
            try
            {
                KubeconfigFile.Write(DataDirectoryPath, Address, AuthorityPem, Token);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw CannotWrite(DataDirectoryPath, e);
            }
        }
    }

    /// <summary>Writes a file into the data directory that only its owner reads.</summary>
    public Task WriteFileAsync(string name, string content, CancellationToken cancellationToken) => _data.WriteAsync(name, content, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        await _engine.DisposeAsync();
        _secrets?.Dispose();
        _data.Dispose();
    }

    // Files are written whole or not at all, so what was there is as it was. The system's own words say whether it is the disk or the rights.
    private static ServiceStartException CannotWrite(string path, Exception cause) =>
        new($"The data directory {path} cannot be written ({cause.Message}); free space or correct its rights, or name another with --data.");

    private void CheckOptions()
    {
        try
        {
            App.Services.GetService<IStartupValidator>()?.Validate();
        }
        catch (OptionsValidationException e)
        {
            throw new ServiceStartException(string.Join(' ', e.Failures));
        }
        catch (InvalidOperationException e)
        {
            throw new ServiceStartException(e.Message);   // the binder's: it names the setting and its value
        }
    }

    private static void Listen(KestrelServerOptions kestrel, IPEndPoint? api, IPEndPoint? operations, ServingCertificates? certificates)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = MaxRequestBody;
        kestrel.Limits.MaxRequestLineSize = MaxRequestLine;
        kestrel.Limits.MaxRequestHeadersTotalSize = 2 * MaxRequestLine;
        kestrel.Limits.Http2.MaxRequestHeaderFieldSize = MaxRequestLine;
        kestrel.Limits.Http2.MaxStreamsPerConnection = MaxStreamsPerConnection;
        kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        if (api is not null && certificates is not null)
        {
            kestrel.Listen(api, endpoint =>
            {
                endpoint.Protocols = HttpProtocols.Http1AndHttp2;
                endpoint.UseHttps(https =>
                {
                    https.ServerCertificate = certificates.Serving;
                    https.ServerCertificateChain = certificates.Chain;
                });
            });
        }

        if (operations is not null)
        {
            kestrel.Listen(operations, endpoint =>
            {
                endpoint.Protocols = HttpProtocols.Http1;
                endpoint.UseOperationsPort();
            });
        }
    }

    private static IReadOnlyCollection<string> CertificateNames(ServiceSettings settings, IPEndPoint api) =>
        api.Address.Equals(IPAddress.Any) || api.Address.Equals(IPAddress.IPv6Any)
            ? [.. settings.Names, .. new[] { Dns.GetHostName() }.Where(ServingCertificates.IsName)]
            : [.. settings.Names, api.Address.ToString()];

    // What is bound to every address is called on loopback.
    private static Uri Reachable(string address) =>
        new(address.Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal).Replace("[::]", "127.0.0.1", StringComparison.Ordinal));
}
