using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;
using Orleans.Hosting;
using Orleans.Runtime.Hosting;
using Orleans.TestingHost;

namespace MultiCluster.Grains.Tests.Cluster;

/// <summary>A silo with the grains, with short times, for tests against simulated clusters.</summary>
internal sealed class FleetHost : IAsyncDisposable
{
    /// <summary>No wait of a test is longer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly InProcessTestCluster _host;
    private readonly ConcurrentQueue<string> _log;

    private FleetHost(InProcessTestCluster host, ConcurrentQueue<string> log)
    {
        _host = host;
        _log = log;
    }

    public IGrainFactory Grains => _host.Client;

    public IFleetGrain Fleet => Grains.GetGrain<IFleetGrain>(IFleetGrain.Key);

    public FleetClock Clock => _host.GetSiloServiceProvider().GetRequiredService<FleetClock>();

    /// <summary>Everything that was logged, for searches of what must not be there.</summary>
    public IEnumerable<string> Log => _log;

    public T Service<T>() where T : notnull => _host.GetSiloServiceProvider().GetRequiredService<T>();

    public static async Task<FleetHost> StartAsync(DurableParts? durable = null, Action<IServiceCollection>? configure = null)
    {
        durable ??= new DurableParts();
        var log = new ConcurrentQueue<string>();
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.Services.AddGrainStorage("clusters", (_, _) => durable);
            silo.UseInMemoryReminderService();
            silo.Services.AddSingleton(durable.Keys);
            silo.Services.AddMultiClusterGrains();
            silo.Services.AddSingleton<ILoggerProvider>(new QueueLog(log));
            silo.Services.Configure<HealthOptions>(health =>
            {
                health.ProbeInterval = TimeSpan.FromMilliseconds(150);
                health.ProbeTimeout = TimeSpan.FromSeconds(3);
            });
            silo.Services.Configure<MirrorOptions>(mirror =>
            {
                mirror.SuperviseInterval = TimeSpan.FromMilliseconds(50);
                mirror.DiscoveryPause = TimeSpan.FromMilliseconds(50);
                mirror.VanishedAfter = TimeSpan.FromMilliseconds(200);
                mirror.ForbiddenRetry = TimeSpan.FromSeconds(1);
            });
            silo.Services.Configure<FleetOptions>(fleet =>
            {
                fleet.ReportInterval = TimeSpan.FromMilliseconds(50);
                fleet.Heartbeat = TimeSpan.FromSeconds(1);
                fleet.SweepInterval = TimeSpan.FromSeconds(1);
            });
            configure?.Invoke(silo.Services);
        });
        InProcessTestCluster host = builder.Build();
        await host.DeployAsync().WaitAsync(Patience);
        return new FleetHost(host, log);
    }

    public IClusterGrain Cluster(string name) => Grains.GetGrain<IClusterGrain>(name);

    /// <summary>The grain of a cluster loses its memory, as with its silo; whoever calls it next wakes it anew.</summary>
    public Task LoseAsync(string name) => _host.DeactivateAsync(Cluster(name)).WaitAsync(Patience);

    public ProtectedConnection Protect(ClusterConnection connection) => Service<ConnectionVault>().Protect(connection);

    public static ClusterConnection ConnectionTo(SimulatedCluster member, string? token = null) => new(member.Url)
    {
        CertificateAuthorityPem = member.Options.Tls ? member.CertificateAuthorityPem : null,
        Credentials = KubeCredentials.Bearer(token ?? member.AdminToken),
    };

    public Task<RegistrationReply> RegisterAsync(
        string name, ClusterConnection connection, bool force = false, bool dryRun = false, MirrorScope? mirror = null)
        => Cluster(name).RegisterAsync(
            new RegisterCluster { Connection = Protect(connection), Force = force, DryRun = dryRun, Mirror = mirror ?? MirrorScope.Default },
            CancellationToken.None).WaitAsync(Patience);

    public Task<RegistrationReply> RegisterAsync(string name, SimulatedCluster member, string? token = null, MirrorScope? mirror = null)
        => RegisterAsync(name, ConnectionTo(member, token), mirror: mirror);

    /// <summary>The summary of a cluster as soon as it is as wanted; every change of the fleet is looked at.</summary>
    public Task<ClusterSummary> UntilAsync(string name, Func<ClusterSummary, bool> wanted)
        => UntilAsync(name, (summary, _) => Task.FromResult(summary is not null && wanted(summary) ? summary : null));

    /// <summary>The page of a cluster as soon as it is as wanted; looked at with every change of the fleet.</summary>
    public Task<ClusterPage> UntilListedAsync(string name, string kind, Func<ClusterPage, bool> wanted)
        => UntilAsync(name, async (_, _) => await ListAsync(name, kind) is var page && wanted(page) ? page : null);

    public async Task<ClusterPage> ListAsync(string name, string kind, string? ns = null)
        => await Cluster(name).ListAsync(
            new ClusterListRequest
            {
                Query = new ObjectQuery { Kind = kind, Namespaces = ns is null ? [] : [ns] },
                Limit = 10_000,
                Revision = Clock.Now(),
            },
            CancellationToken.None).WaitAsync(Patience);

    public static IEnumerable<string> NamesOf(ClusterPage page) => page.Rows.Select(row => row.Name);

    public static string JsonOf(ClusterPage page, string name)
    {
        ObjectRow row = page.Rows.Single(row => row.Name == name);
        return Encoding.UTF8.GetString(page.Payload.AsSpan(row.Offset, row.Length));
    }

    public async ValueTask DisposeAsync() => await _host.DisposeAsync().AsTask().WaitAsync(Patience);

    private async Task<T> UntilAsync<T>(string name, Func<ClusterSummary?, CancellationToken, Task<T?>> look) where T : class
    {
        using var deadline = new CancellationTokenSource(Patience);
        ClusterSummary? last = null;
        try
        {
            await foreach (FleetChange change in Fleet.WatchAsync(deadline.Token).WithCancellation(deadline.Token))
            {
                last = change.Clusters.FirstOrDefault(entry => entry.Name == name)?.Summary ?? last;
                if (await look(last, deadline.Token) is { } found)
                {
                    return found;
                }
            }
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            // Said below, with what was seen last.
        }

        throw new TimeoutException($"Cluster {name} was not as wanted within {Patience}; last seen {last}. Log:\n{string.Join('\n', _log.Where(line => !line.StartsWith("Debug KindAdded", StringComparison.Ordinal)).TakeLast(40))}");
    }

    private sealed class QueueLog(ConcurrentQueue<string> log) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                log.Enqueue($"{logLevel} {eventId.Name}: {formatter(state, exception)} {exception}");
            }
        }

        public void Dispose()
        {
        }
    }
}
