using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace MultiCluster.TestSupport;

/// <summary>Starts programs that end with the tests, even when those are killed.</summary>
/// <remarks>
/// Linux ends such a child when the thread that started it ends, so one thread that lives as long as the process starts them all.
/// Where there is no <c>setpriv</c>, the child is started plainly. Thread-safe.
/// </remarks>
public static class ChildProcesses
{
    private static readonly BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Started)> Waiting = StartThread();

    /// <summary>Starts a program.</summary>
    /// <param name="start">What to start.</param>
    /// <param name="signal">What the child gets when this process is gone, such as <c>KILL</c>.</param>
    /// <param name="asUser">User to run it as, where this process is root; null for the same.</param>
    public static Task<Process> StartAsync(ProcessStartInfo start, string signal = "KILL", string? asUser = null)
    {
        ArgumentNullException.ThrowIfNull(start);
        string[] change = asUser is not null && Environment.UserName == "root" ? [$"--reuid={asUser}", $"--regid={asUser}", "--init-groups"] : [];
        if (OperatingSystem.IsLinux())
        {
            string[] command = ["--pdeathsig", signal, .. change, start.FileName, .. start.ArgumentList];
            start.FileName = "setpriv";
            start.ArgumentList.Clear();
            foreach (string argument in command)
            {
                start.ArgumentList.Add(argument);
            }
        }

        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        Waiting.Add((start, started));
        return started.Task;
    }

    /// <summary>Sends a signal, such as <c>TERM</c>, <c>KILL</c>, <c>STOP</c> or <c>CONT</c>.</summary>
    public static async Task SignalAsync(this Process process, string signal)
    {
        ArgumentNullException.ThrowIfNull(process);
        using Process kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Started)> StartThread()
    {
        BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Started)> waiting = [];
        new Thread(() =>
        {
            foreach ((ProcessStartInfo start, TaskCompletionSource<Process> started) in waiting.GetConsumingEnumerable())
            {
                try
                {
                    started.SetResult(Process.Start(start)!);
                }
                catch (Exception e)
                {
                    started.SetException(e);
                }
            }
        })
        { IsBackground = true, Name = "child processes" }.Start();
        return waiting;
    }
}
