using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Json;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Benchmarks.Mirror;

/// <summary>The programs that measure the mirror: memory, ingest, reading. Each prints its result as Markdown.</summary>
internal static class MirrorPrograms
{
    /// <summary>Runs the program named by the first argument; false when it is none of these.</summary>
    public static bool TryRun(string[] args)
    {
        int count = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 100_000;
        switch (args.FirstOrDefault())
        {
            case "mirror-layouts":
                MirrorLayouts.Run(count);
                return true;
            case "mirror-memory":
                Memory(count);
                return true;
            case "mirror-ingest":
                Ingest(count);
                return true;
            case "mirror-read":
                Read(count);
                return true;
            default:
                return false;
        }
    }

    private static void Memory(int count)
    {
        var pods = new SamplePods();
        KindTable warm = NewTable();
        Fill(warm, pods, 1000);   // code, tables and buffers of the process itself do not count as pods
        KindTable table = NewTable();
        GC.Collect();
        long heapBefore = GC.GetTotalMemory(forceFullCollection: true);
        long before = Report.ResidentBytes();
        Fill(table, pods, count);
        long asIs = Report.ResidentBytes();
        TimeSpan start = Environment.CpuUsage.TotalTime;
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        TimeSpan pause = Environment.CpuUsage.TotalTime - start;
        long after = Report.ResidentBytes();
        long heap = GC.GetTotalMemory(forceFullCollection: true) - heapBefore;
        new Report("Memory of the mirror", "what", "MiB", "bytes per pod")
            .Row("resident right after the list", (asIs - before) >> 20, (asIs - before) / count)
            .Row("resident after one full collection", (after - before) >> 20, (after - before) / count)
            .Row("managed heap that lives", heap >> 20, heap / count)
            .Row("the table's own estimate", table.RetainedBytes >> 20, table.RetainedBytes / count)
            .Row("of it packed JSON", table.Snapshot.AsEnumerable().Sum(static r => (long)r.PackedLength) >> 20,
                table.Snapshot.AsEnumerable().Sum(static r => (long)r.PackedLength) / count)
            .Print($"{count:N0} pods of {pods[0].Length:N0} bytes ({table.JsonBytes / count:N0} without managedFields), {SamplePods.PerOwner} per ReplicaSet; "
                + $"the empty process has {before >> 20} MiB. Workstation GC. The full collection took {pause.TotalMilliseconds:f0} ms of processor time.");
        GC.KeepAlive(warm);
        GC.KeepAlive(table);
    }

    private static void Ingest(int count)
    {
        byte[][] items = Items(count);
        long bytes = items.Sum(static i => (long)i.Length);
        var report = new Report("Ingest of the mirror", "what", "MB/s", "objects/s", "microseconds per object");
        var scanner = new ObjectScanner(SamplePods.Type);
        byte[] kept = new byte[64 * 1024];
        int sum = 0;
        Time("reading the bytes alone (copy)", item => item.CopyTo(kept, 0));
        Time("Utf8JsonReader over the bytes", item =>
        {
            var reader = new Utf8JsonReader(item);
            while (reader.Read())
            {
                sum++;
            }
        });
        Time("ObjectScanner", item => sum += scanner.Scan(item).LabelCount);
        Time("ObjectScanner and writing what is kept", item =>
        {
            ScannedObject scanned = scanner.Scan(item);
            scanned.CopyJson(kept);
        });
        KindTable table = NewTable();
        Time("list into an empty table", item => table.Replace(item), () => { table = NewTable(); table.BeginReplace(); }, () => table.EndReplace("1"));
        Time("the same list again (nothing changed)", item => table.Replace(item), table.BeginReplace, () => table.EndReplace("1"));
        KindTable watched = NewTable();
        Time("watch events into an empty table", item => watched.Apply(WatchChange.Added, item), () => watched = NewTable());
        report.Print($"{count:N0} pods of {bytes / count:N0} bytes; CPU time of the process (its collections included), best of five.");
        GC.KeepAlive(sum);

        void Time(string name, Action<byte[]> each, Action? begin = null, Action? end = null)
        {
            double best = double.MaxValue;
            for (int round = 0; round < 5; round++)
            {
                GC.Collect();
                TimeSpan start = Environment.CpuUsage.TotalTime;
                begin?.Invoke();
                foreach (byte[] item in items)
                {
                    each(item);
                }

                end?.Invoke();
                best = Math.Min(best, (Environment.CpuUsage.TotalTime - start).TotalSeconds);
            }

            report.Row(name, $"{bytes / 1e6 / best:f0}", $"{count / best:f0}", $"{best / count * 1e6:f2}");
        }
    }

    private static void Read(int count)
    {
        KindTable table = NewTable();
        Fill(table, new SamplePods(), count);
        MirrorSnapshot snapshot = table.Snapshot;
        var random = new Random(1);
        byte[] buffer = new byte[8 << 20];
        int found = 0;
        var report = new Report("Reading the mirror", "what", "p50 µs", "p99 µs");
        string[] names = [.. Enumerable.Range(0, Math.Min(count, 10_000)).Select(i => SamplePods.NameOf(i))];
        Time("get with JSON", 20_000, () =>
        {
            int number = random.Next(names.Length);
            table.Snapshot.Get(SamplePods.NamespaceOf(number), names[number])!.CopyJson(buffer);
        });
        Time("page of 500 behind a random place, with JSON", 200, () =>
        {
            int number = random.Next(names.Length);
            RowCursor cursor = table.Snapshot.After(SamplePods.NamespaceOf(number), names[number]);
            for (int i = 0, at = 0; i < 500 && cursor.MoveNext(); i++, at += cursor.Current.JsonLength)
            {
                cursor.Current.CopyJson(buffer.AsSpan(at));
            }
        });
        Time("pass over all columns", 20, () => found += snapshot.AsEnumerable().Count(static r => r.Status.Readiness == ReadinessState.NotReady));
        Time("10,000 objects by readiness, with JSON", 20, () => CopyAll(snapshot.AsEnumerable().Where(static r => r.Status.Readiness == ReadinessState.Ready).Take(10_000)));
        Time("pods of one node, columns", 200, () => Count(snapshot.All(IndexTerm.Node($"node-{random.Next(200):d3}"))));
        Time("pods of one app by label, columns", 200, () => Count(snapshot.All(IndexTerm.Label("app.kubernetes.io/name", $"app-{random.Next(200):d3}"))));
        MirrorRow any = snapshot.AsEnumerable().ElementAt(count / 2);
        Time("pods of one owner, columns", 200, () => Count(snapshot.All(IndexTerm.Owner(any.Family.Owners[0].Uid))));
        Time("by uid", 200, () => snapshot.FindByUid(any.Uid));
        report.Print($"{count:N0} pods in one table; one thread.");
        GC.KeepAlive(found);

        void CopyAll(IEnumerable<MirrorRow> rows)
        {
            foreach (MirrorRow row in rows)
            {
                row.CopyJson(buffer);
            }
        }

        static int Count(RowCursor cursor)
        {
            int rows = 0;
            while (cursor.MoveNext())
            {
                rows++;
            }

            return rows;
        }

        void Time(string name, int rounds, Action act)
        {
            for (int i = 0; i < Math.Max(rounds / 4, 5); i++)
            {
                act();
            }

            double[] times = new double[rounds];
            for (int i = 0; i < rounds; i++)
            {
                long start = Stopwatch.GetTimestamp();
                act();
                times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            }

            Array.Sort(times);
            report.Row(name, $"{times[rounds / 2]:f1}", $"{times[rounds * 99 / 100]:f1}");
        }
    }

    private static KindTable NewTable() =>
        new ClusterMirror("bench", new FleetClock(TimeProvider.System), TimeProvider.System, new MirrorBounds()).AddKind(SamplePods.Type);

    private static void Fill(KindTable table, SamplePods pods, int count)
    {
        table.BeginReplace();
        for (int i = 0; i < count; i++)
        {
            table.Replace(pods[i]);
        }

        table.EndReplace("1");
        if (table.ObjectCount != count)
        {
            throw new InvalidOperationException($"{table.ObjectCount} objects of {count} arrived.");
        }
    }

    private static byte[][] Items(int count)
    {
        var pods = new SamplePods();
        return [.. Enumerable.Range(0, count).Select(i => pods[i].ToArray())];
    }
}
