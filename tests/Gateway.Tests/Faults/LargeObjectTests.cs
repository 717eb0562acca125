using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>A member that sends more than anybody should keep.</summary>
[Collection(MemoryTests.Name)]
public sealed class LargeObjectTests(FaultFixture fixture) : IClassFixture<FaultFixture>
{
    [Fact]
    public async Task Objects_TooLarge_ThatKindFailsAndMemoryStays()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("huge", 2, "pods", "configmaps", "namespaces");
        GC.Collect();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        IDisposable huge = member.Faults.Add(new Fault(FaultKind.HugeObject) { Resource = "configmaps", Bytes = 100_000_000 });
        member.Faults.CutWatches("configmaps");

        await fixture.UntilListedAsync(
            "huge", "configmaps", (coverage, _) => FaultFixture.State(coverage) == "failed" && FaultFixture.FaultKind(coverage) == "Protocol");
        await fixture.UntilCoveredAsync("huge", "pods", 2);
        long during = GC.GetTotalMemory(forceFullCollection: true);
        Assert.True(during - before < 60_000_000, $"{before:N0} before, {during:N0} during");
        huge.Dispose();

        await fixture.UntilListedAsync("huge", "configmaps", (coverage, _) => FaultFixture.State(coverage) == "ok");
        await fixture.UntilStatusAsync("huge", s => FaultFixture.Phase(s) == "online");
        await fixture.AssertWellAsync();
    }
}
