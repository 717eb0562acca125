using System.Diagnostics;
using MultiCluster.Cluster.Tests;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Asks a fleet at an even beat, whether or not the last answer has come, and keeps all answers.</summary>
/// <param name="fleet">The fleet.</param>
/// <param name="pods">Pods of each member, which do not change.</param>
internal sealed class FleetAsker(FleetUnderTest fleet, int pods)
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();
    private readonly List<FleetAnswer> _answers = [];
    private readonly List<string> _failures = [];

    /// <summary>Requests without an answer, and why.</summary>
    public IReadOnlyList<string> Failures => _failures;

    /// <summary>All answers in the order in which they were asked for.</summary>
    public IReadOnlyList<FleetAnswer> Answers
    {
        get
        {
            lock (_gate)
            {
                return [.. _answers.OrderBy(static a => a.AskedAt)];
            }
        }
    }

    /// <summary>Answers that do not cover everything as it is.</summary>
    public IReadOnlyList<FleetAnswer> Lacking => [.. Answers.Where(a => !IsWhole(a))];

    /// <summary>Answers that say they cover everything, and do not.</summary>
    public int Pretending => Answers.Count(a => a.NotFresh.Count == 0 && !IsWhole(a));

    public bool IsWhole(FleetAnswer answer) => answer.NotFresh.Count == 0 && answer.States.Count == fleet.Members.Count && answer.Total == (long)fleet.Members.Count * pods;

    /// <summary>Asks until <paramref name="enough"/> says so, and waits for what is still to come.</summary>
    /// <param name="enough">Given the time since the start, and the answers so far.</param>
    public async Task AskAsync(Func<TimeSpan, IReadOnlyList<FleetAnswer>, bool> enough)
    {
        long start = Stopwatch.GetTimestamp();
        List<Task> asking = [];
        while (!enough(Stopwatch.GetElapsedTime(start), Answers))
        {
            asking.Add(AskOnceAsync(start));
            await Task.Delay(Beat, TimeProvider.System, CancellationToken.None);
        }

        await Task.WhenAll(asking);
    }

    private async Task AskOnceAsync(long start)
    {
        try
        {
            FleetAnswer answer = await FleetAnswer.AskAsync(fleet, start);
            lock (_gate)
            {
                _answers.Add(answer);
            }
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            lock (_gate)
            {
                _failures.Add(e.Message);
            }
        }
    }
}
