using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using MultiCluster.Kubernetes.Configuration;

namespace MultiCluster.Benchmarks.Hosting;

/// <summary>Simulated clusters in a child process, so that their work is not counted as ours.</summary>
internal sealed class SimulatorProcess : IAsyncDisposable
{
    /// <summary>Argument that makes this program the child.</summary>
    public const string Command = "serve-simulator";

    private readonly Process _process;

    private SimulatorProcess(Process process, ClusterAddress[] clusters) => (_process, Clusters) = (process, clusters);

    public IReadOnlyList<ClusterAddress> Clusters { get; }

    /// <summary>Processor time that the child has used so far.</summary>
    public TimeSpan CpuTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public static async Task<SimulatorProcess> StartAsync(int clusters, int pods)
    {
        Process process = Process.Start(ThisProgram.StartInfo(Command, $"{clusters}", $"{pods}"))!;
        string line = await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The simulator did not start.");
        return new SimulatorProcess(process, JsonSerializer.Deserialize<ClusterAddress[]>(line)!);
    }

    public static ClusterConnection ConnectionOf(ClusterAddress cluster) =>
        ClusterConnection.TryCreate(cluster.Url.AbsoluteUri, cluster.AuthorityPem, cluster.Token, out ClusterConnection? connection, out string? fault)
            ? connection
            : throw new InvalidOperationException(fault);

    /// <summary>Changes pods of one cluster at a rate; ends when all are changed.</summary>
    public async Task<int> TouchAsync(int cluster, int perSecond, int seconds) =>
        int.Parse(await AskAsync($"touch {cluster} {perSecond} {seconds}"), CultureInfo.InvariantCulture);

    /// <summary>When each change since the last call was made, by revision.</summary>
    public async Task<Dictionary<long, long>> EmittedAsync()
    {
        byte[] log = Convert.FromBase64String(await AskAsync("emitted 0"));
        var times = new Dictionary<long, long>();
        foreach (Emission one in MemoryMarshal.Cast<byte, Emission>(log))
        {
            times[one.Revision] = one.Timestamp;
        }

        return times;
    }

    /// <summary>Sends a command and gives the answer.</summary>
    public async Task<string> AskAsync(string command)
    {
        await _process.StandardInput.WriteLineAsync(command);
        await _process.StandardInput.FlushAsync();
        return await _process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException($"The simulator ended over '{command}'.");
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10), TimeProvider.System);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}

/// <summary>How to start this program once more.</summary>
internal static class ThisProgram
{
    public static ProcessStartInfo StartInfo(params string[] args)
    {
        string self = Environment.ProcessPath!;
        string[] command = Path.GetFileNameWithoutExtension(self) == "dotnet" ? [typeof(ThisProgram).Assembly.Location, .. args] : args;
        return new ProcessStartInfo(self, command) { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
    }
}
