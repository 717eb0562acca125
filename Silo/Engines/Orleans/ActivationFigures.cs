using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using MultiCluster.Silo.Observability;
using Orleans.Metadata;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Counts the activations of this silo, from when one is made until it has ended, whether it ever started well or not.</summary>
internal sealed class ActivationFigures : IConfigureGrainContextProvider
{
    private readonly ConcurrentDictionary<GrainType, Count> _counts = new();

    public ActivationFigures(IMeterFactory meters) => meters.Create(GrainMetrics.MeterName).CreateObservableUpDownCounter(
        "multicluster.grain.activations", () => _counts.Values.Select(c => c.Now), "{activation}", "Activations in memory.");

    /// <inheritdoc/>
    public bool TryGetConfigurator(GrainType grainType, GrainProperties properties, [NotNullWhen(true)] out IConfigureGrainContext? configurator)
    {
        bool isOurs = properties.Properties.TryGetValue(WellKnownGrainTypeProperties.FullTypeName, out string? name) && GrainMetrics.IsOurs(name);
        configurator = isOurs ? _counts.GetOrAdd(grainType, static type => new Count(type.ToString())) : null;
        return configurator is not null;
    }

    private sealed class Count(string grainType) : IConfigureGrainContext
    {
        private static readonly Action<Task, object?> Ended = static (_, self) => Interlocked.Decrement(ref ((Count)self!)._count);

        private long _count;

        public Measurement<long> Now => new(Interlocked.Read(ref _count), new KeyValuePair<string, object?>(GrainMetrics.GrainTypeLabel, grainType));

        public void Configure(IGrainContext context)
        {
            Interlocked.Increment(ref _count);
            _ = context.Deactivated.ContinueWith(Ended, this, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }
}
