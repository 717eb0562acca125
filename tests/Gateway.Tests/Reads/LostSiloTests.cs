using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;
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
        using var fleet = new SimulatedFleet(clusters: 3);
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
        using var fleet = new SimulatedFleet(clusters: 3);
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
        using var fleet = new SimulatedFleet(clusters: 1);
        fleet["c0000"].FailNext(new SiloUnavailableException("gone"), int.MaxValue);

        FleetPage page = await fleet.Reader.ListAsync(Query with { Objects = new ObjectQuery { Kind = "widgets" } }, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(CoverageState.Syncing, Assert.Single(page.Coverage).State);
    }

    private static readonly FleetQuery Query = new() { Objects = new ObjectQuery { Kind = "configmaps" } };
}
