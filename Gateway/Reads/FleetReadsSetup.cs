using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiCluster.Fleet;

namespace MultiCluster.Gateway.Reads;

/// <summary>Registers the read model of the gateway.</summary>
public static class FleetReadsSetup
{
    /// <summary>
    /// Adds <see cref="FleetView"/> and <see cref="SiloPulse"/> (hosted) and <see cref="FleetReader"/>. Needs an <c>IGrainFactory</c>; adds the <see cref="FleetClock"/>
    /// and the system's <see cref="TimeProvider"/> where there are none, so that gateway and silo of one process share them.
    /// Options come from the section <c>Watches</c> and are checked at start.
    /// </summary>
    public static IServiceCollection AddFleetReads(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<FleetClock>();
        services.TryAddSingleton<FleetView>();
        services.AddHostedService(provider => provider.GetRequiredService<FleetView>());
        services.AddHostedService<SiloPulse>();
        services.TryAddSingleton<FleetReader>();
        services.AddMetrics();
        services.AddOptions<WatchOptions>().BindConfiguration(WatchOptions.Section).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<WatchOptions>, WatchOptionsValidator>());
        services.TryAddSingleton<WatchPlaces>();
        return services;
    }
}
