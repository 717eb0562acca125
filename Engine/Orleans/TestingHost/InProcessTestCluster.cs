using System.Collections.ObjectModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Engine.Actors;
using Orleans.Configuration;
using Orleans.Runtime;

namespace Orleans.TestingHost;

/// <summary>A silo and a client in this process, for tests.</summary>
public sealed class InProcessTestCluster : IAsyncDisposable, IDisposable
{
    private readonly List<InProcessSiloHandle> _silos = [];
    private IHost? _client;

    internal InProcessTestCluster(InProcessTestClusterOptions options) => Options = options;

    /// <summary>How the cluster was made.</summary>
    public InProcessTestClusterOptions Options { get; }

    /// <summary>Calls grains from outside.</summary>
    public IClusterClient Client => _client?.Services.GetRequiredService<IClusterClient>()
        ?? throw new InvalidOperationException($"The cluster does not run yet; await {nameof(DeployAsync)} first.");

    /// <summary>The running silos.</summary>
    public ReadOnlyCollection<InProcessSiloHandle> Silos => _silos.AsReadOnly();

    /// <summary>Starts the cluster.</summary>
    public async Task DeployAsync()
    {
        var silo = new InProcessTestSiloSpecificOptions();
        HostApplicationBuilder builder = NewBuilder();
        builder.UseOrleans();
        builder.Services.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (Options.ClusterId, Options.ServiceId));
        foreach (Action<InProcessTestSiloSpecificOptions, IHostApplicationBuilder> configure in Options.SiloHostConfigurationDelegates)
        {
            configure(silo, builder);
        }

        IHost host = builder.Build();
        _silos.Add(new InProcessSiloHandle(silo.SiloName, host));
        await host.StartAsync();

        HostApplicationBuilder client = NewBuilder();
        client.Services.AddSingleton<IClusterClient>(services => new GrainFactory(host.Services.GetRequiredService<ActorRuntime>(), services));
        client.Services.AddSingleton<IGrainFactory>(services => services.GetRequiredService<IClusterClient>());
        foreach (Action<IHostApplicationBuilder> configure in Options.ClientHostConfigurationDelegates)
        {
            configure(client);
        }

        _client = client.Build();
        await _client.StartAsync();
    }

    /// <summary>The services of the silo.</summary>
    public IServiceProvider GetSiloServiceProvider() => _silos[0].ServiceProvider;

    /// <summary>Ends the activation of that grain, if there is one, and waits for its end.</summary>
    public async Task DeactivateAsync(IAddressable grain)
    {
        if (GetSiloServiceProvider().GetRequiredService<ActorRuntime>().Directory.Find(grain.GetGrainId()) is { } activation)
        {
            activation.Deactivate(new DeactivationReason(DeactivationReasonCode.RuntimeRequested, "The test asked for it."));
            await activation.Deactivated;
        }
    }

    /// <summary>Stops one silo, gracefully.</summary>
    public async Task StopSiloAsync(InProcessSiloHandle instance)
    {
        await instance.DisposeAsync();
        _silos.Remove(instance);
    }

    /// <summary>Stops everything.</summary>
    public async Task StopAllSilosAsync()
    {
        foreach (InProcessSiloHandle silo in _silos.ToArray())
        {
            await StopSiloAsync(silo);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_client is not null)
        {
            await _client.StopAsync();
            _client.Dispose();
            _client = null;
        }

        await StopAllSilosAsync();
    }

    /// <summary>Stops everything and blocks until it has; prefer <see cref="DisposeAsync"/>.</summary>
    public void Dispose() => Task.Run(async () => await DisposeAsync()).GetAwaiter().GetResult();

    private HostApplicationBuilder NewBuilder()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings
        {
            EnvironmentName = Environments.Development,
            ApplicationName = "TestCluster",
        });
        builder.Services.AddLogging();
        return builder;
    }
}

/// <summary>One silo of a test cluster.</summary>
public sealed class InProcessSiloHandle : IAsyncDisposable
{
    internal InProcessSiloHandle(string name, IHost host)
    {
        Name = name;
        SiloHost = host;
    }

    /// <summary>The silo's name.</summary>
    public string Name { get; }

    /// <summary>The host that the silo runs in.</summary>
    public IHost SiloHost { get; }

    /// <summary>The services of that host.</summary>
    public IServiceProvider ServiceProvider => SiloHost.Services;

    /// <summary>Whether the silo runs.</summary>
    public bool IsActive { get; private set; } = true;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!IsActive)
        {
            return;
        }

        IsActive = false;
        await SiloHost.StopAsync();
        if (SiloHost is IAsyncDisposable disposable)
        {
            await disposable.DisposeAsync();
        }
        else
        {
            SiloHost.Dispose();
        }
    }
}
