using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiCluster.Engine.Actors;
using MultiCluster.Silo.Observability;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Where the figures of the grains come from in process: from the engine, which counts activations and mailboxes itself and tells how calls end.</summary>
internal static class GrainFigures
{
    /// <summary>Measures the grains of this silo.</summary>
    public static ISiloBuilder AddGrainFigures(this ISiloBuilder silo)
    {
        silo.Services.AddMetrics();
        silo.Services.TryAddSingleton<GrainMetrics>();
        silo.Services.AddSingleton<ICallListener, CallFigures>();
        return silo;
    }

    /// <summary>Nothing: callers are in the process of the grains.</summary>
    public static IClientBuilder AddGrainFigures(this IClientBuilder client) => client;

    private sealed class CallFigures(GrainMetrics metrics) : ICallListener
    {
        public void OnEnded(IGrainContext grain, MethodInfo method, TimeSpan time, Exception? failure, bool isCancelled)
        {
            if (Of(grain, method) is { } figures)
            {
                figures.Took(time);
                Count(figures, failure, isCancelled);
            }
        }

        public void OnOpened(IGrainContext grain, MethodInfo method, Exception? failure, bool isCancelled)
        {
            if (Of(grain, method) is { } figures)
            {
                Count(figures, failure, isCancelled);
            }
        }

        public void OnBroken(IGrainContext grain, MethodInfo method, Exception failure) => Of(grain, method)?.Broke(failure);

        private MethodFigures? Of(IGrainContext grain, MethodInfo method) => metrics.Of(grain.GrainInstance!, grain.GrainId, method);

        private static void Count(MethodFigures figures, Exception? failure, bool isCancelled)
        {
            if (isCancelled)
            {
                figures.Cancelled();
            }
            else if (failure is not null)
            {
                figures.Failed(failure);
            }
            else
            {
                figures.Answered();
            }
        }
    }
}
