using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiCluster.Benchmarks.Engines;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Benchmarks.Reads;
using MultiCluster.Reads;
using MultiCluster.Silo.Engines;
using Orleans;
using Orleans.Hosting;

namespace MultiCluster.Benchmarks.Engine;

/// <summary>Grain calls per second, the same under both engines: a small one and a read of one object, in this process and, where the engine can, in another one.</summary>
internal static class GrainCalls
{
    /// <param name="args">[seconds of each measurement]</param>
    public static async Task RunAsync(string[] args)
    {
        var each = TimeSpan.FromSeconds(args.Length > 0 ? double.Parse(args[0], CultureInfo.InvariantCulture) : 3);
        string load = Load.Average;
        var report = new Report("Grain calls", CallRates.Columns);
        int bytes = await OneSiloAsync(new CallRates(report, each));
        string remote = await TwoSilos.MeasureAsync(report, each);
        report.Print($"Engine {EngineSetup.Name}. Every caller has grains of its own and waits for each answer. Small: a number each way, beside a queue with a loop that gives the same promise. "
            + $"Read: one pod of {bytes:N0} bytes by the messages and the reader of a cluster grain, beside the same reader without a grain. {remote}"
            + $"Grain and bare in alternation, {each.TotalSeconds:0.#} s each, twice. Load average before {load}, after {Load.Average}.");
    }

    private static async Task<int> OneSiloAsync(CallRates rates)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.UseOrleans(static silo => silo.UseLocalhostClustering(siloPort: FreePorts.Next(), gatewayPort: 0));
        using IHost host = builder.Build();
        await host.StartAsync();
        var grains = host.Services.GetRequiredService<IGrainFactory>();
        var reads = new SamplePodReads();
        MirroredCluster cluster = SamplePodReads.CreateCluster();
        int bytes = await reads.ReadAsync(0, request => cluster.GetAsync(request, CancellationToken.None));
        foreach (int callers in CallRates.Callers)
        {
            ICounterGrain[] counters = [.. Enumerable.Range(0, callers).Select(i => grains.GetGrain<ICounterGrain>($"one-{callers}-{i}"))];
            ChannelCounter[] bare = [.. Enumerable.Range(0, callers).Select(static _ => new ChannelCounter())];
            long calls = await rates.CompareAsync("small, one silo", callers, caller => counters[caller].AddAsync(1), caller => bare[caller].AddAsync(1));
            await ProveAsync(calls, counters);
            foreach (ChannelCounter one in bare)
            {
                await one.DisposeAsync();
            }
        }

        foreach (int callers in CallRates.Callers)
        {
            IPodGrain[] pods = [.. Enumerable.Range(0, callers).Select(i => grains.GetGrain<IPodGrain>($"one-{callers}-{i}"))];
            int[] turns = new int[callers];
            foreach (IPodGrain pod in pods)
            {
                await pod.PlaceAsync();
            }

            await rates.CompareAsync(
                "read, one silo", callers,
                caller => reads.ReadAsync(turns[caller]++, request => pods[caller].GetAsync(request, CancellationToken.None)),
                caller => reads.ReadAsync(turns[caller]++, request => cluster.GetAsync(request, CancellationToken.None)));
        }

        await host.StopAsync();
        return bytes;
    }

    /// <summary>Whether each call has arrived once.</summary>
    public static async Task ProveAsync(long calls, IEnumerable<ICounterGrain> counters)
    {
        long counted = 0;
        foreach (ICounterGrain counter in counters)
        {
            counted += await counter.AddAsync(0);
        }

        if (counted != calls)
        {
            throw new InvalidOperationException($"{calls} calls were made, {counted} arrived.");
        }
    }
}
