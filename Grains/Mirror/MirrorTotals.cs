using System.Collections.Immutable;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>Sums over the rows of one table, kept as rows come and go.</summary>
/// <param name="ByPhase">Objects per <c>status.phase</c>; objects without one are not in it.</param>
/// <param name="ByReadiness">Objects per <see cref="ReadinessState"/>, at the state's number.</param>
/// <param name="Requested">Pods: what scheduled pods that have not ended request.</param>
/// <param name="Allocatable">Nodes: what all of them can allocate.</param>
/// <param name="Schedulable">Nodes: how many are not cordoned.</param>
/// <param name="Occupying">Pods: how many count for <paramref name="Requested"/>.</param>
internal sealed record MirrorTotals(
    ImmutableSortedDictionary<string, int> ByPhase, ImmutableArray<int> ByReadiness, ResourceAmounts Requested, ResourceAmounts Allocatable,
    int Schedulable, int Occupying)
{
    public static MirrorTotals Empty { get; } = new(
        ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal), ImmutableArray.Create(new int[7]), default, default, 0, 0);

    /// <summary>How many objects are in a state.</summary>
    public int In(ReadinessState state) => ByReadiness[(int)state];
}

/// <summary>Counts rows in and out; what it holds becomes <see cref="MirrorTotals"/> when somebody looks.</summary>
internal sealed class TotalsCounter(KindProfile profile)
{
    // Kubernetes knows five phases of a pod and two of a namespace; a member that makes up thousands must not fill every summary.
    private const int MostPhases = 16;

    private readonly Dictionary<string, int> _byPhase = new(StringComparer.Ordinal);
    private readonly int[] _byReadiness = new int[7];
    private WideAmounts _requested;
    private WideAmounts _allocatable;
    private int _schedulable;
    private int _occupying;

    public void Count(MirrorRow row, int sign)
    {
        RowStatus status = row.Status;
        _byReadiness[(int)status.Readiness] += sign;
        if (status.Phase.Length > 0)
        {
            int count = _byPhase.GetValueOrDefault(status.Phase) + sign;
            if (count == 0)
            {
                _byPhase.Remove(status.Phase);
            }
            else
            {
                _byPhase[status.Phase] = count;
            }
        }

        ResourceAmounts resources = row.Family.Resources;
        if (profile == KindProfile.Pod && row.NodeName.Length > 0 && status.Phase is not ("Succeeded" or "Failed"))
        {
            _requested.Add(resources, sign);
            _occupying += sign;
        }
        else if (profile == KindProfile.Node)
        {
            _allocatable.Add(resources, sign);
            _schedulable += row.IsUnschedulable ? 0 : sign;
        }
    }

    public MirrorTotals ToTotals() => new(
        Phases(), [.. _byReadiness], _requested.ToAmounts(), _allocatable.ToAmounts(), _schedulable, _occupying);

    private ImmutableSortedDictionary<string, int> Phases()
    {
        if (_byPhase.Count <= MostPhases)
        {
            return _byPhase.ToImmutableSortedDictionary(StringComparer.Ordinal);
        }

        KeyValuePair<string, int>[] most = [.. _byPhase.OrderByDescending(phase => phase.Value).ThenBy(phase => phase.Key, StringComparer.Ordinal)];
        return most[..MostPhases].ToImmutableSortedDictionary(StringComparer.Ordinal).SetItem("Other", most[MostPhases..].Sum(phase => phase.Value));
    }

    /// <summary>Sums that cannot overflow, so that what an absurd object adds is exactly what it takes away when it goes.</summary>
    private struct WideAmounts
    {
        private Int128 _cpu;
        private Int128 _memory;
        private Int128 _gpus;
        private Int128 _pods;

        public void Add(in ResourceAmounts amounts, int sign)
        {
            _cpu += (Int128)amounts.CpuMilli * sign;
            _memory += (Int128)amounts.MemoryBytes * sign;
            _gpus += (Int128)amounts.Gpus * sign;
            _pods += (Int128)amounts.Pods * sign;
        }

        public readonly ResourceAmounts ToAmounts() => new(Bounded(_cpu), Bounded(_memory), Bounded(_gpus), Bounded(_pods));

        private static long Bounded(Int128 sum) => (long)Int128.Clamp(sum, long.MinValue, long.MaxValue);
    }
}
