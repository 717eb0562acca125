using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Benchmarks.Sync;

/// <summary>The first list of all pods of a cluster into the mirror, beside a program that reads the same bytes and throws them away.</summary>
internal sealed class FirstSync(ClusterConnection connection, HttpMessageInvoker bare, string token, int pods, bool compressed)
{
    private static readonly ResourceType Pods = new("", "v1", "pods", "Pod", Namespaced: true) { Verbs = ["list", "watch"] };
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    /// <param name="args">[--pods N] [--pairs N] [--server URL --token TOKEN --ca FILE [--server-pid PID]]</param>
    public static async Task RunAsync(string[] args)
    {
        int pairs = int.Parse(Option(args, "--pairs") ?? "3", CultureInfo.InvariantCulture);
        if (Option(args, "--server") is { } server)
        {
            string authority = await File.ReadAllTextAsync(Option(args, "--ca")!);
            string token = Option(args, "--token")!;
            var given = new ClusterAddress("given", new Uri(server), token, authority);
            using Process? process = Option(args, "--server-pid") is { } pid ? Process.GetProcessById(int.Parse(pid, CultureInfo.InvariantCulture)) : null;
            await RunAsync(given, () => CpuOf(process), "a kube-apiserver", pods: -1, pairs);
            return;
        }

        int count = int.Parse(Option(args, "--pods") ?? "100000", CultureInfo.InvariantCulture);
        await using SimulatorProcess simulator = await SimulatorProcess.StartAsync(1, count);
        await RunAsync(simulator.Clusters[0], () => simulator.CpuTime, "a simulator in another process on this machine", count, pairs);
    }

    private static TimeSpan CpuOf(Process? process)
    {
        process?.Refresh();
        return process?.TotalProcessorTime ?? default;
    }

    private static async Task RunAsync(ClusterAddress cluster, Func<TimeSpan> serverCpuTime, string source, int pods, int pairs)
    {
        using SocketsHttpHandler plain = ServiceHost.Trusting(cluster.AuthorityPem);
        using SocketsHttpHandler gzip = ServiceHost.Trusting(cluster.AuthorityPem);
        gzip.AutomaticDecompression = DecompressionMethods.GZip;
        using var bare = new HttpMessageInvoker(plain);
        using var compressed = new HttpMessageInvoker(gzip);
        ClusterConnection connection = SimulatorProcess.ConnectionOf(cluster);
        var direct = new FirstSync(connection, bare, cluster.Token, pods, compressed: false);
        var squeezed = new FirstSync(connection, compressed, cluster.Token, pods, compressed: true);
        List<(string Name, WatchListMode Mode, FirstSync Sync)> ways = [];
        if (await direct.StreamsListsAsync())
        {
            ways.Add(("streamed (WatchList)", WatchListMode.Auto, direct));
        }

        ways.Add(("list (resourceVersion=0)", WatchListMode.Never, direct));
        if (pods < 0)
        {
            ways.Add(("list, gzip", WatchListMode.Never, squeezed));
        }

        var report = new Report("First sync", "what", "seconds (median)", "fastest", "CPU s", "MB/s", "server's CPU s", "ratio of medians (of each pair)", "ratio of CPU");
        string load = Load.Average;
        int found = 0;
        long bytes = 0;
        foreach ((string name, WatchListMode mode, FirstSync sync) in ways)
        {
            // One of each first: code is compiled, connections and the server's buffers are warm.
            await sync.ReadAsync(mode);
            found = await sync.MirrorAsync(mode);
            Samples read = new(), mirror = new(), ratios = new(), readCpu = new(), mirrorCpu = new(), readServer = new(), mirrorServer = new();
            for (int i = 0; i < pairs; i++)
            {
                long got = 0;
                double a = await Measure(async () => got = await sync.ReadAsync(mode), read, readCpu, readServer);
                double b = await Measure(async () => found = await sync.MirrorAsync(mode), mirror, mirrorCpu, mirrorServer);
                ratios.Add(b / a);
                bytes = got;
            }

            report.Row($"{name}: read and discard", Seconds(read.Median), Seconds(read.At(0)), Seconds(readCpu.Median), $"{bytes / 1e3 / read.Median:f0}", Seconds(readServer.Median), "1", "1");
            report.Row(
                $"{name}: into the mirror", Seconds(mirror.Median), Seconds(mirror.At(0)), Seconds(mirrorCpu.Median), $"{bytes / 1e3 / mirror.Median:f0}", Seconds(mirrorServer.Median),
                $"{mirror.Median / read.Median:f2} ({ratios.At(0):f2} to {ratios.Max:f2})", $"{mirrorCpu.Median / readCpu.Median:f2}");
        }

        report.Print($"{found:N0} pods of {bytes / Math.Max(1, found):N0} bytes from {source}, over TLS and HTTP/2; {pairs} pairs, alternating. Load average before {load}, after {Load.Average}.");

        async Task<double> Measure(Func<Task> act, Samples wall, Samples cpu, Samples serverCpu)
        {
            GC.Collect();
            TimeSpan cpuBefore = Environment.CpuUsage.TotalTime;
            TimeSpan serverBefore = serverCpuTime();
            long start = Stopwatch.GetTimestamp();
            await act();
            double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            wall.Add(milliseconds);
            cpu.Add(Environment.CpuUsage.TotalTime - cpuBefore);
            serverCpu.Add(serverCpuTime() - serverBefore);
            return milliseconds;
        }

        static string Seconds(double milliseconds) => Load.Text(milliseconds / 1000);
    }

    private static string? Option(string[] args, string name) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null;

    /// <summary>Whether the server ends a streamed list with a mark: by default since 1.32, and in all that is older we would wait for ever.</summary>
    private async Task<bool> StreamsListsAsync()
    {
        await using var client = new KubeClient(connection);
        using JsonDocument version = JsonDocument.Parse((await client.GetAsync("/version")).Body);
        string minor = version.RootElement.GetProperty("minor").GetString()!.TrimEnd('+');
        return int.TryParse(minor, CultureInfo.InvariantCulture, out int number) && number >= 32;   // empty where somebody built the server by hand
    }

    /// <summary>Reads the bytes that the reflector would get, and nothing else.</summary>
    private async Task<long> ReadAsync(WatchListMode mode)
    {
        string query = mode == WatchListMode.Auto
            ? "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=&timeoutSeconds=400"
            : "limit=500&resourceVersion=0";
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(connection.Server, $"/api/v1/pods?{query}"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        request.Headers.Accept.ParseAdd("application/json");
        using HttpResponseMessage response = await bare.SendAsync(request, CancellationToken.None);
        response.EnsureSuccessStatusCode();
        await using Stream body = await response.Content.ReadAsStreamAsync();
        byte[] buffer = new byte[256 * 1024];
        long total = 0;
        int kept = 0;
        while (true)
        {
            int count = await body.ReadAsync(buffer.AsMemory(kept));
            total += count;
            if (count == 0)
            {
                return mode == WatchListMode.Never ? total : throw new InvalidOperationException("The stream ended before its end mark.");
            }

            if (mode == WatchListMode.Auto)
            {
                ReadOnlySpan<byte> mark = "initial-events-end"u8;
                if (buffer.AsSpan(0, kept + count).IndexOf(mark) >= 0)
                {
                    return total;
                }

                // The mark may be cut in two.
                int tail = Math.Min(mark.Length - 1, kept + count);
                buffer.AsSpan(kept + count - tail, tail).CopyTo(buffer);
                kept = tail;
            }
        }
    }

    /// <summary>One first sync into a table of its own; ends when the list is whole.</summary>
    private async Task<int> MirrorAsync(WatchListMode mode)
    {
        KindTable table = new ClusterMirror("bench", new FleetClock(TimeProvider.System), TimeProvider.System, new MirrorBounds()).AddKind(Pods);
        var sink = new SyncedSink(table);
        await using var client = new KubeClient(connection, new KubeClientOptions { CompressStreams = compressed });
        var reflector = new Reflector("bench", client, Pods, sink, new ReflectorOptions { WatchList = mode });
        using var stop = new CancellationTokenSource();
        Task running = reflector.RunAsync(stop.Token);
        await sink.Synced.WaitAsync(Deadline);
        await stop.CancelAsync();
        await running;
        await VerifyAsync(table, client);
        return table.ObjectCount;
    }

    private bool _verified;

    private async Task VerifyAsync(KindTable table, KubeClient client)
    {
        if (pods >= 0 && table.ObjectCount != pods)
        {
            throw new InvalidOperationException($"{table.ObjectCount} pods of {pods} arrived.");
        }

        if (_verified || table.ObjectCount == 0)
        {
            return;
        }

        // Once, and outside of what is measured later: what the mirror holds is what the server answers.
        _verified = true;
        MirrorRow row = table.Snapshot.AsEnumerable().ElementAt(table.ObjectCount / 2);
        byte[] json = new byte[row.JsonLength];
        row.CopyJson(json);
        using JsonDocument mirrored = JsonDocument.Parse(json);
        JsonElement metadata = mirrored.RootElement.GetProperty("metadata");
        KubeResponse live = await client.GetAsync($"/api/v1/namespaces/{metadata.GetProperty("namespace").GetString()}/pods/{metadata.GetProperty("name").GetString()}");
        using JsonDocument served = JsonDocument.Parse(live.Body);
        if (!JsonElement.DeepEquals(mirrored.RootElement.GetProperty("status"), served.RootElement.GetProperty("status"))
            || !JsonElement.DeepEquals(mirrored.RootElement.GetProperty("spec"), served.RootElement.GetProperty("spec")))
        {
            throw new InvalidOperationException("The mirrored pod is not the served one.");
        }
    }

    /// <summary>Passes everything on and tells when the first list is whole.</summary>
    private sealed class SyncedSink(IReflectorSink table) : IReflectorSink
    {
        private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Synced => _synced.Task;

        public void BeginReplace() => table.BeginReplace();

        public void Replace(ReadOnlySpan<byte> item) => table.Replace(item);

        public void EndReplace(string resourceVersion)
        {
            table.EndReplace(resourceVersion);
            _synced.TrySetResult();
        }

        public void AbortReplace() => table.AbortReplace();

        public void Apply(WatchChange change, ReadOnlySpan<byte> item) => table.Apply(change, item);

        public void Bookmark(string resourceVersion) => table.Bookmark(resourceVersion);
    }
}
