namespace MultiCluster.Silo.Engines;

/// <summary>What a member cluster costs the silo that holds it, in bytes of memory; processor time is counted as memory.</summary>
internal static class ClusterLoad
{
    /// <summary>A cluster of which nothing is measured yet: connections, probes, a small mirror.</summary>
    public const double Unknown = 4 * 1024 * 1024;

    // Connections, loops and the history that every cluster has.
    private const double Fixed = 512 * 1024;

    // Key, columns and indexes beside the packed JSON (benchmarks/results/service-memory.md: some 750 bytes all in).
    private const double PerObject = 400;

    // A change takes 14 µs of a core (service-memory.md), so a silo of 2 cores and 2 GiB that may be half busy takes 70,000 a second,
    // while it holds some two million objects: one change a second weighs as much as 30 objects.
    private const double PerChangeASecond = 30 * 750;

    /// <summary>The load of a cluster.</summary>
    public static double Of(long objects, long bytes, double changesPerSecond) => Fixed + bytes + (PerObject * objects) + (PerChangeASecond * changesPerSecond);

    /// <summary>The silo that carries least, given what each carries; of equals the first in the order given.</summary>
    public static TSilo Lightest<TSilo>(IReadOnlyList<TSilo> silos, Func<TSilo, double> load)
    {
        TSilo lightest = silos[0];
        double least = load(lightest);
        for (int i = 1; i < silos.Count; i++)
        {
            double other = load(silos[i]);
            if (other < least)
            {
                (lightest, least) = (silos[i], other);
            }
        }

        return lightest;
    }
}
