using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Fleet;
using MultiCluster.Gateway;
using MultiCluster.Grains;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Hosting;
using MultiCluster.Silo.Storage;
using Npgsql;
using Orleans.Configuration;
using Orleans.Dashboard;
using Orleans.GrainDirectory;
using Orleans.Hosting;
using Orleans.Messaging;
using Orleans.Runtime;
using Orleans.Runtime.Hosting;
using Orleans.Serialization;
using Orleans.Storage;

namespace MultiCluster.Silo.Engines;

/// <summary>What only Orleans knows: membership, states, reminders and keys are in PostgreSQL, and the process may be a silo, a gateway or both.</summary>
/// <remarks>Where no database is set, one process is everything, and keeps it in its data directory as the in-process engine does.</remarks>
internal sealed class EngineSetup : IAsyncDisposable
{
    /// <summary>Name of the engine, for the log of the start.</summary>
    public const string Name = "Orleans";

    private const string Invariant = "Npgsql";

    // A killed process is noticed at once, because its connections break; a hung one after two probes of at most two seconds.
    // Shorter ones took a busy machine for a dead one.
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxProbeTimeout = TimeSpan.FromSeconds(2);
    private const int MissedProbes = 2;

    // Two silos must agree that another is dead, one where no more than two are alive. Where two of three are killed at once, the one that is
    // left has to see by the table that it is alone: after three of these, and when it looks. Until then it asks the one by way of the other, in vain.
    private static readonly TimeSpan AliveEvery = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(3);

    // The largest message is a page: at most 64 MiB of objects (PageFill.MaxPageBytes) and what is said of each. A larger one is a bug, and ends its call.
    private const int MaxMessageBytes = 96 * 1024 * 1024;
    private const int MaxHeaderBytes = 1024 * 1024;

    // Commands wait for each other in a grain, reads for nobody. A thousand clusters that report at once are normal; beyond this
    // calls are refused, so that a grain that hangs costs its callers their calls and not the silo its memory.
    private const int ManyWaitingCalls = 5_000;
    private const int MostWaitingCalls = 20_000;

    // PostgreSQL cuts longer names, and with the cut name no lease would be found: an address with a zone is not looked at rather than refused.
    private const int LongestApplicationName = 63;

    private readonly ServiceSettings _settings;
    private readonly SiloNetworkSettings _network;
    private readonly string _directory;
    private readonly NpgsqlDataSource? _database;
    private DatabaseTime? _time;
    private readonly string? _connectionString;

    private EngineSetup(ServiceSettings settings, SiloNetworkSettings network, string directory, string? connectionString)
    {
        _settings = settings;
        _network = network;
        _directory = directory;
        _connectionString = connectionString;
        _database = connectionString is null ? null : NpgsqlDataSource.Create(connectionString);
    }

    /// <summary>Makes sure that the database, if one is set, is there, is of this build's version, and belongs to this service.</summary>
    /// <exception cref="DatabaseException">It is not, or does not.</exception>
    public static async Task<EngineSetup> CreateAsync(ServiceSettings settings, IConfiguration configuration, string directory, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(settings.ClusterId))
        {
            throw new ServiceStartException("Service:ClusterId is empty; give the service a name, the same in all its processes.");
        }

        DatabaseSettings database = configuration.GetSection(DatabaseSettings.Section).Get<DatabaseSettings>() ?? new DatabaseSettings();
        SiloNetworkSettings network = configuration.GetSection(SiloNetworkSettings.Section).Get<SiloNetworkSettings>() ?? new SiloNetworkSettings();
        bool standsAlone = string.IsNullOrWhiteSpace(database.ConnectionString) && settings.Role == ServiceRole.All;
        var engine = new EngineSetup(settings, network, directory, standsAlone ? null : database.ToConnectionString());
        if (engine._database is null)
        {
            return engine;
        }

        try
        {
            await new DatabaseSchema(engine._database).CheckAsync(settings.ClusterId, cancellationToken);
            engine._time = await DatabaseTime.OpenAsync(engine._database, TimeProvider.System, cancellationToken);
            return engine;
        }
        catch
        {
            await engine.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs <paramref name="open"/> with the files that the whole service has in common, and shares those it creates.</summary>
    public async Task ShareFilesAsync(IReadOnlyList<string> names, Action open, CancellationToken cancellationToken)
    {
        if (_database is null)
        {
            open();
            return;
        }

        await using ServiceProvider keys = ProtectWithSharedKeys(new ServiceCollection(), _database).BuildServiceProvider();
        await new SharedFiles(_database, keys.GetDataProtector("MultiCluster.SharedFiles")).ShareAsync(_directory, names, open, cancellationToken);
    }

    /// <summary>Adds the engine to the host.</summary>
    public void Configure(WebApplicationBuilder builder)
    {
        // Orleans tells at length how it is configured; what an operator must know are its warnings.
        builder.Logging.AddFilter("Orleans", LogLevel.Warning);

        // How each question to the database that places a grain went, a thousand lines in twenty seconds without it; /readyz and the calls themselves tell of that.
        builder.Logging.AddFilter("Polly", LogLevel.Critical);
        builder.Logging.AddFilter("Orleans.Runtime.ReminderService", LogLevel.Critical);

        // Calls and streams to a silo that is lost end so, each with a stack; of a lost silo the pulse tells once, and whoever called knows.
        builder.Logging.AddFilter("Orleans.Runtime.CallbackData", LogLevel.Error);
        builder.Logging.AddFilter("Orleans.Runtime.AsyncEnumerableRequest", LogLevel.Error);

        // At each start it takes the time since the machine was started for a stall of its own.
        builder.Logging.AddFilter("Orleans.Runtime.Watchdog", LogLevel.Error);

        // It recommends the server's garbage collection at each start; ours is chosen for many small processes per machine.
        builder.Logging.AddFilter("Orleans.Runtime.Silo", LogLevel.Error);
        if (_database is null)
        {
            builder.Services.AddDataProtection().PersistKeysToFileSystem(new DirectoryInfo(Path.Combine(_directory, DataDirectory.KeysFolder)));
            builder.UseOrleans(ConfigureLoneSilo);
            return;
        }

        ProtectWithSharedKeys(builder.Services, _database);
        builder.Services.AddSingleton(_database);
        builder.Services.AddSingleton(_time!);
        builder.Services.AddSingleton(new FleetClock(_time!));
        builder.Services.AddSingleton<DatabaseTimeKeeper>();
        builder.Services.AddHostedService(services => services.GetRequiredService<DatabaseTimeKeeper>());
        builder.Services.AddHealthChecks().AddCheck<DatabaseTimeKeeper>("clock", HealthStatus.Degraded, [GatewaySetup.ReadyTag]);
        builder.Services.AddHealthChecks().AddCheck<DatabaseCheck>(
            "database", _settings.Role == ServiceRole.Gateway ? HealthStatus.Degraded : HealthStatus.Unhealthy, [GatewaySetup.ReadyTag]);
        if (_settings.Role == ServiceRole.Gateway)
        {
            builder.UseOrleansClient(ConfigureClient);
        }
        else
        {
            builder.UseOrleans(ConfigureSilo);
        }
    }

    /// <summary>Takes what this process needs to itself before its host starts.</summary>
    /// <exception cref="ServiceStartException">Another process has it.</exception>
    public Task ClaimAsync(IServiceProvider services, CancellationToken cancellationToken) =>
        services.GetService<LeaseKeeper>()?.AcquireAsync(cancellationToken) ?? Task.CompletedTask;

    /// <summary>Whether other processes have taken over what this one did.</summary>
    public bool IsReplaced(IServiceProvider services) => services.GetService<LeaseKeeper>()?.IsLost ?? false;

    /// <summary>Maps the dashboard, for those who may use the API.</summary>
    public void Map(WebApplication app)
    {
        if (_network.Dashboard && _settings.Role != ServiceRole.Silo)
        {
            app.MapOrleansDashboard("/orleans").RequireAuthorization();
        }
    }

    public ValueTask DisposeAsync() => _database?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static IServiceCollection ProtectWithSharedKeys(IServiceCollection services, NpgsqlDataSource database)
    {
        services.AddDataProtection().SetApplicationName("MultiCluster");
        return services.Configure<KeyManagementOptions>(o => o.XmlRepository = new DatabaseKeyRepository(database));
    }

    private void ConfigureLoneSilo(ISiloBuilder silo)
    {
        silo.UseLocalhostClustering(gatewayPort: 0).UseFileStorage(Path.Combine(_directory, "state"), GrainsServiceCollectionExtensions.StorageName);
        silo.Configure<ClusterOptions>(SetName);

        // Nobody ever connects; the port that Orleans insists on is any free one of loopback.
        silo.Configure<EndpointOptions>(o => o.SiloListeningEndpoint = new IPEndPoint(IPAddress.Loopback, 0));
        silo.AddGrainFigures();
        AddDashboard(silo);
    }

    private void ConfigureSilo(ISiloBuilder silo)
    {
        (IPEndPoint forSilos, IPEndPoint forGateways, IPAddress advertised) = _network.Endpoints();
        silo.Configure<ClusterOptions>(SetName);
        silo.Configure<EndpointOptions>(o =>
        {
            o.AdvertisedIPAddress = advertised;
            o.SiloPort = forSilos.Port;
            o.GatewayPort = forGateways.Port;
            o.SiloListeningEndpoint = forSilos;
            o.GatewayListeningEndpoint = forGateways;
        });
        silo.Configure<ClusterMembershipOptions>(o =>
        {
            o.ProbeTimeout = ProbeTimeout;
            o.MaxProbeTimeout = MaxProbeTimeout;
            o.NumMissedProbesLimit = MissedProbes;
            o.IAmAliveTablePublishTimeout = AliveEvery;
            o.TableRefreshTimeout = LookEvery;
        });
        silo.Configure<SiloMessagingOptions>(o =>
        {
            Bound(o);
            o.MaxEnqueuedRequestsSoftLimit = ManyWaitingCalls;
            o.MaxEnqueuedRequestsHardLimit = MostWaitingCalls;
        });
        silo.Services.AddSingleton<DatabaseGrainDirectory>();
        silo.AddGrainDirectory(GrainDirectoryAttribute.DEFAULT_GRAIN_DIRECTORY, (services, _) => services.GetRequiredService<DatabaseGrainDirectory>());
        silo.Services.AddHostedService<DirectoryMemory>();
        silo.Services.AddSingleton(_network);
        silo.Services.AddSingleton<SiloLeases>();
        silo.Services.AddSingleton<LeaseKeeper>();
        silo.Services.AddSingleton<IFatalErrorHandler, FatalErrors>();
        silo.Services.AddSingleton<SiloBook>();
        silo.Services.AddSingleton(services => ActivatorUtilities.CreateInstance<ClusterMover>(services, (Func<Task>)(() => DatabaseCheck.AskAsync(_database!))));
        silo.Services.AddHostedService(services => services.GetRequiredService<LeaseKeeper>());
        silo.Services.AddHostedService<HandOver>();
        silo.Services.Configure<HostOptions>(o => o.ShutdownTimeout = _network.HandOverTimeout + Service.ShutdownDeadline);
        if (_network.Rebalance)
        {
            silo.Services.AddHostedService<Rebalancer>();
        }

        silo.Services.AddPlacementDirector<LoadPlacement, LoadPlacementDirector>();
        silo.Services.AddSingleton<PlacementStrategy, LoadPlacement>();
        silo.Services.AddHostedService<LoadMeter>();
        silo.AddGrainFigures();
        silo.UseAdoNetClustering(options => options.Configure<ILocalSiloDetails>((o, self) => (o.Invariant, o.ConnectionString) = (Invariant, ConnectionStringOf(self))));
        silo.UseAdoNetReminderService(options => options.Configure<ILocalSiloDetails>((o, self) => (o.Invariant, o.ConnectionString) = (Invariant, ConnectionStringOf(self))));
        silo.AddAdoNetGrainStorage(GrainsServiceCollectionExtensions.StorageName, options => options.Configure<Serializer, ILocalSiloDetails>((o, serializer, self) =>
        {
            (o.Invariant, o.ConnectionString) = (Invariant, ConnectionStringOf(self));

            // The same codec as for messages: members are known by number, so a later build reads what an earlier one wrote.
            o.GrainStorageSerializer = new OrleansGrainStorageSerializer(serializer);
            o.DeleteStateOnClear = true;
        }));
        AddDashboard(silo);
    }

    /// <summary>The connection string that names the silo, so that the database can refuse what one writes whose lease has ended.</summary>
    private string ConnectionStringOf(ILocalSiloDetails silo)
    {
        string name = silo.SiloAddress.ToParsableString();
        return name.Length > LongestApplicationName
            ? _connectionString!
            : new NpgsqlConnectionStringBuilder(_connectionString) { ApplicationName = name }.ConnectionString;
    }

    private void AddDashboard(ISiloBuilder silo)
    {
        if (_network.Dashboard)
        {
            silo.AddDashboard(o => o.HideTrace = true);
        }
    }

    private void ConfigureClient(IClientBuilder client)
    {
        client.Configure<ClusterOptions>(SetName);
        client.Configure<ClientMessagingOptions>(Bound);
        client.Configure<GatewayOptions>(o => o.GatewayListRefreshPeriod = SiloRoutes.LookEvery);
        client.UseConnectionRetryFilter<SiloConnectionRetry>();
        client.AddGrainFigures();
        var silos = new RunningSilos(_database!, _settings.ClusterId);
        client.Services.AddSingleton(services => ActivatorUtilities.CreateInstance<SiloRoutes>(services, (Func<Task<IReadOnlyList<RunningSilo>>>)silos.ReadAsync));
        client.Services.AddSingleton<IGatewayListProvider>(services => services.GetRequiredService<SiloRoutes>());
        client.Services.AddHostedService<SiloSignReader>();
        if (_network.Dashboard)
        {
            client.AddDashboard(o => o.HideTrace = true);
        }
    }

    private static void Bound(MessagingOptions options) => (options.MaxMessageBodySize, options.MaxMessageHeaderSize) = (MaxMessageBytes, MaxHeaderBytes);

    private void SetName(ClusterOptions options) => options.ClusterId = options.ServiceId = _settings.ClusterId;
}
