using System.Net.Http.Json;
using System.Text.Json;
using MultiCluster.TestSupport;
using Xunit.Abstractions;

namespace MultiCluster.Cluster.Tests;

/// <summary>What clients of a gateway see while a silo goes away.</summary>
public sealed class SiloLossTests(PostgresServer server, ITestOutputHelper output) : IClassFixture<PostgresServer>
{
    [ClusterFact]
    public async Task Kill_OneOfThreeSilos_AnswersSayWhatTheyCover_AndAllIsFreshAgain()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, members: 30, podsOfEach: 200);
        long start = TimeProvider.System.GetTimestamp();
        await fleet.Silos[1].SignalAsync("KILL");
        string last = "";
        while (true)
        {
            long asked = TimeProvider.System.GetTimestamp();
            JsonElement answer = await fleet.Http.GetFromJsonAsync<JsonElement>("/v1/count/pods");
            string states = string.Join(" ", answer.GetProperty("coverage").EnumerateArray().GroupBy(c => c.GetProperty("state").GetString()).Select(g => $"{g.Key}={g.Count()}"));
            string line = $"{answer.GetProperty("total")} {states}";
            if (line != last)
            {
                output.WriteLine($"{TimeProvider.System.GetElapsedTime(start).TotalSeconds:F2} s (took {TimeProvider.System.GetElapsedTime(asked).TotalMilliseconds:F0} ms): {line}");
                last = line;
            }

            if (fleet.IsFresh(answer) && TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromSeconds(5))
            {
                break;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < FleetUnderTest.Patience, fleet.Gateway.Printed + string.Join("", fleet.Silos.Select(s => s.Name + ": " + s.Printed)));
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, CancellationToken.None);
        }

        output.WriteLine(fleet.Gateway.Printed);
        foreach (ServiceProcess silo in fleet.Silos)
        {
            output.WriteLine($"{silo.Name}: {silo.Printed}");
        }
    }
}
