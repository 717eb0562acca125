using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Fleet;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains;

/// <summary>Registers what the grains of the fleet and its clusters need.</summary>
public static class GrainsServiceCollectionExtensions
{
    /// <summary>Name of the storage that the grains keep their state in; the silo provides it.</summary>
    public const string StorageName = "clusters";

    /// <summary>
    /// Adds the services behind the grains, with options from the sections <c>Mirror</c>, <c>Health</c>, <c>Fleet</c> and <c>Client</c>
    /// that are checked at start. Needs Data Protection (its keys decrypt the credentials), a grain storage named
    /// <see cref="StorageName"/> and a reminder service.
    /// </summary>
    public static IServiceCollection AddMultiClusterGrains(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddOptions<MirrorOptions>().BindConfiguration(MirrorOptions.Section).ValidateOnStart();
        services.AddOptions<HealthOptions>().BindConfiguration(HealthOptions.Section).ValidateOnStart();
        services.AddOptions<FleetOptions>().BindConfiguration(FleetOptions.Section).ValidateOnStart();
        services.AddOptions<KubeClientOptions>().BindConfiguration("Client").ValidateOnStart();
        services.AddOptions<ReflectorOptions>().BindConfiguration(MirrorOptions.Section).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<MirrorOptions>, MirrorOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<HealthOptions>, HealthOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<FleetOptions>, FleetOptionsValidator>());

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KubeClientOptions>, ClientOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ReflectorOptions>, ClientOptionsValidator>());

        services.AddMetrics();
        services.AddDataProtection();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<FleetClock>();
        services.TryAddSingleton<ConnectionVault>();
        services.TryAddSingleton<KubeClients>();
        services.TryAddSingleton<ConnectionCheck>();
        services.TryAddSingleton<ClusterMetrics>();
        services.TryAddSingleton<LocalClusters>();
        services.TryAddSingleton<IManagedHeap, ProcessHeap>();
        services.TryAddSingleton(provider => new HeapTidying(
            provider.GetRequiredService<IOptions<MirrorOptions>>().Value.CompactHeapUpTo,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<IManagedHeap>(),
            provider.GetRequiredService<ILogger<HeapTidying>>()));
        services.TryAddSingleton<ClusterServices>();
        services.TryAddSingleton(provider =>
        {
            MirrorOptions mirror = provider.GetRequiredService<IOptions<MirrorOptions>>().Value;
            return new ListGate(mirror.ListsPerProcess, mirror.ListPlaceTimeout, provider.GetRequiredService<TimeProvider>());
        });
        return services;
    }
}
