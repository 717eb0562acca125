using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Gateway.Observability;
using MultiCluster.Silo.Engines;
using Orleans;
using Orleans.Hosting;

namespace MultiCluster.Benchmarks.Engine;

/// <summary>What a grain call costs more when it is measured, with everything that listens in a service.</summary>
internal static class GrainFiguresCost
{
    private const int Rounds = 5;

    /// <param name="args">[calls of each round]</param>
    public static async Task RunAsync(string[] args)
    {
        int calls = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 200_000;
        string load = Load.Average;
        var report = new Report("Figures of grains", "grain", "CPU ns per call, bare", "measured", "more", "bytes per call, bare", "measured", "more");
        using Host bare = await Host.StartAsync(measured: false);
        using Host measured = await Host.StartAsync(measured: true);
        foreach (bool yields in new[] { false, true })
        {
            Cost least = default;
            Cost most = default;
            await bare.CallAsync(calls / 10, yields);
            await measured.CallAsync(calls / 10, yields);
            for (int round = 0; round < Rounds; round++)
            {
                least = Cost.Least(least, await bare.CallAsync(calls, yields));
                most = Cost.Least(most, await measured.CallAsync(calls, yields));
            }

            report.Row(
                yields ? "answers later" : "answers at once",
                $"{least.Nanoseconds:f0}", $"{most.Nanoseconds:f0}", $"{most.Nanoseconds - least.Nanoseconds:f0}",
                $"{least.Bytes:f0}", $"{most.Bytes:f0}", $"{most.Bytes - least.Bytes:f0}");
        }

        report.Print($"Engine {EngineSetup.Name}. One caller in the process of the grain, {calls} calls in each of {Rounds} rounds, bare and measured in alternation; the best round of each. "
            + $"Load average before {load}, after {Load.Average}.");
    }

    private readonly record struct Cost(double Nanoseconds, double Bytes)
    {
        public static Cost Least(Cost a, Cost b) => a.Nanoseconds == 0 || b.Nanoseconds < a.Nanoseconds ? b : a;
    }

    private sealed class Host(IHost host, PrometheusText? text) : IDisposable
    {
        public static async Task<Host> StartAsync(bool measured)
        {
            HostApplicationBuilder builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
            builder.Services.AddMetrics();
            builder.UseOrleans(silo =>
            {
                silo.UseLocalhostClustering(siloPort: measured ? 11_190 : 11_191, gatewayPort: 0, serviceId: $"{measured}", clusterId: $"{measured}");
                if (measured)
                {
                    silo.AddGrainFigures();
                }
            });
            IHost host = builder.Build();
            PrometheusText? text = measured ? new PrometheusText(host.Services.GetRequiredService<IMeterFactory>()) : null;
            await host.StartAsync();
            return new Host(host, text);
        }

        public async Task<Cost> CallAsync(int calls, bool yields)
        {
            ILateGrain grain = host.Services.GetRequiredService<IGrainFactory>().GetGrain<ILateGrain>("one");
            long bytes = GC.GetTotalAllocatedBytes();
            TimeSpan cpu = Environment.CpuUsage.TotalTime;
            for (int i = 0; i < calls; i++)
            {
                await (yields ? grain.LaterAsync(i) : grain.AtOnceAsync(i));
            }

            var cost = new Cost((Environment.CpuUsage.TotalTime - cpu).TotalNanoseconds / calls, (GC.GetTotalAllocatedBytes() - bytes) / (double)calls);
            if (text?.Write().Contains("multicluster_grain_calls_total{grain_type=", StringComparison.Ordinal) == false)
            {
                throw new InvalidOperationException("The calls were not measured.");
            }

            return cost;
        }

        public void Dispose()
        {
            text?.Dispose();
            host.Dispose();
        }
    }
}

/// <summary>Answers at once, or in a later turn.</summary>
internal interface ILateGrain : IGrainWithStringKey
{
    Task<long> AtOnceAsync(long number);

    Task<long> LaterAsync(long number);
}

/// <inheritdoc/>
internal sealed class LateGrain : Grain, ILateGrain
{
    public Task<long> AtOnceAsync(long number) => Task.FromResult(number);

    public async Task<long> LaterAsync(long number)
    {
        await Task.Yield();
        return number;
    }
}
