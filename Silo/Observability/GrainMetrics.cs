using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Reflection;
using Orleans.Runtime;

namespace MultiCluster.Silo.Observability;

/// <summary>What the grains of this process are asked, how long that takes and how it ends. Thread-safe; one per host.</summary>
/// <remarks>Labels are the type of the grain and the name of the method, never a key, so that their number is that of our methods.</remarks>
internal sealed class GrainMetrics
{
    public const string MeterName = "MultiCluster.Grains";

    public const string GrainTypeLabel = "grain_type";

    // Their grains are not what an operator of this service asks about.
    private const string OrleansPrefix = "Orleans.";

    private readonly ConcurrentDictionary<(Type, MethodInfo), MethodFigures> _methods = new();
    private readonly ConcurrentDictionary<Type, bool> _counted = new();
    private readonly Histogram<double> _duration;

    public GrainMetrics(IMeterFactory meters)
    {
        Meter meter = meters.Create(MeterName);
        meter.CreateObservableCounter("multicluster.grain.calls", () => _methods.Values.SelectMany(m => m.Calls), "{call}", "Calls of grains, streams by their opening.");
        meter.CreateObservableCounter(
            "multicluster.grain.call.failures", () => _methods.Values.SelectMany(m => m.Failures), "{failure}", "Calls and streams of grains that ended with an error.");
        _duration = meter.CreateHistogram<double>("multicluster.grain.call.duration", "s", "Time from the start of a call in its grain to its end; without streams.");
    }

    /// <summary>Whether a grain class of this name is one of ours, and not of the engine or its dashboard.</summary>
    public static bool IsOurs(string fullName) => !fullName.StartsWith(OrleansPrefix, StringComparison.Ordinal);

    /// <summary>The figures of a method of a grain; null where it is none of ours.</summary>
    public MethodFigures? Of(object grain, GrainId id, MethodInfo method)
    {
        Type type = grain.GetType();
        if (_methods.TryGetValue((type, method), out MethodFigures? known))
        {
            return known;
        }

        return _counted.GetOrAdd(type, static type => typeof(Orleans.IGrain).IsAssignableFrom(type) && IsOurs(type.FullName ?? type.Name))
            ? _methods.GetOrAdd((type, method), static (key, args) => new MethodFigures(args.id.Type.ToString(), NameOf(key.Item2), args._duration), (id, _duration))
            : null;
    }

    private static string NameOf(MethodInfo method) => method.GetCustomAttribute<Orleans.AliasAttribute>()?.Alias ?? method.Name;
}
