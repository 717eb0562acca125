using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Benchmarks.Reads;

/// <summary>Measures reads over a fleet: pages, filters, gets, counts, a sick member, and the way of an event to a watcher.</summary>
internal static class FleetReadPrograms
{
    /// <summary>Runs the program named by the first argument; false when it is none of these.</summary>
    public static async Task<bool> TryRunAsync(string[] args)
    {
        if (args.FirstOrDefault() != "fleet-reads")
        {
            return false;
        }

        int clusters = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 1000;
        int pods = args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 1000;
        await RunAsync(clusters, pods);
        return true;
    }

    private static async Task RunAsync(int clusterCount, int podsEach)
    {
        long before = Report.ResidentBytes();
        var time = TimeProvider.System;
        var clock = new FleetClock(time);
        MirroredCluster[] clusters = [.. Enumerable.Range(0, clusterCount).Select(i => new MirroredCluster($"c{i:d4}", clock))];
        long start = Stopwatch.GetTimestamp();
        Parallel.For(0, clusterCount, i => clusters[i].Fill(i * podsEach, podsEach));
        TimeSpan filled = Stopwatch.GetElapsedTime(start);
        Dictionary<string, MirroredCluster> byName = clusters.ToDictionary(c => c.Cluster);
        using var view = new FleetView((Func<IFleetGrain>)null!, clock, time, NullLogger<FleetView>.Instance);
        view.Apply(new FleetChange
        {
            Version = 1,
            Whole = true,
            Through = clock.Now(),
            Clusters = [.. clusters.Select(c => new ClusterEntry
            {
                Name = c.Cluster, Uid = Guid.NewGuid(), JoinedAt = clock.Tick(), Summary = new ClusterSummary { Name = c.Cluster, Phase = ClusterPhase.Online },
            })],
        });
        var reader = new FleetReader(name => byName[name], view, clock, time);
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        var report = new Report("Reads over a fleet", "what", "p50 ms", "p99 ms", "objects", "runs");
        var random = new Random(5);
        var pods = new ObjectQuery { Kind = "pods" };

        await MeasureAsync(report, "page of 500, first", 300, () => Page(new FleetQuery { Objects = pods }));
        string? token = null;
        await MeasureAsync(report, "page of 500, each behind the one before", 300, async () =>
        {
            FleetPage page = await reader.ListAsync(new FleetQuery { Objects = pods, Continue = token }, default);
            token = page.Continue;
            return page.Items.Length;
        });
        await MeasureAsync(report, "page of 500 of one app by label (10 pods in every second cluster)", 50, () =>
            Page(new FleetQuery { Objects = pods with { LabelSelector = "app.kubernetes.io/name=app-007" } }));
        await MeasureAsync(report, "page of 500, rows only", 100, () => Page(new FleetQuery { Objects = pods, Projection = Projection.None }));
        await MeasureAsync(report, "10,000 objects by readiness", 20, () =>
            Page(new FleetQuery { Objects = pods with { Readiness = [ReadinessState.Ready] }, Limit = 10_000 }));
        await MeasureAsync(report, "10,000 objects by a field of the JSON", 20, () =>
            Page(new FleetQuery { Objects = pods with { FieldSelector = "spec.containers[*].resources.requests.cpu >= 100m" }, Limit = 10_000 }));
        await MeasureAsync(report, "one name out of all, as a pattern (every cluster is asked)", 10, () =>
            Page(new FleetQuery { Objects = pods with { Names = [$"{SamplePods.NameOf((clusterCount * podsEach) - 1)[..^2]}*"] } }));
        await MeasureAsync(report, "get by cluster, namespace, name", 20_000, () => Get(random.Next(clusterCount), random.Next(podsEach)));
        await MeasureAsync(report, "count of all by phase and cluster", 5, async () =>
            (int)(await reader.CountAsync(new FleetCountQuery { Objects = pods, By = [GroupBy.Phase, GroupBy.Cluster], Deadline = FleetQuery.MaxDeadline }, default)).Total);

        clusters[clusterCount / 2].Hangs = true;
        await MeasureAsync(report, "get from the others, while one cluster never answers", 20_000, () => Get(random.Next(clusterCount / 2), random.Next(podsEach)));
        await MeasureAsync(report, "page of 500, while another cluster never answers", 300, () => Page(new FleetQuery { Objects = pods }));
        clusters[clusterCount / 2].Hangs = false;

        await WatchAsync(report, reader, view, clock, clusters, podsEach);
        GC.Collect();
        report.Print(
            $"{clusterCount:N0} clusters with {podsEach:N0} pods each, 8.3 KB a pod with managedFields and 4.2 KB without; "
            + $"filled in {filled.TotalSeconds:N1} s, {(Report.ResidentBytes() - before) >> 20:N0} MiB resident. "
            + "Grain calls are plain method calls here: what an engine adds per call is measured elsewhere.");

        async Task<int> Page(FleetQuery query) => (await reader.ListAsync(query with { Deadline = FleetQuery.MaxDeadline }, default)).Items.Length;

        async Task<int> Get(int cluster, int pod)
        {
            int number = (cluster * podsEach) + pod;
            var query = new FleetGetQuery
            {
                Clusters = ClusterSelection.Of(clusters[cluster].Cluster),
                Kind = "pods",
                Namespace = SamplePods.NamespaceOf(number),
                Name = SamplePods.NameOf(number),
            };
            return (await reader.GetAsync(query, default)).Items.Length;
        }
    }

    private static async Task MeasureAsync(Report report, string what, int runs, Func<Task<int>> run)
    {
        int objects = 0;
        for (int i = 0; i < Math.Min(runs, 5); i++)
        {
            objects = await run();
        }

        double[] millis = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            long start = Stopwatch.GetTimestamp();
            objects = await run();
            millis[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        Array.Sort(millis);
        report.Row(what, millis[runs / 2].ToString("N3", CultureInfo.InvariantCulture), millis[(int)(runs * 0.99)].ToString("N3", CultureInfo.InvariantCulture), objects, runs);
    }

    private static async Task WatchAsync(Report report, FleetReader reader, FleetView view, FleetClock clock, MirroredCluster[] clusters, int podsEach)
    {
        const int Rate = 5000;
        const int Seconds = 6;
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        long since = clock.Now();
        view.Apply(new FleetChange { Version = 1, Whole = false, Through = since });
        var query = new FleetWatchQuery { Objects = new ObjectQuery { Kind = "pods" }, Since = since.ToString(CultureInfo.InvariantCulture) };
        List<double> millis = [];
        var sent = new Dictionary<(string, string), long>();
        Task writing = Task.Run(async () =>
        {
            var pods = new SamplePods();
            var random = new Random(3);
            await Task.Delay(TimeSpan.FromSeconds(2));
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < Rate * Seconds; i++)
            {
                int cluster = random.Next(clusters.Length);
                byte[] pod = [.. pods[(cluster * podsEach) + random.Next(podsEach)]];
                long version = 500_000_000L + i;
                int at = pod.AsSpan().IndexOf("\"resourceVersion\":\""u8) + "\"resourceVersion\":\"".Length;
                int end = at + pod.AsSpan(at).IndexOf((byte)'"');
                byte[] changed = [.. pod.AsSpan(0, at), .. System.Text.Encoding.ASCII.GetBytes(version.ToString(CultureInfo.InvariantCulture)), .. pod.AsSpan(end)];
                while (Stopwatch.GetElapsedTime(start).TotalSeconds * Rate < i)
                {
                    await Task.Delay(1);
                }

                clusters[cluster].Change(changed);
            }
        });
        int seen = 0;
        await foreach (FleetWatchBatch batch in reader.WatchAsync(query, stop.Token))
        {
            // A stamp is wall time to the millisecond, in whose resolution the way is measured.
            long now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
            foreach (FleetEvent change in batch.Events)
            {
                millis.Add(now - FleetClock.TimeOf(change.Stamp).ToUnixTimeMilliseconds());
            }

            seen += batch.Events.Length;
            if (batch.End != FleetWatchEnd.None || seen >= Rate * Seconds)
            {
                break;
            }
        }

        await writing;
        millis.Sort();
        report.Row($"change in a mirror → watcher of all clusters, {Rate:N0} changes/s", millis[millis.Count / 2], millis[(int)(millis.Count * 0.99)], seen, 1);
    }
}
