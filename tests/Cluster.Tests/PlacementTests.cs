using System.Net.Http.Json;
using System.Text.Json;
using MultiCluster.Simulator.Seeding;
using MultiCluster.TestSupport;
using Xunit.Abstractions;

namespace MultiCluster.Cluster.Tests;

public sealed class PlacementTests(PostgresServer server, ITestOutputHelper output) : IClassFixture<PostgresServer>
{
    [ClusterFact]
    public async Task Kill_MembersOfDifferentSize_TheOthersCarryAlike_AndEachGrainLivesOnce()
    {
        const int members = 24;
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, members, podsOfEach: 50);
        for (int i = 0; i < members; i += 3)
        {
            fleet.Members[i].Objects.SeedPods(new PodSeed(2_000) { NamespacePrefix = "more-" });
        }

        await fleet.UntilAsync("/v1/count/pods", a => a.GetProperty("total").GetInt64() == (members * 50) + (members / 3 * 2_000) && fleet.IsFresh(a));
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM cluster_load WHERE load > 1000000", large => large == members / 3);

        await fleet.Silos[0].SignalAsync("KILL");
        await fleet.UntilAsync("/v1/count/pods", a => !fleet.IsFresh(a));
        await fleet.UntilAsync("/v1/count/pods", a => a.GetProperty("total").GetInt64() == (members * 50) + (members / 3 * 2_000) && fleet.IsFresh(a));

        // Only what was on the lost silo is placed, by both at the same time and without a word to each other: a heavy cluster of difference for each.
        double[] carried = await fleet.RowsAsync("""
            SELECT sum(coalesce(l.load, 0)) FROM grain_directory d JOIN cluster_load l ON d.grain_id = 'cluster/' || l.cluster GROUP BY d.silo ORDER BY 1
            """);
        double heaviest = (await fleet.RowsAsync("SELECT max(load) FROM cluster_load"))[0];
        output.WriteLine($"carried: {string.Join(", ", carried)}; the heaviest cluster: {heaviest}");
        Assert.Equal(2, carried.Length);
        Assert.InRange(carried[1] - carried[0], 0, 2.5 * heaviest);
        Assert.Equal(members, (await fleet.RowsAsync("SELECT count(*)::float8 FROM grain_directory WHERE grain_id LIKE 'cluster/%'"))[0]);
    }

    [ClusterFact]
    public async Task Join_OfASecondSilo_ClustersMoveToIt_AndNothingIsEverMissing()
    {
        const int members = 8;
        const int pods = 4_000;   // some 5 MB each, so that a move is worth it
        await using FleetUnderTest fleet = await FleetUnderTest.CreateAsync(server);
        fleet.Silos.Add(await fleet.StartSiloAsync());
        await fleet.StartGatewayAsync();
        await fleet.AddMembersAsync(members, pods);
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM cluster_load WHERE load > 4000000", measured => measured == members);

        fleet.Silos.Add(await fleet.StartSiloAsync());
        List<string> missing = [];
        await fleet.UntilRowsAsync(
            "SELECT count(DISTINCT silo)::float8 FROM grain_directory WHERE grain_id LIKE 'cluster/%'",
            silos => silos == 2,
            async () =>
            {
                JsonElement answer = await fleet.Http.GetFromJsonAsync<JsonElement>("/v1/count/pods");
                if (answer.GetProperty("total").GetInt64() != members * pods || !fleet.IsFresh(answer))
                {
                    missing.Add(answer.ToString());
                }
            });

        Assert.Empty(missing);
    }
}
