using System.Diagnostics;
using MultiCluster.Cluster.Tests;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Changes pods of all members at an even rate, and notes when each change was made.</summary>
internal static class FleetChanges
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(1);

    /// <returns>The timestamp before each change, so that the cost of making it counts as delay.</returns>
    public static async Task<Dictionary<(string Cluster, long Revision), long>> MakeAsync(FleetUnderTest fleet, int perSecond, TimeSpan duration)
    {
        int total = (int)(perSecond * duration.TotalSeconds);
        var made = new Dictionary<(string Cluster, long Revision), long>(total);
        long start = Stopwatch.GetTimestamp();
        int turn = 0;
        while (made.Count < total)
        {
            int due = Math.Min(total, (int)(Stopwatch.GetElapsedTime(start).TotalSeconds * perSecond));
            if (due > made.Count)
            {
                SimulatedCluster member = fleet.Members[turn++ % fleet.Members.Count];
                long before = member.Revision;
                long now = Stopwatch.GetTimestamp();
                member.Objects.TouchPods(due - made.Count);
                for (long revision = before + 1; revision <= member.Revision; revision++)
                {
                    made.Add((member.Options.Name, revision), now);
                }
            }

            await Task.Delay(Beat, TimeProvider.System, CancellationToken.None);
        }

        return made;
    }
}
