namespace MultiCluster.Silo.Engines;

/// <summary>Decides which cluster should move to even out what the silos carry. Pure.</summary>
internal static class BalancePlan
{
    // Up to this difference nobody gains from a move: the member is listed anew, and the figures are not that exact.
    private const double WorthIt = 16 * 1024 * 1024;
    private const double WorthItShare = 0.2;

    // A cluster that weighs as much as the difference would only change places; the smallest weighs this.
    private const double LeastGain = 512 * 1024;

    /// <summary>A move of one cluster.</summary>
    public readonly record struct Move(string Cluster, string From, string To);

    /// <summary>The best next move; null where things are even enough.</summary>
    /// <param name="silos">The silos that stay.</param>
    /// <param name="clusters">Where each cluster lives, and its load. Those on other silos are not looked at.</param>
    /// <remarks>
    /// From the silo that carries most to the one that carries least, the cluster that brings both nearest to each other, as long as they differ
    /// by more than a fifth of the mean. Each move makes the difference smaller, so that a series of moves comes to an end.
    /// </remarks>
    public static Move? Next(IReadOnlyCollection<string> silos, IReadOnlyCollection<(string Cluster, string Silo, double Load)> clusters)
    {
        if (silos.Count < 2)
        {
            return null;
        }

        Dictionary<string, double> carried = silos.ToDictionary(s => s, _ => 0.0, StringComparer.Ordinal);
        foreach ((_, string silo, double load) in clusters)
        {
            if (carried.TryGetValue(silo, out double before))
            {
                carried[silo] = before + load;
            }
        }

        string heaviest = carried.MaxBy(c => (c.Value, c.Key)).Key;
        string lightest = carried.MinBy(c => (c.Value, c.Key)).Key;
        double gap = carried[heaviest] - carried[lightest];
        double least = Math.Max(WorthIt, WorthItShare * carried.Values.Average());
        if (gap < least)
        {
            return null;
        }

        // Moving a load l leaves |gap - 2l| between the two.
        (string Cluster, double Left) best = clusters
            .Where(c => c.Silo == heaviest)
            .Select(c => (c.Cluster, Left: Math.Abs(gap - (2 * c.Load))))
            .OrderBy(c => c.Left).ThenBy(c => c.Cluster, StringComparer.Ordinal)
            .FirstOrDefault((Cluster: "", Left: double.MaxValue));
        return gap - best.Left >= LeastGain ? new Move(best.Cluster, heaviest, lightest) : null;
    }
}
