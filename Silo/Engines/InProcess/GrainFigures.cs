using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiCluster.Engine.Actors;
using MultiCluster.Silo.Observability;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Where the figures of the grains come from in process: the engine counts activations and mailboxes itself.</summary>
internal static class GrainFigures
{
    /// <summary>Measures the grains of this silo.</summary>
    public static ISiloBuilder AddGrainFigures(this ISiloBuilder silo)
    {
        silo.Services.AddMetrics();
        silo.Services.TryAddSingleton(TimeProvider.System);
        silo.Services.TryAddSingleton<GrainMetrics>();
        silo.Services.AddSingleton<IStreamListener, StreamFigures>();
        return silo.AddIncomingGrainCallFilter<GrainCallFilter>();
    }

    /// <summary>Nothing: callers are in the process of the grains.</summary>
    public static IClientBuilder AddGrainFigures(this IClientBuilder client) => client;

    private sealed class StreamFigures(GrainMetrics metrics) : IStreamListener
    {
        public void OnOpened(IGrainContext grain, MethodInfo method, Exception? failure, bool isCancelled)
        {
            MethodFigures? figures = metrics.Of(grain.GrainInstance!, grain.GrainId, method);
            if (isCancelled)
            {
                figures?.Cancelled();
            }
            else if (failure is not null)
            {
                figures?.Failed(failure);
            }
            else
            {
                figures?.Answered();
            }
        }

        public void OnBroken(IGrainContext grain, MethodInfo method, Exception failure) => metrics.Of(grain.GrainInstance!, grain.GrainId, method)?.Broke(failure);
    }
}
