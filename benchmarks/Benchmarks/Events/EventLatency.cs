using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.V1;

namespace MultiCluster.Benchmarks.Events;

/// <summary>How long a change in a member takes to a watcher of the gateway, beside a program that watches the member itself.</summary>
/// <remarks>
/// The simulator, in a process of its own, notes when it makes each change; the watcher notes when it has read the message with that
/// resourceVersion. Both read the machine's monotonic clock.
/// </remarks>
internal sealed class EventLatency : IAsyncDisposable
{
    private const int Pods = 5_000;
    private const int WarmSeconds = 5;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly SimulatorProcess _simulator;
    private readonly ServiceHost _service;

    private EventLatency(SimulatorProcess simulator, ServiceHost service) => (_simulator, _service) = (simulator, service);

    /// <param name="args">[seconds of each measurement]</param>
    public static async Task RunAsync(string[] args)
    {
        int seconds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 20;
        string load = Load.Average;
        await using var run = new EventLatency(await SimulatorProcess.StartAsync(1, Pods), await ServiceHost.StartAsync());
        await run._service.RegisterAsync(run._simulator.Clusters, Pods);
        var report = new Report("Member event to watcher", "what", "events", "events/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "CPU share of our process", "p99 against the member itself");
        foreach (int rate in new[] { 500, 5_000 })
        {
            await run.MeasureAsync(rate, WarmSeconds, atGateway: true);
            (Samples direct, double directCpu, double directRate) = await run.MeasureAsync(rate, Math.Max(5, seconds / 2), atGateway: false);
            (Samples gateway, double cpu, double gatewayRate) = await run.MeasureAsync(rate, seconds, atGateway: true);
            Add($"{rate:N0}/s, watcher of the member", direct, directCpu, directRate, "1");
            Add($"{rate:N0}/s, gRPC watcher at the gateway", gateway, cpu, gatewayRate, $"{gateway.P99 / direct.P99:f1}");
        }

        report.Print($"One cluster with {Pods:N0} pods of 8.3 KB (4.2 KB without managedFields) in another process, each change one MODIFIED event; the service and the watcher in this one, "
            + $"all over TLS. While the member itself is watched the service mirrors as well. Every change arrived once. Load average before {load}, after {Load.Average}.");

        void Add(string name, Samples times, double cpuShare, double perSecond, string ratio) => report.Row(
            name, times.Count, $"{perSecond:f0}", Load.Text(times.Median), Load.Text(times.At(0.9)), Load.Text(times.P99), Load.Text(times.Max), $"{cpuShare:f2}", ratio);
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        await _simulator.DisposeAsync();
    }

    private async Task<(Samples Times, double CpuShare, double Rate)> MeasureAsync(int perSecond, int seconds, bool atGateway)
    {
        int expected = perSecond * seconds;
        var read = new List<(long Revision, long At)>(expected);
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(seconds) + Patience, TimeProvider.System);
        var watching = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task watcher = atGateway ? WatchGatewayAsync(read, expected, watching, stop.Token) : WatchMemberAsync(read, expected, watching, stop.Token);
        await Task.WhenAny(watching.Task, watcher);
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        await _simulator.TouchAsync(0, perSecond, seconds);
        TimeSpan emitting = Stopwatch.GetElapsedTime(start);
        await watcher;
        double share = (Environment.CpuUsage.TotalTime - cpu) / Stopwatch.GetElapsedTime(start);
        Dictionary<long, long> emitted = await _simulator.EmittedAsync();
        var times = new Samples();
        foreach ((long revision, long at) in read)
        {
            if (!emitted.Remove(revision, out long from))
            {
                throw new InvalidOperationException($"Revision {revision} came twice, or was never made.");
            }

            times.Add(Stopwatch.GetElapsedTime(from, at));
        }

        return emitted.Count == 0
            ? (times, share, times.Count / emitting.TotalSeconds)
            : throw new InvalidOperationException($"{emitted.Count} changes never arrived.");
    }

    private async Task WatchGatewayAsync(List<(long Revision, long At)> read, int expected, TaskCompletionSource watching, CancellationToken stop)
    {
        using AsyncServerStreamingCall<WatchResponse> call = _service.Resources.Watch(
            new WatchRequest { Query = new ObjectQuery { Kind = "pods" } }, _service.Admin, cancellationToken: stop);
        while (read.Count < expected && await call.ResponseStream.MoveNext(stop))
        {
            WatchResponse message = call.ResponseStream.Current;
            if (message.Type == WatchResponse.Types.Type.Modified)
            {
                read.Add((RevisionIn(message.Object.Json.Span), Stopwatch.GetTimestamp()));
            }
            else if (message.Type == WatchResponse.Types.Type.Synced)
            {
                watching.TrySetResult();
            }
        }
    }

    /// <summary>The least that any watcher of the member has to do: read lines and find their revision.</summary>
    private async Task WatchMemberAsync(List<(long Revision, long At)> read, int expected, TaskCompletionSource watching, CancellationToken stop)
    {
        ClusterAddress member = _simulator.Clusters[0];
        using var http = new HttpMessageInvoker(ServiceHost.Trusting(member.AuthorityPem));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(member.Url, "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=300"))
        {
            Version = HttpVersion.Version20,
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", member.Token);
        using HttpResponseMessage response = await http.SendAsync(request, stop);
        response.EnsureSuccessStatusCode();
        await using Stream body = await response.Content.ReadAsStreamAsync(stop);
        byte[] buffer = new byte[256 * 1024];
        int kept = 0;
        while (read.Count < expected)
        {
            int count = await body.ReadAsync(buffer.AsMemory(kept), stop);
            if (count == 0)
            {
                throw new InvalidOperationException("The member ended the watch.");
            }

            int end = kept + count;
            int at = 0;
            while (buffer.AsSpan(at, end - at).IndexOf((byte)'\n') is >= 0 and var length)
            {
                Span<byte> line = buffer.AsSpan(at, length);
                if (line.StartsWith("{\"type\":\"MODIFIED\""u8))
                {
                    read.Add((RevisionIn(line), Stopwatch.GetTimestamp()));
                }
                else if (line.StartsWith("{\"type\":\"BOOKMARK\""u8))
                {
                    watching.TrySetResult();
                }

                at += length + 1;
            }

            buffer.AsSpan(at, end - at).CopyTo(buffer);
            kept = end - at;
        }
    }

    /// <summary>The resourceVersion in the JSON of an object.</summary>
    public static long RevisionIn(ReadOnlySpan<byte> json)
    {
        ReadOnlySpan<byte> name = "\"resourceVersion\":\""u8;
        int at = json.IndexOf(name);
        return at >= 0 && Utf8Parser.TryParse(json[(at + name.Length)..], out long revision, out _)
            ? revision
            : throw new InvalidOperationException("An event without a resourceVersion came.");
    }
}
