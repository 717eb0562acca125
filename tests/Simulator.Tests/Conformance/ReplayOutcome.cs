namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>What the simulator answered to a recorded request, and how that differs from the recording.</summary>
internal sealed record ReplayOutcome(string Name, string Request, int Status, string Answer, IReadOnlyList<string> Differences)
{
    public override string ToString() =>
        $"{Name}: {Request}\n- {string.Join("\n- ", Differences)}\nanswer ({Status}): {(Answer.Length > 1500 ? Answer[..1500] + "…" : Answer)}";
}
