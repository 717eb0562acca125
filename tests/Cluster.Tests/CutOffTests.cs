using System.Text.Json;
using MultiCluster.Simulator.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Cluster.Tests;

/// <summary>A silo that may have lost its clusters stops acting for them.</summary>
public sealed class CutOffTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    private const int Members = 6;
    private const int PodsOfEach = 50;

    [ClusterFact]
    public async Task CutOff_FromTheDatabaseAndAnotherSilo_StopsActing_UntilItIsBack()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.CreateAsync(server);
        await using var relay = new TcpRelay(fleet.DatabaseEndpoint);
        fleet.Silos.Add(await fleet.StartSiloAsync(("Database:ConnectionString", fleet.ConnectionStringThrough(relay))));
        await fleet.StartGatewayAsync();
        await fleet.AddMembersAsync(Members, PodsOfEach);
        ServiceProcess other = await fleet.StartSiloAsync(("SiloNetwork:Rebalance", "false"));
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM silo WHERE status = 3", active => active == 2);

        // All clusters live on the first silo, which now reaches neither the database nor the one other silo.
        relay.Cut();
        await other.SignalAsync("KILL");

        // It has let go of its members while its lease still holds: nobody else can have begun.
        await NoWatchesAsync(fleet);
        await fleet.UntilRowsAsync(
            "SELECT extract(epoch FROM max(renewed_at) + interval '3 s' - clock_timestamp())::float8 FROM silo_lease",
            left => left > 0 ? true : throw new InvalidOperationException($"It acted for {-left:F2} s longer than its lease. {fleet.Printed}"));
        await fleet.UntilAsync("/v1/count/pods", answer => Faults(answer).All(fault => fault == "CutOff"));
        long[] calls = [.. fleet.Members.Select(m => m.Calls.Count)];
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM silo_lease WHERE renewed_at > clock_timestamp() - interval '3 s'", held => held == 0);
        JsonElement cut = await fleet.UntilAsync("/v1/count/pods", _ => true);
        Assert.Equal(Members * PodsOfEach, cut.GetProperty("total").GetInt64());
        Assert.Equal(calls, fleet.Members.Select(m => m.Calls.Count));

        relay.Mend();
        await fleet.UntilAsync("/v1/count/pods", fleet.IsFresh);
        Assert.False(fleet.Silos[0].HasExited, fleet.Printed);
        await other.DisposeAsync();
    }

    [ClusterFact]
    public async Task CutOff_FromTheDatabaseAlone_GoesOn_BecauseNobodyTakesOver()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.CreateAsync(server);
        await using var relay = new TcpRelay(fleet.DatabaseEndpoint);
        fleet.Silos.Add(await fleet.StartSiloAsync(("Database:ConnectionString", fleet.ConnectionStringThrough(relay))));
        fleet.Silos.Add(await fleet.StartSiloAsync());
        await fleet.StartGatewayAsync();
        await fleet.AddMembersAsync(Members, PodsOfEach);

        relay.Cut();
        await fleet.PauseAsync(TimeSpan.FromSeconds(8));
        JsonElement answer = await fleet.UntilAsync("/v1/count/pods", _ => true);
        Assert.True(fleet.IsFresh(answer), $"{answer} {fleet.Printed}");

        relay.Mend();
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM silo_lease WHERE renewed_at > clock_timestamp() - interval '1 s'", held => held == 2);
    }

    private static IEnumerable<string?> Faults(JsonElement answer) => answer.GetProperty("coverage").EnumerateArray()
        .Select(c => c.TryGetProperty("fault", out JsonElement fault) ? fault.GetProperty("kind").GetString() : null);

    private static async Task NoWatchesAsync(FleetUnderTest fleet)
    {
        using var deadline = new CancellationTokenSource(FleetUnderTest.Patience);
        foreach (SimulatedCluster member in fleet.Members)
        {
            while (member.Faults.OpenWatches > 0)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, deadline.Token);
            }
        }
    }
}
