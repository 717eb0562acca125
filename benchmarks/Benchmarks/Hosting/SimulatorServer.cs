using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;

namespace MultiCluster.Benchmarks.Hosting;

/// <summary>What a client must know of a simulated cluster in another process.</summary>
internal sealed record ClusterAddress(string Name, Uri Url, string Token, string AuthorityPem);

/// <summary>The other side of <see cref="SimulatorProcess"/>: simulated clusters in a process of their own, told over standard input what to do.</summary>
/// <remarks>
/// Arguments: clusters, pods of each. The first line of output tells the addresses, every command is answered with one line. Ends when its input ends,
/// so that nothing stays behind when whoever started it dies.
/// </remarks>
internal static class SimulatorServer
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(1);

    public static async Task RunAsync(string[] args)
    {
        int clusters = int.Parse(args[0], CultureInfo.InvariantCulture);
        int pods = int.Parse(args[1], CultureInfo.InvariantCulture);
        SimulatedCluster[] all = await Task.WhenAll(Enumerable.Range(0, clusters).Select(i => SimulatedCluster.StartAsync(
            new SimulatedClusterOptions { Name = $"cluster-{i:00}", Seed = i + 1, Housekeeping = false })));
        try
        {
            foreach (SimulatedCluster cluster in all.Where(_ => pods > 0))
            {
                cluster.Objects.SeedPods(new PodSeed(pods));
            }

            Console.WriteLine(JsonSerializer.Serialize(all.Select(c => new ClusterAddress(c.Options.Name, c.Url, c.AdminToken, c.CertificateAuthorityPem))));
            var emitted = new List<Emission>();
            while (await Console.In.ReadLineAsync() is { } line)
            {
                Console.WriteLine(await DoAsync(all, line.Split(' '), emitted));
            }
        }
        finally
        {
            foreach (SimulatedCluster cluster in all)
            {
                await cluster.DisposeAsync();
            }
        }
    }

    private static async Task<string> DoAsync(SimulatedCluster[] all, string[] words, List<Emission> emitted)
    {
        SimulatedCluster cluster = all[int.Parse(words[1], CultureInfo.InvariantCulture)];
        switch (words[0])
        {
            case "touch":
                await TouchAsync(cluster, int.Parse(words[2], CultureInfo.InvariantCulture), int.Parse(words[3], CultureInfo.InvariantCulture), emitted);
                return emitted.Count.ToString(CultureInfo.InvariantCulture);
            case "emitted":
                string log = Convert.ToBase64String(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(emitted)));
                emitted.Clear();
                return log;
            case "die":
                await cluster.StopListeningAsync();
                break;
            case "live":
                cluster.Faults.Clear();
                await cluster.StartListeningAsync();
                break;
            case "slow":
                cluster.Faults.Add(new Fault(FaultKind.Latency) { Delay = TimeSpan.FromSeconds(300) });
                cluster.Faults.CutWatches();
                break;
            case "garbage":
                cluster.Faults.Add(new Fault(FaultKind.Garbage) { Bytes = 100_000 });
                cluster.Faults.CutWatches();
                break;
            default:
                throw new InvalidOperationException($"No command '{words[0]}'.");
        }

        return "done";
    }

    /// <summary>Changes pods at an even rate and notes when each change was made.</summary>
    private static async Task TouchAsync(SimulatedCluster cluster, int perSecond, int seconds, List<Emission> emitted)
    {
        long start = Stopwatch.GetTimestamp();
        int total = perSecond * seconds;
        int done = 0;
        while (done < total)
        {
            int due = Math.Min(total, (int)(Stopwatch.GetElapsedTime(start).TotalSeconds * perSecond));
            if (due > done)
            {
                // The time from before the change, so that the cost of making it counts as delay.
                long before = cluster.Revision;
                long now = Stopwatch.GetTimestamp();
                cluster.Objects.TouchPods(due - done);
                for (long revision = before + 1; revision <= cluster.Revision; revision++)
                {
                    emitted.Add(new Emission(revision, now));
                }

                done = due;
            }

            await Task.Delay(Beat, TimeProvider.System, CancellationToken.None);
        }
    }
}

/// <summary>When a change was made, in ticks of the machine's monotonic clock, which all processes share.</summary>
internal readonly record struct Emission(long Revision, long Timestamp);
