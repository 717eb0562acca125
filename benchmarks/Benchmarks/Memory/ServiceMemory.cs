using System.Globalization;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;

namespace MultiCluster.Benchmarks.Memory;

/// <summary>Resident memory of the whole service per mirrored pod: the process with its pods against the same process empty.</summary>
internal static class ServiceMemory
{
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(3);

    /// <param name="args">[--pods N] [--idle SECONDS] [--touch PER_SECOND] [--build release|debug|PATH.dll]</param>
    public static async Task RunAsync(string[] args)
    {
        int pods = int.Parse(Option("--pods") ?? "100000", CultureInfo.InvariantCulture);
        int idle = int.Parse(Option("--idle") ?? "60", CultureInfo.InvariantCulture);
        int rate = int.Parse(Option("--touch") ?? "500", CultureInfo.InvariantCulture);
        await using SimulatorProcess simulator = await SimulatorProcess.StartAsync(1, pods);
        await using SiloProcess silo = await SiloProcess.StartAsync(Option("--build") ?? "release");
        var report = new Report("Memory of the whole service", "when", "resident MiB", "of it anonymous MiB", "peak MiB", "over empty MiB", "bytes per pod", "CPU s");
        await Task.Delay(Settle, TimeProvider.System, CancellationToken.None);
        long empty = silo.StatusBytes("VmRSS");
        Row("empty, after its first answer");
        await silo.RegisterAsync(simulator.Clusters[0], pods);
        Row($"all {pods:N0} pods just mirrored");
        await Wait(5);
        Row("5 s later");
        await Wait(idle - 5);
        Row($"{idle} s after the list, idle");
        if (rate > 0)
        {
            await simulator.TouchAsync(0, rate, idle);
            await Wait(1);
            Row($"after {idle} s with {rate:N0} changes a second");
            await Wait(idle);
            Row($"{idle} s later, idle");
        }

        report.Print(
            $"One simulated cluster of {pods:N0} pods, 8.3 KB each with managedFields and 4.2 KB without, over TLS from another process; all kinds of the cluster are mirrored. "
            + $"The service is `MultiCluster.Silo` with default settings. Load average {Load.Average}.");

        void Row(string when)
        {
            long resident = silo.StatusBytes("VmRSS");
            report.Row(when, resident >> 20, silo.StatusBytes("RssAnon") >> 20, silo.StatusBytes("VmHWM") >> 20, (resident - empty) >> 20, (resident - empty) / pods, Load.Text(silo.CpuTime.TotalSeconds));
        }

        static Task Wait(int seconds) => Task.Delay(TimeSpan.FromSeconds(Math.Max(0, seconds)), TimeProvider.System, CancellationToken.None);

        string? Option(string name) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null;
    }
}
