using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;
using Orleans.Runtime;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>One cluster by name, while its silo is lost.</summary>
public sealed class LostClusterTests : IDisposable
{
    private readonly FastTimeProvider _time = new(factor: 5);
    private readonly SimulatedFleet _fleet;
    private readonly ClusterCommands _commands;

    public LostClusterTests()
    {
        _fleet = new SimulatedFleet(_time, clusters: 1);
        _fleet["c0000"].Description = new ClusterDescription { Cluster = _fleet.Entry("c0000") with { Summary = null }, Checks = new ConnectionChecks { Reachable = true } };
        _commands = new ClusterCommands(name => _fleet[name], _fleet.View, new ConnectionSealer(new EphemeralDataProtectionProvider(), _time), _time, NullLogger.Instance);
    }

    [Fact]
    public async Task Describe_SiloIsLostForAMoment_AnswersInFull()
    {
        _fleet["c0000"].FailNext(new SiloUnavailableException("gone"), 2);
        ClusterDescription description = await DescribeAsync();
        Assert.True(description.Checks?.Reachable);
    }

    [Fact]
    public async Task Describe_GrainHasReportedNothingYet_SaysWhatTheListOfClustersSays()
    {
        Assert.Null(_fleet["c0000"].Description.Cluster!.Summary);
        _fleet["c0000"].Description = _fleet["c0000"].Description with { Kinds = [Kind(MirrorState.Synced), Kind(MirrorState.Syncing)] };
        _fleet.Report("c0000", ClusterPhase.Online);
        Assert.Equal((ClusterPhase.Online, 45), ((await DescribeAsync()).Cluster!.Summary!.Phase, (await DescribeAsync()).Cluster!.Summary!.Kinds));
    }

    // What the fleet heard last is from the silo that is lost; nothing of it is in memory anywhere.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Describe_GrainHasComeUpEmptyElsewhere_IsReadAnew_ThoughTheFleetHasNotHeard(bool knowsItsKinds)
    {
        _fleet["c0000"].Description = _fleet["c0000"].Description with { Kinds = knowsItsKinds ? [Kind(MirrorState.Syncing), Kind(MirrorState.NotMirrored)] : [] };
        _fleet.Report("c0000", ClusterPhase.Online, "silo-1");
        ClusterSummary summary = (await DescribeAsync()).Cluster!.Summary!;
        Assert.Equal((ClusterPhase.Pending, LostClusters.ResyncingFault, 45), (summary.Phase, summary.Fault?.Kind, summary.Kinds));
    }

    [Theory]
    [InlineData(ClusterPhase.Pending, 0, LostClusters.ResyncingFault)]
    [InlineData(ClusterPhase.Online, 45, LostClusters.ResyncingFault)]
    [InlineData(ClusterPhase.Online, 0, null)]
    [InlineData(ClusterPhase.Offline, 45, null)]
    public async Task Describe_GrainReportsFromElsewhere_ThoughTheFleetHasNotHeard_IsReadAnewUntilItIsInStep(ClusterPhase phase, int syncing, string? fault)
    {
        _fleet.Report("c0000", ClusterPhase.Online, "silo-1");
        var now = new ClusterSummary { Name = "c0000", Phase = phase, Silo = "silo-2", Kinds = 45, KindsSyncing = syncing };
        _fleet["c0000"].Description = _fleet["c0000"].Description with { Cluster = _fleet.Entry("c0000") with { Summary = now } };
        ClusterSummary summary = (await DescribeAsync()).Cluster!.Summary!;
        Assert.Equal((fault is null ? phase : ClusterPhase.Pending, fault, "silo-2"), (summary.Phase, summary.Fault?.Kind, summary.Silo));
    }

    [Theory]
    [InlineData(false, ClusterCalls.MovingFault)]
    [InlineData(true, "Timeout")]
    public async Task Describe_NoAnswer_SaysWhatIsKnownAndWhyThereIsNoMore(bool hangs, string fault)
    {
        _fleet["c0000"].Hangs = hangs;
        _fleet["c0000"].FailNext(new SiloUnavailableException("gone"), hangs ? 0 : int.MaxValue);
        ClusterDescription description = await DescribeAsync();
        Assert.Equal((_fleet.Entry("c0000").Uid, ClusterPhase.Pending, fault), (description.Cluster!.Uid, description.Cluster.Summary!.Phase, description.Cluster.Summary.Fault?.Kind));
        Assert.Null(description.Checks);
        Assert.Empty(description.Kinds);
    }

    [Fact]
    public async Task Describe_NoAnswerAndTheFleetNoLongerHasIt_SaysThatItCannotTell()
    {
        _fleet["c0000"].Hangs = true;
        Task<ClusterDescription> asked = DescribeAsync();
        _fleet.Leave("c0000");
        await Assert.ThrowsAsync<FleetUnavailableException>(() => asked);
    }

    public void Dispose() => _fleet.Dispose();

    [Fact]
    public async Task Describe_TheFleetHasHeardSomethingNewerMeanwhile_SaysThat()
    {
        _fleet.Report("c0000", ClusterPhase.Online, "silo-2");
        ClusterEntry entry = _fleet.Entry("c0000");
        _fleet["c0000"].Description = _fleet["c0000"].Description with { Cluster = entry with { Summary = entry.Summary! with { Phase = ClusterPhase.Pending, Kinds = 0, Sequence = 1 } } };
        _fleet.Change("c0000", e => e with { Summary = e.Summary! with { Sequence = 2 } });
        Assert.Equal((ClusterPhase.Online, 45), ((await DescribeAsync()).Cluster!.Summary!.Phase, (await DescribeAsync()).Cluster!.Summary!.Kinds));
    }

    [Fact]
    public async Task Update_SiloIsKnownToBeLost_WaitsUnsentUntilTheClusterLivesElsewhere()
    {
        Lose();
        Task<ClusterEntry> update = UpdateAsync();
        await Task.WhenAny(update, Task.Delay(TimeSpan.FromSeconds(2), _time, CancellationToken.None));
        Assert.False(update.IsCompleted);
        Assert.Equal(0, _fleet["c0000"].Calls);

        _fleet.Report("c0000", ClusterPhase.Pending, "silo-2", syncing: 45);
        await update;
        Assert.Equal(1, _fleet["c0000"].Calls);
    }

    [Fact]
    public async Task Update_SiloStaysLost_IsRefusedUnsent_AndSaysSo()
    {
        Lose();
        var refused = await Assert.ThrowsAsync<FleetUnavailableException>(UpdateAsync);
        Assert.Equal("Nothing was changed. It hangs.", refused.Message);
        Assert.Equal(0, _fleet["c0000"].Calls);
    }

    [Fact]
    public async Task Update_SiloIsLostWhileItHasTheCommand_IsNotConfirmed_LongBeforeTheCallGivesUp()
    {
        _fleet.Report("c0000", ClusterPhase.Online, "silo-1");
        _fleet["c0000"].Hangs = true;
        long start = _time.GetTimestamp();
        Task<ClusterEntry> update = UpdateAsync();
        Lose();
        await Assert.ThrowsAsync<CommandUnconfirmedException>(() => update);
        Assert.InRange(_time.GetElapsedTime(start), TimeSpan.FromSeconds(1.5), TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task Update_SiloStandsStillForAMoment_IsConfirmed()
    {
        _fleet.Report("c0000", ClusterPhase.Online, "silo-1");
        Lose();
        Task<ClusterEntry> update = UpdateAsync();
        _fleet.View.ShowLost([]);
        await update;
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(4, false)]
    public async Task Update_WasRefusedOnItsWay_IsSentAgain(int times, bool isConfirmed)
    {
        _fleet["c0000"].FailNext(NotTaken(), times);
        Task<ClusterEntry> update = UpdateAsync();
        Assert.Equal(isConfirmed, await Record.ExceptionAsync(() => update) is not CommandUnconfirmedException);
        Assert.Equal(4, _fleet["c0000"].Calls);
    }

    [Fact]
    public async Task Update_SiloWasLostWithIt_IsNotSentAgain()
    {
        _fleet["c0000"].FailNext(new SiloUnavailableException("gone"), 1);
        await Assert.ThrowsAsync<CommandUnconfirmedException>(UpdateAsync);
        Assert.Equal(1, _fleet["c0000"].Calls);
    }

    // Only the runtime makes them.
    private static Exception NotTaken() => (Exception)Activator.CreateInstance(
        typeof(OrleansMessageRejectionException), BindingFlags.Instance | BindingFlags.NonPublic, binder: null, ["Silo stopping", new TimeoutException()], CultureInfo.InvariantCulture)!;

    private void Lose()
    {
        if (_fleet.Entry("c0000").Summary?.Silo is not "silo-1")
        {
            _fleet.Report("c0000", ClusterPhase.Online, "silo-1");
        }

        _fleet.View.ShowLost(ImmutableDictionary<string, LostSilo>.Empty.Add("silo-1", new LostSilo(new ClusterFault("Timeout", "It hangs."), _time.GetUtcNow())));
    }

    private Task<ClusterEntry> UpdateAsync() => _commands.UpdateAsync(
        "c0000", new UpdateCluster { Labels = ImmutableSortedDictionary<string, string>.Empty.Add("tier", "a") }, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));

    private static MirroredKind Kind(MirrorState state) => new() { Group = "", Version = "v1", Plural = "pods", Kind = "Pod", Namespaced = true, ShortNames = [], State = state };

    private Task<ClusterDescription> DescribeAsync() => _commands.DescribeAsync("c0000", CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
}
