using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Grains.Cluster;
using MultiCluster.V1;

namespace MultiCluster.Benchmarks.Isolation;

/// <summary>Whether one sick member is felt by readers of the others: the same reads while all are well and while one is dead, slow or sends garbage.</summary>
internal sealed class SickMember : IAsyncDisposable
{
    private const int Members = 20;
    private const int Pods = 500;
    private const int Callers = 2;
    private const int Sick = 7;

    // Long enough for the sickness to show: three probes of 5 s time out, watches are opened again, lists fail.
    private static readonly TimeSpan Onset = TimeSpan.FromSeconds(20);

    // Callers that do not wait would measure their own queue.
    private static readonly TimeSpan Think = TimeSpan.FromMilliseconds(2);

    private readonly SimulatorProcess _simulator;
    private readonly ServiceHost _service;
    private readonly TimeSpan _each;

    private SickMember(SimulatorProcess simulator, ServiceHost service, TimeSpan each) => (_simulator, _service, _each) = (simulator, service, each);

    /// <param name="args">[seconds of each measurement]</param>
    public static async Task RunAsync(string[] args)
    {
        var each = TimeSpan.FromSeconds(args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 6);
        string load = Load.Average;
        await using var run = new SickMember(await SimulatorProcess.StartAsync(Members, Pods), await ServiceHost.StartAsync(
            static builder => builder.Services.Configure<HealthOptions>(static o => o.ProbeInterval = TimeSpan.FromSeconds(1))), each);
        await run._service.RegisterAsync(run._simulator.Clusters, Pods);
        var report = new Report(
            "One sick member", "state of the twentieth", "list p50 ms", "list p99 ms", "against well", "get p50 ms", "get p99 ms", "against well",
            "live list p99 ms", "against well", "list of all p99 ms", "what that answer says of it");
        for (int i = 0; i < 2; i++)
        {
            await run.MeasureAsync();   // code is compiled and optimised, connections are open
        }

        // Slow comes last: a request that hangs outlives the sickness, up to its own deadline.
        foreach ((string state, string command) in new[] { ("dead", "die"), ("sends garbage", "garbage"), ("300 s slow", "slow") })
        {
            // Other work on the machine comes and goes, so each sickness is held against the health just before it.
            Reads well = await run.MeasureAsync();
            Add("well", well, well);
            await run._simulator.AskAsync($"{command} {Sick}");
            await Task.Delay(Onset, TimeProvider.System, CancellationToken.None);
            Add(state, await run.MeasureAsync(), well);
            await run._simulator.AskAsync($"live {Sick}");
            await run.UntilWellAsync();
        }

        report.Print($"{Members} members with {Pods} pods each, in another process; {Callers} callers with {Think.TotalMilliseconds:f0} ms between calls over gRPC and TLS, each in turn a page of 500 pods of 4.2 KB over the 19 healthy members "
            + $"from a random place, a get of one pod of them, and every 20th time all 10,000 pods of all members without JSON, and a page of five healthy members live. {each.TotalSeconds:f0} s each, {Onset.TotalSeconds:f0} s after the sickness began; health is probed every second. Load average before {load}, after {Load.Average}.");

        void Add(string state, Reads now, Reads well) => report.Row(
            state, Load.Text(now.List.Median), Load.Text(now.List.P99), Ratio(now.List, well.List),
            Load.Text(now.Get.Median), Load.Text(now.Get.P99), Ratio(now.Get, well.Get),
            Load.Text(now.Live.P99), Ratio(now.Live, well.Live), Load.Text(now.All.P99), now.SickCoverage);
    }

    private static string Ratio(Samples now, Samples well) => $"{now.P99 / well.P99:f2}";

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        await _simulator.DisposeAsync();
    }

    private async Task UntilWellAsync()
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            CountResponse count = await _service.Resources.CountAsync(new CountRequest { Query = new ObjectQuery { Kind = "pods" } }, _service.Admin);
            if (count.Total == Members * Pods && count.Coverage.All(c => c.State == CoverageState.Ok))
            {
                return;
            }

            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromMinutes(2))
            {
                throw new InvalidOperationException($"The sick member does not recover: {count.Coverage.First(c => c.State != CoverageState.Ok)}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, CancellationToken.None);
        }
    }

    private async Task<Reads> MeasureAsync()
    {
        Reads[] parts = await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(() => CallAsync(caller))));
        var all = new Reads();
        foreach (Reads part in parts)
        {
            all.Add(part);
        }

        return all;
    }

    private async Task<Reads> CallAsync(int caller)
    {
        var random = new Random(caller);
        var reads = new Reads();
        string[] healthy = [.. _simulator.Clusters.Select(static c => c.Name).Where(static (_, i) => i != Sick)];
        var selection = new ClusterSelection { Names = { healthy } };
        ListResponse first = await _service.Resources.ListAsync(List(selection, 10_000), _service.Admin);
        if (first.Objects.Count != (Members - 1) * Pods)
        {
            throw new InvalidOperationException($"{first.Objects.Count} pods of the healthy members were listed.");
        }

        long start = Stopwatch.GetTimestamp();
        for (int i = 0; Stopwatch.GetElapsedTime(start) < _each; i++)
        {
            // A page from a random place: those members that stand behind a random one.
            var some = new ClusterSelection { Names = { healthy.Skip(random.Next(healthy.Length)) } };
            await TimeAsync(reads.List, async () => Expect((await _service.Resources.ListAsync(List(some, 500), _service.Admin)).Objects.Count, 500));
            V1.Object one = first.Objects[random.Next(first.Objects.Count)];
            var get = new GetRequest { Cluster = one.Cluster, Kind = "pods", Namespace = one.Namespace, Name = one.Name };
            await TimeAsync(reads.Get, async () => Expect((await _service.Resources.GetAsync(get, _service.Admin)).Objects.Count, 1));
            await Task.Delay(Think, TimeProvider.System, CancellationToken.None);
            if (i % 20 == caller)
            {
                await TimeAsync(reads.All, async () =>
                {
                    ListRequest everything = List(null, 10_000);
                    everything.Projection = Projection.None;
                    ListResponse answer = await _service.Resources.ListAsync(everything, _service.Admin);
                    Coverage sick = answer.Coverage.First(c => c.Cluster == _simulator.Clusters[Sick].Name);
                    reads.SickCoverage = $"{sick.State}{(sick.Fault is { } fault ? $" ({fault.Kind})" : "")}";
                });
                await TimeAsync(reads.Live, async () =>
                {
                    ListRequest live = List(new ClusterSelection { Names = { healthy.Take(5) } }, 500);
                    live.Source = Source.Live;
                    Expect((await _service.Resources.ListAsync(live, _service.Admin)).Objects.Count, 500);
                });
            }
        }

        return reads;
    }

    private static ListRequest List(ClusterSelection? clusters, int limit) =>
        new() { Clusters = clusters, Query = new ObjectQuery { Kind = "pods" }, Limit = limit };

    private static void Expect(int found, int expected)
    {
        if (found != expected)
        {
            throw new InvalidOperationException($"{found} objects instead of {expected}.");
        }
    }

    private static async Task TimeAsync(Samples samples, Func<Task> act)
    {
        long start = Stopwatch.GetTimestamp();
        await act();
        samples.Add(Stopwatch.GetElapsedTime(start));
    }

    private sealed class Reads
    {
        public Samples List { get; } = new();

        public Samples Get { get; } = new();

        public Samples Live { get; } = new();

        public Samples All { get; } = new();

        public string SickCoverage { get; set; } = "";

        public void Add(Reads others)
        {
            List.Add(others.List);
            Get.Add(others.Get);
            Live.Add(others.Live);
            All.Add(others.All);
            SickCoverage = others.SickCoverage;
        }
    }
}
