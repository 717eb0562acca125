using MultiCluster.Benchmarks.Engine;
using MultiCluster.Benchmarks.Events;
using MultiCluster.Benchmarks.Isolation;
using MultiCluster.Benchmarks.Memory;
using MultiCluster.Benchmarks.Start;
using MultiCluster.Benchmarks.Sync;

namespace MultiCluster.Benchmarks.Hosting;

/// <summary>The programs that measure whole processes. Each prints its result as Markdown.</summary>
internal static class SystemPrograms
{
    /// <summary>Runs the program named by the first argument; false when it is none of these.</summary>
    public static async Task<bool> TryRunAsync(string[] args)
    {
        string[] rest = [.. args.Skip(1)];
        switch (args.FirstOrDefault())
        {
            case SimulatorProcess.Command:
                await SimulatorServer.RunAsync(rest);
                return true;
            case "seed-etcd":
                await EtcdSeed.RunAsync(rest);
                return true;
            case "service-memory":
                await ServiceMemory.RunAsync(rest);
                return true;
            case "first-sync":
                await FirstSync.RunAsync(rest);
                return true;
            case "event-latency":
                await EventLatency.RunAsync(rest);
                return true;
            case "isolation":
                await SickMember.RunAsync(rest);
                return true;
            case StartToAnswer.Command:
                await StartToAnswer.ServeHelloAsync();
                return true;
            case "start":
                await StartToAnswer.RunAsync(rest);
                return true;
            case "engine":
                await EngineThroughput.RunAsync(rest);
                return true;
            case "grain-calls":
                await GrainCalls.RunAsync(rest);
                return true;
            case "grain-figures":
                await GrainFiguresCost.RunAsync(rest);
                return true;
            default:
                return false;
        }
    }
}
