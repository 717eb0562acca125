using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Registers the runtime, once however often it is asked to.</summary>
internal static class SiloRegistration
{
    public static ISiloBuilder Add(IServiceCollection services, IConfiguration configuration)
    {
        services.AddLogging();
        services.AddMetrics();
        services.AddOptions();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(static _ => new GrainClasses(GrainCatalog.FindClasses().ToArray()));
        services.TryAddSingleton<ActorRuntime>();
        services.TryAddSingleton<IClusterClient, GrainFactory>();
        services.TryAddSingleton<IGrainFactory>(static s => s.GetRequiredService<IClusterClient>());
        services.TryAddSingleton<IGrainContextAccessor, CurrentContext>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, Silo>());
        return new Builder(services, configuration);
    }

    private sealed record Builder(IServiceCollection Services, IConfiguration Configuration) : ISiloBuilder;

    private sealed class CurrentContext : IGrainContextAccessor
    {
        public IGrainContext GrainContext => RuntimeContext.Current!;
    }
}

/// <summary>Work when the silo has started.</summary>
internal sealed record StartupTask(int Stage, Func<CancellationToken, Task> RunAsync);

/// <summary>Starts and stops the runtime with its host.</summary>
internal sealed class Silo : IHostedService
{
    private readonly ActorRuntime _runtime;
    private readonly ReminderService? _reminders;
    private readonly IEnumerable<StartupTask> _startupTasks;

    public Silo(ActorRuntime runtime, IMeterFactory meters, IEnumerable<StartupTask> startupTasks, ReminderService? reminders = null)
    {
        (_runtime, _reminders, _startupTasks) = (runtime, reminders, startupTasks);
        ActivationMetrics.Publish(meters, runtime.Directory);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _runtime.Start();
        if (_reminders is not null)
        {
            await _reminders.StartAsync();
        }

        foreach (StartupTask task in _startupTasks.OrderBy(t => t.Stage))
        {
            await task.RunAsync(cancellationToken);
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _reminders?.Dispose();
        await _runtime.StopAsync(cancellationToken);
    }
}

/// <summary>The client's side of a builder.</summary>
internal sealed class ClientBuilder(IHostApplicationBuilder host) : IClientBuilder
{
    public IServiceCollection Services => host.Services;

    public IConfiguration Configuration => host.Configuration;
}
