using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;
using MultiCluster.TestSupport;
using Orleans.Runtime;
using Orleans.Runtime.Messaging;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>Reads while the silo of a cluster's grain is lost.</summary>
public sealed class LostSiloTests
{
    /// <summary>What a call ends with while a silo is lost: the cluster's own, or the one that the call goes through.</summary>
    public static TheoryData<Exception> Losses => [new SiloUnavailableException("gone"), new ConnectionFailedException("no way to it")];

    [Theory]
    [MemberData(nameof(Losses), DisableDiscoveryEnumeration = true)]
    public async Task List_SiloIsLostAndTheGrainMoved_IsAskedAgainAndComplete(Exception loss)
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet["c0001"].Put(SimulatedCluster.ConfigMaps, "n", "a");
        fleet["c0001"].FailNext(loss, 2);

        FleetPage page = await fleet.Reader.ListAsync(Query, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Single(page.Items);
        Assert.All(page.Coverage, c => Assert.Equal(CoverageState.Ok, c.State));
    }

    [Theory]
    [MemberData(nameof(Losses), DisableDiscoveryEnumeration = true)]
    public async Task List_SiloStaysLost_CoverageSaysThatTheGrainMoves(Exception loss)
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet["c0001"].Put(SimulatedCluster.ConfigMaps, "n", "a");
        fleet["c0002"].Put(SimulatedCluster.ConfigMaps, "n", "b");
        fleet["c0001"].FailNext(loss, int.MaxValue);

        FleetPage page = await fleet.Reader.ListAsync(Query, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));
        FleetCounts counts = await fleet.Reader.CountAsync(new FleetCountQuery { Objects = Query.Objects }, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal("c0002", Assert.Single(page.Items).Cluster);
        Assert.All([page.Coverage[1], counts.Coverage[1]], c => Assert.Equal(("c0001", CoverageState.Syncing, ClusterCalls.MovingFault), (c.Cluster, c.State, c.Fault?.Kind)));
        await Assert.ThrowsAsync<IncompleteReadException>(() => fleet.Reader.ListAsync(Query with { Strict = true }, CancellationToken.None));
    }

    [Fact]
    public async Task List_OnlyClusterThatServesTheKindMoves_IsNoMistakeOfTheRequest()
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 1);
        fleet["c0000"].FailNext(new SiloUnavailableException("gone"), int.MaxValue);

        FleetPage page = await fleet.Reader.ListAsync(Query with { Objects = new ObjectQuery { Kind = "widgets" } }, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(CoverageState.Syncing, Assert.Single(page.Coverage).State);
    }

    [Fact]
    public async Task List_WayToTheGrainIsRefusedForASecond_IsAskedUntilItAnswers()
    {
        // As while a silo that ended in order is not known to have ended.
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet["c0001"].FailNext(new ConnectionFailedException("no way to it"), 4);

        FleetPage page = await ListAsync(fleet);

        Assert.All(page.Coverage, c => Assert.Equal(CoverageState.Ok, c.State));
    }

    [Fact]
    public async Task List_SiloIsKnownToBeLost_IsNotAskedForLong()
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet.Report("c0001", ClusterPhase.Online, "silo-1");
        fleet["c0001"].FailNext(new SiloUnavailableException("gone"), int.MaxValue);
        Lose(fleet, "silo-1");

        FleetPage page = await ListAsync(fleet);

        AssertMoves(page);
        Assert.InRange(fleet["c0001"].Calls, 1, 5);   // 0.5 s with pauses of at least 50, 100, 150 and 200 ms; 2 s make six at least
    }

    [Fact]
    public async Task List_SiloIsKnownToBeLostAndTheGrainLivesElsewhere_IsComplete()
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet.Report("c0001", ClusterPhase.Online, "silo-1");
        fleet["c0001"].FailNext(new SiloUnavailableException("gone"), 1);
        Lose(fleet, "silo-1");

        FleetPage page = await ListAsync(fleet);

        Assert.All(page.Coverage, c => Assert.Equal(CoverageState.Ok, c.State));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task List_SiloFallsSilent_IsNotWaitedForOnceItIsKnownToBeLost(bool underTheCall)
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet.Report("c0001", ClusterPhase.Online, "silo-1");
        fleet["c0001"].Hangs = true;
        if (!underTheCall)
        {
            Lose(fleet, "silo-1");
        }

        Task<FleetPage> asked = fleet.Reader.ListAsync(Query with { Deadline = FleetQuery.MaxDeadline }, CancellationToken.None);
        if (underTheCall)
        {
            Lose(fleet, "silo-1");
        }

        AssertMoves(await asked.WaitAsync(FleetQuery.MaxDeadline / 10));   // half of it by the fleet's clock
    }

    [Fact]
    public async Task List_SiloIsSilent_IsNotWaitedForOnceThatIsKnown_AndNotCalledLost()
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet.Report("c0001", ClusterPhase.Online, "silo-1");
        fleet["c0001"].Hangs = true;
        Lose(fleet, "silo-1", ClusterCalls.SilentSilo);

        FleetPage page = await fleet.Reader.ListAsync(Query with { Deadline = FleetQuery.MaxDeadline }, CancellationToken.None).WaitAsync(FleetQuery.MaxDeadline / 10);

        Assert.Equal((CoverageState.Timeout, ClusterCalls.SilentSilo), (page.Coverage[1].State, page.Coverage[1].Fault));
        Assert.Equal(CoverageState.Ok, page.Coverage[2].State);
    }

    [Fact]
    public async Task List_OneClusterIsRefusedAllTheTime_TheNextReadsDoNotWaitAsLong_UntilItHasAnswered()
    {
        // As while the database is away of which its new silo must learn that it lives there.
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 3);
        fleet["c0001"].FailNext(new SiloUnavailableException("gone"), int.MaxValue);

        int first = await CallsOfAsync();
        int second = await CallsOfAsync();
        fleet["c0001"].FailNext(new SiloUnavailableException("gone"), 0);
        FleetPage page = await ListAsync(fleet);
        fleet["c0001"].FailNext(new SiloUnavailableException("gone"), int.MaxValue);
        int third = await CallsOfAsync();

        Assert.All(page.Coverage, c => Assert.Equal(CoverageState.Ok, c.State));
        Assert.InRange(second, 1, 5);   // 0.5 s, as above; 2 s make six at least
        Assert.All([first, third], calls => Assert.InRange(calls, 6, 20));

        async Task<int> CallsOfAsync()
        {
            int before = fleet["c0001"].Calls;
            AssertMoves(await ListAsync(fleet));
            return fleet["c0001"].Calls - before;
        }
    }

    [Fact]
    public async Task List_ManyClustersOfALostSilo_AreAskedAtTheSameTime()
    {
        // The clock stands still, so that nobody is given up.
        using var fleet = new SimulatedFleet(new ManualTimeProvider(), clusters: 8);
        string[] lost = ["c0000", "c0002", "c0003", "c0005", "c0007"];
        foreach (string cluster in lost)
        {
            fleet.Report(cluster, ClusterPhase.Online, "silo-1");
            fleet[cluster].Hangs = true;
        }

        Lose(fleet, "silo-1");
        using var stop = new CancellationTokenSource();
        Task<FleetPage> asked = fleet.Reader.ListAsync(Query, stop.Token);

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!lost.All(c => fleet[c].Calls > 0))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, patience.Token);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    private static readonly FleetQuery Query = new() { Objects = new ObjectQuery { Kind = "configmaps" } };

    private static Task<FleetPage> ListAsync(SimulatedFleet fleet) =>
        fleet.Reader.ListAsync(Query with { Deadline = FleetQuery.MaxDeadline }, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));

    private static void Lose(SimulatedFleet fleet, string silo, ClusterFault? fault = null) =>
        fleet.View.ShowLost(ImmutableDictionary<string, LostSilo>.Empty.Add(silo, new LostSilo(fault ?? new ClusterFault(ClusterCalls.MovingFault, "gone"), default)));

    private static void AssertMoves(FleetPage page)
    {
        Assert.Equal((CoverageState.Syncing, ClusterCalls.MovingFault), (page.Coverage[1].State, page.Coverage[1].Fault?.Kind));
        Assert.Equal(CoverageState.Ok, page.Coverage[2].State);
    }
}
