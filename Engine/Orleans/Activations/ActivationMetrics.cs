using System.Diagnostics.Metrics;

namespace MultiCluster.Engine.Actors;

/// <summary>Shows what lives and what waits, by grain type; looked at only when somebody asks.</summary>
internal static class ActivationMetrics
{
    // The same as of the figures that are counted call by call.
    private const string MeterName = "MultiCluster.Grains";

    public static void Publish(IMeterFactory meters, ActivationDirectory directory)
    {
        Meter meter = meters.Create(MeterName);
        meter.CreateObservableUpDownCounter("multicluster.grain.activations", () => Measure(directory, static a => a.Count()), "{activation}", "Activations in memory.");
        meter.CreateObservableGauge(
            "multicluster.grain.mailbox", () => Measure(directory, static a => a.Sum(x => x.MailboxLength)), "{call}", "Calls that wait for a turn of their grain.");
        meter.CreateObservableGauge(
            "multicluster.grain.mailbox.max", () => Measure(directory, static a => a.Max(x => x.MailboxLength)), "{call}", "Calls that wait for the grain with the most of them.");
    }

    // Observers are objects of callers and live as long as those want.
    private static IEnumerable<Measurement<int>> Measure(ActivationDirectory directory, Func<IEnumerable<GrainActivation>, int> figure) =>
        directory.All.Where(a => !a.Class.IsObserver).GroupBy(a => a.Class)
            .Select(g => new Measurement<int>(figure(g), new KeyValuePair<string, object?>("grain_type", g.Key.GrainType.ToString())));
}
