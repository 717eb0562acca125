using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Reads;
using MultiCluster.Gateway.Tests.Faults;
using MultiCluster.Grains;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Silo.Storage;
using MultiCluster.Simulator.Hosting;
using Orleans;
using Orleans.Hosting;
using Orleans.TestingHost;

namespace MultiCluster.Gateway.Tests.Continuity;

/// <summary>A silo with the real grains, whose cluster grains can be lost, and the gateway's read model before it.</summary>
internal sealed class MovingFleet : IAsyncDisposable
{
    /// <summary>No wait of a test is longer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly InProcessTestCluster _host;
    private readonly DirectoryInfo _states;
    private readonly LogCapture _log;

    private MovingFleet(InProcessTestCluster host, DirectoryInfo states, LogCapture log, FleetClock clock)
    {
        _host = host;
        _states = states;
        _log = log;
        View = new FleetView(host.Client, clock, TimeProvider.System, NullLogger<FleetView>.Instance);
        Reader = new FleetReader(host.Client, View, clock, TimeProvider.System, new Logger<FleetReader>(new LoggerFactory([log])));
    }

    public FleetView View { get; }

    public FleetReader Reader { get; }

    public string Log => string.Join('\n', _log.Lines.TakeLast(60));

    /// <summary>The silos.</summary>
    public InProcessTestCluster Host => _host;

    /// <param name="configure">Other options of the mirrors.</param>
    /// <param name="silos">How many; more than one needs Orleans.</param>
    /// <param name="timeOf">The clock of each silo by its number, and of the gateway by -1; null for the system's, and one clock for all.</param>
    public static async Task<MovingFleet> StartAsync(Action<MirrorOptions>? configure = null, short silos = 1, Func<int, TimeProvider>? timeOf = null)
    {
        var log = new LogCapture();
        DirectoryInfo states = Directory.CreateTempSubdirectory("mc-moving-");
        var keys = new EphemeralDataProtectionProvider();
        var shared = new DurableDirectory(states.FullName);
        int started = 0;
        var builder = new InProcessTestClusterBuilder(silos);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.UseFileStorage(states.FullName, "clusters");
            silo.Services.RemoveAll<DurableDirectory>();
            silo.Services.AddSingleton(shared);
            if (timeOf is not null)
            {
                silo.Services.AddSingleton(new FleetClock(timeOf(started++)));
            }

            silo.Services.AddSingleton<IDataProtectionProvider>(keys);
            silo.Services.AddMultiClusterGrains();
            silo.Services.AddSingleton<ILoggerProvider>(log);
            silo.Services.Configure<HealthOptions>(health => health.ProbeInterval = TimeSpan.FromMilliseconds(100));
            silo.Services.Configure<MirrorOptions>(mirror =>
            {
                mirror.SuperviseInterval = TimeSpan.FromMilliseconds(20);
                mirror.DiscoveryPause = TimeSpan.FromMilliseconds(20);
                mirror.ForbiddenRetry = TimeSpan.FromSeconds(1);
                configure?.Invoke(mirror);
            });
            silo.Services.Configure<FleetOptions>(fleet =>
            {
                fleet.ReportInterval = TimeSpan.FromMilliseconds(50);
                fleet.Heartbeat = TimeSpan.FromSeconds(1);
                fleet.SweepInterval = TimeSpan.FromSeconds(1);
            });
        });
        InProcessTestCluster host = builder.Build();
        await host.DeployAsync().WaitAsync(Patience);
        FleetClock clock = timeOf is null ? host.GetSiloServiceProvider().GetRequiredService<FleetClock>() : new FleetClock(timeOf(-1));
        var fleet = new MovingFleet(host, states, log, clock);
        await fleet.View.StartAsync(CancellationToken.None).WaitAsync(Patience);
        return fleet;
    }

    public IClusterGrain Cluster(string name) => _host.Client.GetGrain<IClusterGrain>(name);

    /// <summary>Registers a member, mirrors these kinds of it, and waits until they are in step.</summary>
    public async Task JoinAsync(string name, SimulatedCluster member, params string[] kinds)
    {
        var connection = new ClusterConnection(member.Url)
        {
            CertificateAuthorityPem = member.CertificateAuthorityPem,
            Credentials = KubeCredentials.Bearer(member.AdminToken),
        };
        var request = new RegisterCluster
        {
            Connection = _host.GetSiloServiceProvider().GetRequiredService<ConnectionVault>().Protect(connection),
            Mirror = MirrorScope.Default with { Include = [.. kinds] },
        };
        RegistrationReply reply = await Cluster(name).RegisterAsync(request, CancellationToken.None).WaitAsync(Patience);
        Assert.Empty(reply.Faults);
        await View.WaitForVersionAsync(reply.FleetVersion, CancellationToken.None).WaitAsync(Patience);
        using var deadline = new CancellationTokenSource(Patience);
        while ((await Cluster(name).GetKindsAsync().WaitAsync(Patience)).Kinds is var seen
            && (seen.IsEmpty || seen.Any(kind => kind.State != MirrorState.NotMirrored && kind.State != MirrorState.Synced)))
        {
            Task changed = View.Changed();
            await Task.WhenAny(changed, Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, deadline.Token));
            deadline.Token.ThrowIfCancellationRequested();
        }
    }

    /// <summary>The grain of a cluster loses its memory, as with its silo; whoever calls it next wakes it anew.</summary>
    public Task LoseAsync(string name) => _host.DeactivateAsync(Cluster(name)).WaitAsync(Patience);

    public async ValueTask DisposeAsync()
    {
        await View.StopAsync(CancellationToken.None).WaitAsync(Patience);
        View.Dispose();
        await _host.DisposeAsync().AsTask().WaitAsync(Patience);
        _states.Delete(recursive: true);
    }
}
