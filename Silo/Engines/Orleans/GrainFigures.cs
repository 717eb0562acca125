using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiCluster.Silo.Observability;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Where the figures of the grains come from on Orleans: calls and activations from the silo, mailboxes from the callers.</summary>
internal static class GrainFigures
{
    /// <summary>Measures the grains of this silo, and what this process calls itself.</summary>
    public static ISiloBuilder AddGrainFigures(this ISiloBuilder silo)
    {
        silo.Services.AddMetrics();
        silo.Services.TryAddSingleton(TimeProvider.System);
        silo.Services.TryAddSingleton<GrainMetrics>();
        silo.Services.AddSingleton<IConfigureGrainContextProvider, ActivationFigures>();
        return silo.AddIncomingGrainCallFilter<GrainCallFilter>()
            .AddIncomingGrainCallFilter<StreamCallFilter>()
            .AddOutgoingGrainCallFilter<MailboxFigures>();
    }

    /// <summary>Measures what this process calls.</summary>
    public static IClientBuilder AddGrainFigures(this IClientBuilder client)
    {
        client.Services.AddMetrics();
        return client.AddOutgoingGrainCallFilter<MailboxFigures>();
    }
}
