using MultiCluster.Benchmarks.Events;
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
            case "first-sync":
                await FirstSync.RunAsync(rest);
                return true;
            case "event-latency":
                await EventLatency.RunAsync(rest);
                return true;
            default:
                return false;
        }
    }
}
