namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>Runs each recorded cluster once, for all tests of it.</summary>
public sealed class ReplayFixture
{
    private readonly Lazy<Task<IReadOnlyDictionary<string, ReplayOutcome>>> _first = Run(1, 399, housekeeping: true);
    private readonly Lazy<Task<IReadOnlyDictionary<string, ReplayOutcome>>> _second = Run(400, 499, housekeeping: false);
    private readonly Lazy<Task<IReadOnlyDictionary<string, ReplayOutcome>>> _third = Run(500, 999, housekeeping: true);

    internal Task<IReadOnlyDictionary<string, ReplayOutcome>> OutcomesFor(int number) => (number < 400 ? _first : number < 500 ? _second : _third).Value;

    private static Lazy<Task<IReadOnlyDictionary<string, ReplayOutcome>>> Run(int from, int to, bool housekeeping) =>
        new(() => Replay.RunAsync([.. Recording.All.Where(r => r.Number >= from && r.Number <= to)], housekeeping));
}

public sealed class ConformanceTests(ReplayFixture fixture) : IClassFixture<ReplayFixture>
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    public static TheoryData<string> InScope { get; } = [.. Recording.All.Select(r => r.Name).Where(n => !OutOfScope.Contains(n))];

    [Theory]
    [MemberData(nameof(InScope))]
    public async Task Simulator_RecordedRequest_AnswersAsTheRealServer(string recording)
    {
        int number = int.Parse(recording.AsSpan(0, 3), System.Globalization.CultureInfo.InvariantCulture);
        IReadOnlyDictionary<string, ReplayOutcome> outcomes = await fixture.OutcomesFor(number).WaitAsync(Deadline);

        Assert.True(outcomes.TryGetValue(recording, out ReplayOutcome? outcome), $"{recording} was not replayed.");
        Assert.True(outcome.Differences.Count == 0, outcome.ToString());
    }

    [Fact]
    public void OutOfScope_EveryLine_NamesARecordingAndAReason()
    {
        HashSet<string> known = [.. Recording.All.Select(r => r.Name)];

        Assert.All(OutOfScope.Reasons, line =>
        {
            Assert.Contains(line.Key, known);
            Assert.True(line.Value.Length > 10, $"{line.Key} has no reason.");
        });
    }
}
