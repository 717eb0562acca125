using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Reflection;
using System.Runtime.InteropServices;
using MultiCluster.Silo.Observability;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>How many calls of this process wait for a turn of their grain, as far as a caller can tell.</summary>
/// <remarks>
/// Orleans shows nobody its mailboxes. Of the calls to one grain that must have a turn to themselves at most one runs, so of those that
/// have no answer yet all but one wait, or are on their way. Each process counts its own calls: over all processes the sum is too small by
/// at most one for every further process that calls the same grain at that moment, and never too large by more than what is on its way.
/// Calls to methods that interleave never wait for others and are not counted.
/// </remarks>
internal sealed class MailboxFigures : IOutgoingGrainCallFilter
{
    private readonly ConcurrentDictionary<MethodInfo, bool> _waiting = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<GrainType, Dictionary<GrainId, int>> _unanswered = [];

    public MailboxFigures(IMeterFactory meters)
    {
        Meter meter = meters.Create(GrainMetrics.MeterName);
        meter.CreateObservableGauge("multicluster.grain.mailbox", () => Measure(static waiting => waiting.Sum()), "{call}", "Calls that wait for a turn of their grain.");
        meter.CreateObservableGauge(
            "multicluster.grain.mailbox.max", () => Measure(static waiting => waiting.DefaultIfEmpty().Max()), "{call}", "Calls that wait for the grain with the most of them.");
    }

    /// <inheritdoc/>
    public Task Invoke(IOutgoingGrainCallContext context) =>
        _waiting.GetOrAdd(context.InterfaceMethod, MayWait) ? FollowAsync(context) : context.Invoke();

    private async Task FollowAsync(IOutgoingGrainCallContext context)
    {
        GrainId target = context.TargetId;
        lock (_gate)
        {
            ref Dictionary<GrainId, int>? ofType = ref CollectionsMarshal.GetValueRefOrAddDefault(_unanswered, target.Type, out _);
            ofType ??= [];
            CollectionsMarshal.GetValueRefOrAddDefault(ofType, target, out _)++;
        }

        try
        {
            await context.Invoke();
        }
        finally
        {
            lock (_gate)
            {
                Dictionary<GrainId, int> ofType = _unanswered[target.Type];
                if (--CollectionsMarshal.GetValueRefOrNullRef(ofType, target) == 0)
                {
                    ofType.Remove(target);
                }
            }
        }
    }

    private Measurement<int>[] Measure(Func<IEnumerable<int>, int> figure)
    {
        lock (_gate)
        {
            return
            [
                .. _unanswered.Select(type => new Measurement<int>(
                    figure(type.Value.Values.Select(static unanswered => unanswered - 1)),
                    new KeyValuePair<string, object?>(GrainMetrics.GrainTypeLabel, type.Key.ToString()))),
            ];
        }
    }

    private static bool MayWait(MethodInfo method) =>
        typeof(IGrain).IsAssignableFrom(method.DeclaringType) && GrainMetrics.IsOurs(method.DeclaringType!.FullName ?? "")
        && !method.IsDefined(typeof(AlwaysInterleaveAttribute)) && !method.IsDefined(typeof(ReadOnlyAttribute)) && !method.IsDefined(typeof(OneWayAttribute));
}
