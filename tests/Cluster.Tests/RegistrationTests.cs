using System.Globalization;
using System.Text.Json;
using MultiCluster.TestSupport;

namespace MultiCluster.Cluster.Tests;

/// <summary>What was acknowledged stays, and each cluster lives once, whatever ends meanwhile.</summary>
public sealed class RegistrationTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    private const int AtFirst = 6;
    private const int PodsOfEach = 20;

    [ClusterFact]
    public async Task Kill_WhileClustersAreRegistered_NoAcknowledgedOneIsLost()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, AtFirst, PodsOfEach);
        List<string> acknowledged = [];
        Task registering = Task.Run(async () =>
        {
            for (int i = 0; i < 40; i++)
            {
                string name = string.Create(CultureInfo.InvariantCulture, $"late-{i:00}");
                if (await fleet.TryRegisterAsync(name, fleet.Members[i % AtFirst]))
                {
                    acknowledged.Add(name);
                }
            }
        });
        await fleet.UntilAsync("/v1/clusters", answer => Names(answer).Contains("late-05"));

        await fleet.Silos[1].SignalAsync("KILL");
        await registering;

        Assert.NotEmpty(acknowledged);
        JsonElement answer = await fleet.UntilAsync("/v1/clusters", answer => acknowledged.All(Names(answer).Contains));

        // One whose answer was lost with the silo may be there or not; it is whole in either case.
        Assert.InRange(Names(answer).Count, AtFirst + acknowledged.Count, AtFirst + 40);
        await AssertAllLiveOnceAsync(fleet, Names(answer));
    }

    [ClusterFact]
    public async Task Restart_OfEverything_EachClusterIsBackAndLivesOnce()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 2, AtFirst, PodsOfEach);
        foreach (ServiceProcess process in fleet.Silos.Append(fleet.Gateway).ToArray())
        {
            await process.SignalAsync("KILL");
            await process.ExitedAsync();
        }

        fleet.Silos.Add(await fleet.StartSiloAsync());
        fleet.Silos.Add(await fleet.StartSiloAsync());
        ServiceProcess before = fleet.Gateway;
        await fleet.StartGatewayAsync();
        await before.DisposeAsync();

        // Nobody names a cluster: the fleet starts them by itself.
        await fleet.UntilAsync("/v1/count/pods", answer => answer.GetProperty("total").GetInt64() == AtFirst * PodsOfEach && fleet.IsFresh(answer));
        await AssertAllLiveOnceAsync(fleet, [.. fleet.Members.Select(m => m.Options.Name)]);
    }

    /// <summary>By the directory, and by what the members see: one watch of pods each.</summary>
    private static async Task AssertAllLiveOnceAsync(FleetUnderTest fleet, IReadOnlyCollection<string> clusters)
    {
        // Of these only: where a registration was lost on the way, a grain of that name may be in memory that holds nothing, until it is idle for long enough.
        string names = string.Join(", ", clusters.Select(c => $"'cluster/{c}'"));
        await fleet.UntilRowsAsync(
            $"SELECT count(*)::float8 FROM grain_directory d JOIN silo_lease l ON l.silo = d.silo WHERE d.grain_id IN ({names})", living => living == clusters.Count);
        double[] twice = await fleet.RowsAsync("SELECT count(*)::float8 FROM grain_directory WHERE grain_id LIKE 'cluster/%' GROUP BY grain_id HAVING count(*) > 1");
        Assert.Empty(twice);
    }

    private static HashSet<string> Names(JsonElement answer) => [.. answer.GetProperty("items").EnumerateArray().Select(c => c.GetProperty("name").GetString()!)];
}
