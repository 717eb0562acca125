using Orleans;
using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace MultiCluster.Silo.Engines;

/// <summary>Places a grain where least is carried, by what was measured of every cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.load-placement")]
internal sealed class LoadPlacement : PlacementStrategy;

/// <summary>Chooses the silo for a cluster that has none.</summary>
/// <remarks>
/// After the loss of a silo many clusters are placed at once, by several silos. Each choice counts what the directory already
/// knows and what this silo has just decided, so that a burst spreads. Without the database the choice is by hash. Thread-safe.
/// </remarks>
internal sealed class LoadPlacementDirector(SiloBook book, TimeProvider time) : IPlacementDirector
{
    private static readonly TimeSpan AssumedFor = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string Silo, long At)> _assumed = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public async Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        SiloAddress[] silos = context.GetCompatibleSilos(target);

        // Somebody who moves a grain knows where to.
        if (IPlacementDirector.GetPlacementHint(target.RequestContextData, silos) is { } hinted)
        {
            return hinted;
        }

        SiloPage known = await book.ReadAsync();
        SiloAddress[] staying = [.. silos.Where(silo => !known.Leaving.Contains(silo.ToParsableString()))];
        return Choose(target.GrainIdentity, staying.Length > 0 ? staying : silos, known);
    }

    /// <summary>Chooses, and remembers what it has chosen.</summary>
    /// <param name="grain">What to place.</param>
    /// <param name="silos">The silos that it may be placed on.</param>
    /// <param name="known">What the database knows.</param>
    internal SiloAddress Choose(GrainId grain, SiloAddress[] silos, SiloPage known)
    {
        HashSet<string> alive = [.. silos.Select(s => s.ToParsableString())];
        lock (_gate)
        {
            Dictionary<string, double> carried = known.Carried();
            foreach (string other in _assumed.Where(a => time.GetElapsedTime(a.Value.At) > AssumedFor).Select(a => a.Key).ToArray())
            {
                _assumed.Remove(other);
            }

            // Until it is tidied or replaced, an entry of the directory may lead to the silo that was lost; what was decided since is nearer to the truth.
            foreach ((string other, (string silo, _)) in _assumed.Where(a => !(known.Silos.TryGetValue(a.Key, out string? place) && alive.Contains(place))))
            {
                // The others place their share of what was lost at this moment, and choose as this silo does.
                carried[silo] = carried.GetValueOrDefault(silo) + (silos.Length * known.LoadOf(other));
            }

            // Of silos that carry alike the grain's hash decides, or all silos would send what they place to the same one.
            int first = (int)(grain.GetUniformHashCode() % (uint)silos.Length);
            SiloAddress chosen = ClusterLoad.Lightest([.. silos[first..], .. silos[..first]], s => carried.GetValueOrDefault(s.ToParsableString()));
            _assumed[grain.ToString()] = (chosen.ToParsableString(), time.GetTimestamp());
            return chosen;
        }
    }
}
