using System.Diagnostics;
using System.Globalization;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Querying;
using MultiCluster.Reads;

namespace MultiCluster.Benchmarks.Reads;

/// <summary>Lists of one cluster of 10,000 pods that are filtered by fields of their JSON, and what of their cost is reading the JSON at all.</summary>
internal static class FieldFilters
{
    private const int Pods = 10_000;
    private const int Runs = 40;

    /// <summary>Runs the program named by the first argument; false when it is none of these.</summary>
    public static async Task<bool> TryRunAsync(string[] args)
    {
        if (args.FirstOrDefault() != "field-filters")
        {
            return false;
        }

        await RunAsync();
        return true;
    }

    private static async Task RunAsync()
    {
        var cluster = new MirroredCluster("c", new FleetClock(TimeProvider.System));
        cluster.Fill(0, Pods);
        MirrorRow[] rows = [.. cluster.Pods.Snapshot.AsEnumerable()];
        byte[] buffer = new byte[rows.Max(r => r.JsonLength)];
        var report = new Report("Lists filtered by a field", "what", "CPU ms (median)", "CPU ms (fastest)", "wall ms (median)", "allocated KiB", "objects found");

        await MeasureAsync("unpacking the JSON alone", () =>
        {
            foreach (MirrorRow row in rows)
            {
                row.CopyJson(buffer);
            }

            return Task.FromResult(rows.Length);
        });
        byte[][] texts = [.. rows.Select(r => r.ToJson())];
        string[] filters =
        [
            "spec.containers[*].resources.requests.cpu >= 100m", "spec.containers[*].resources.requests.cpu > 100", "status.podIP = 10.0.0.1", "spec.serviceAccountName = other",
        ];
        foreach (string filter in filters)
        {
            if (!FieldExpression.TryParse(filter, out FieldExpression? expression, out FieldSyntaxError? error))
            {
                throw new InvalidOperationException(error.Message);
            }

            await MeasureAsync($"evaluating alone: {filter}", () => Task.FromResult(texts.Count(t => expression.Matches(t, DateTimeOffset.UnixEpoch))));
        }

        foreach (string? filter in (string?[])[null, .. filters, "metadata.name = none", "status.phase != Running", "spec.nodeName in (node-001, node-002)"])
        {
            foreach (Projection projection in new[] { Projection.Object, Projection.None })
            {
                var request = new ClusterListRequest
                {
                    Query = new ObjectQuery { Kind = "pods", FieldSelector = filter ?? "" },
                    Limit = Pods,
                    Projection = projection,
                    MaxBytes = int.MaxValue,
                    Revision = 0,
                };
                await MeasureAsync($"list, {projection}: {filter ?? "no filter"}", async () => (await cluster.ListAsync(request, CancellationToken.None)).Rows.Length);
            }
        }

        report.Print($"{Pods:N0} pods of 4.3 KB in one cluster; processor time of the process, its collections included; {Runs} runs.");

        async Task MeasureAsync(string what, Func<Task<int>> run)
        {
            int found = 0;
            for (int i = 0; i < 30; i++)
            {
                found = await run();
            }

            double[] cpu = new double[Runs];
            double[] wall = new double[Runs];
            long allocated = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < Runs; i++)
            {
                TimeSpan before = Environment.CpuUsage.TotalTime;
                long start = Stopwatch.GetTimestamp();
                await run();
                wall[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                cpu[i] = (Environment.CpuUsage.TotalTime - before).TotalMilliseconds;
            }

            allocated = (GC.GetTotalAllocatedBytes(precise: true) - allocated) / Runs;
            Array.Sort(cpu);
            Array.Sort(wall);
            report.Row(what, Text(cpu[Runs / 2]), Text(cpu[0]), Text(wall[Runs / 2]), allocated >> 10, found);
        }

        static string Text(double value) => value.ToString("N2", CultureInfo.InvariantCulture);
    }
}
