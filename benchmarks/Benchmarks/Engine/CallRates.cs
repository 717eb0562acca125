using System.Diagnostics;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;

namespace MultiCluster.Benchmarks.Engine;

/// <summary>Measures calls per second beside something bare that does the same, both in alternation, and writes a row about them.</summary>
/// <param name="report">Table with <see cref="Columns"/>.</param>
/// <param name="each">Time of each measurement.</param>
/// <param name="others">Processor time of other processes that take part; null where there are none.</param>
internal sealed class CallRates(Report report, TimeSpan each, Func<TimeSpan>? others = null)
{
    public static readonly string[] Columns = ["what", "callers", "calls/s", "bare calls/s", "cost against bare", "CPU µs per call", "bare CPU µs", "ratio of CPU"];
    public static readonly int[] Callers = [1, 16, 64];

    /// <summary>Compares; both functions are given the number of the caller, who waits for each call.</summary>
    /// <returns>How often <paramref name="act"/> was called.</returns>
    public async Task<long> CompareAsync(string name, int callers, Func<int, Task> act, Func<int, Task> bare)
    {
        long calls = (await LoopAsync(callers, each / 4, act)).Calls;   // warm
        await LoopAsync(callers, each / 4, bare);
        (double ours, double theirs, double ourCpu, double theirCpu) = (0, 0, 0, 0);
        for (int i = 0; i < 2; i++)
        {
            Rate mine = await LoopAsync(callers, each, act);
            Rate other = await LoopAsync(callers, each, bare);
            calls += mine.Calls;
            ours += mine.PerSecond / 2;
            theirs += other.PerSecond / 2;
            ourCpu += mine.CpuMicroseconds / 2;
            theirCpu += other.CpuMicroseconds / 2;
        }

        report.Row(name, callers, $"{ours:f0}", $"{theirs:f0}", $"{theirs / ours:f2}", Load.Text(ourCpu), Load.Text(theirCpu), $"{ourCpu / theirCpu:f2}");
        return calls;
    }

    private async Task<Rate> LoopAsync(int callers, TimeSpan duration, Func<int, Task> act)
    {
        long[] counts = new long[callers];
        TimeSpan cpu = CpuTime();
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            long count = 0;
            while (Stopwatch.GetElapsedTime(start) < duration)
            {
                await act(caller);
                count++;
            }

            counts[caller] = count;
        })));
        long total = counts.Sum();
        return new Rate(total, total / Stopwatch.GetElapsedTime(start).TotalSeconds, (CpuTime() - cpu).TotalMicroseconds / total);
    }

    private TimeSpan CpuTime() => Environment.CpuUsage.TotalTime + (others?.Invoke() ?? default);

    private readonly record struct Rate(long Calls, double PerSecond, double CpuMicroseconds);
}
