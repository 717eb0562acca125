using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MultiCluster.TestSupport;
using Xunit.Abstractions;

namespace MultiCluster.Cluster.Tests;

/// <summary>What clients of a gateway see while a silo goes away.</summary>
public sealed class SiloLossTests(PostgresServer server, ITestOutputHelper output) : IClassFixture<PostgresServer>
{
    private const int Members = 30;
    private const int PodsOfEach = 2_000;

    // After a kill every answer must say what it does not cover, and soon it must cover all again; the limits are the product's.
    private static readonly TimeSpan SaysSoWithin = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan FreshWithin = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan FreshAfterHangWithin = TimeSpan.FromSeconds(30);

    // Less than the 5 s after which an answer goes without whoever has not answered.
    private static readonly TimeSpan SlowestWhileOneHangs = TimeSpan.FromSeconds(4.5);

    private string _lastSummary = "";

    [ClusterFact]
    public async Task Kill_OneOfThreeSilos_AnswersSayWhatTheyCover_TheWatchGoesOn_AllIsFreshAgain()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, Members, PodsOfEach);
        await using FleetFollower follower = await FleetFollower.StartAsync(fleet);
        HashSet<string> held = await fleet.ClustersOfAsync(fleet.Silos[1]);
        await using var changes = MemberChanges.Start(fleet);

        await fleet.Silos[1].SignalAsync("KILL");
        List<FleetAnswer> answers = await AskUntilFreshAsync(fleet, FreshWithin);

        Assert.All(answers.Where(a => a.AnsweredAt > SaysSoWithin), a => Assert.Empty(Unsure(a)));
        Assert.Contains(answers, a => a.AnsweredAt < SaysSoWithin && held.SetEquals(a.NotFresh));
        Assert.All(answers.SelectMany(a => a.NotFresh), cluster => Assert.Contains(cluster, held));
        await changes.DisposeAsync();
        await AssertFollowedAsync(fleet, follower);
    }

    [ClusterFact]
    public async Task Kill_NobodyReads_TheListOfClustersSaysSo_AndTheyAreReadAnewAllTheSame()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, Members, PodsOfEach);
        HashSet<string> held = await fleet.ClustersOfAsync(fleet.Silos[1]);
        await fleet.UntilAsync("/v1/clusters", clusters => Phases(clusters).Values.All(p => p == "online"));

        await fleet.Silos[1].SignalAsync("KILL");
        long killed = TimeProvider.System.GetTimestamp();
        bool saysSo = false;
        Dictionary<string, string> phases = [];
        while (!saysSo || phases.Values.Any(p => p != "online"))
        {
            TimeSpan asked = TimeProvider.System.GetElapsedTime(killed);
            phases = Phases(await fleet.Http.GetFromJsonAsync<JsonElement>("/v1/clusters"));
            saysSo |= held.All(c => phases[c] is "pending Moving");
            Assert.True(saysSo || asked < SaysSoWithin, $"After {asked}: {string.Join(' ', phases.Where(p => held.Contains(p.Key)))}. {fleet.Printed}");
            Assert.True(asked < FreshWithin, $"After {asked}: {string.Join(' ', phases.Where(p => p.Value != "online"))}. {fleet.Printed}");
            Assert.All(phases.Where(p => !held.Contains(p.Key)), p => Assert.Equal("online", p.Value));
            await fleet.PauseAsync(TimeSpan.FromMilliseconds(50));
        }

        output.WriteLine($"online after {TimeProvider.System.GetElapsedTime(killed)}");
        await fleet.PauseAsync(FreshWithin - TimeProvider.System.GetElapsedTime(killed));
        FleetAnswer first = await FleetAnswer.AskAsync(fleet, killed);
        Assert.Empty(first.NotFresh);
        Assert.Equal(Members * PodsOfEach, first.Total);
    }

    [ClusterFact]
    public async Task Kill_TwoOfThreeSilosAtOnce_TheThirdTakesAllOver()
    {
        // Two have to agree that another is dead, unless only one is left; that is what the last one must find out first.
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, members: 6, podsOfEach: 100);
        await Task.WhenAll(fleet.Silos[0].SignalAsync("KILL"), fleet.Silos[1].SignalAsync("KILL"));

        await AskUntilFreshAsync(fleet, FreshAfterHangWithin);
    }

    [ClusterFact]
    public async Task Terminate_OneAfterTheOther_NoRequestFails_NothingIsEverMissing_TheWatchGoesOn()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, Members, PodsOfEach);
        await using FleetFollower follower = await FleetFollower.StartAsync(fleet);
        await using var changes = MemberChanges.Start(fleet);
        using var stop = new CancellationTokenSource();
        Task<List<string>> labelling = ChangeLabelsAsync(fleet, stop.Token);
        foreach (ServiceProcess silo in fleet.Silos.ToArray())
        {
            // As a rolling update does: the new one runs before the old one is asked to go.
            fleet.Silos.Add(await fleet.StartSiloAsync());
            await silo.SignalAsync("TERM");
            List<FleetAnswer> answers = await AskWhileAsync(fleet, silo.ExitedAsync());
            Assert.True(silo.ExitCode == 0, silo.Printed);
            Assert.All(answers, a => Assert.True(a.NotFresh.Count == 0, $"After {a.AskedAt}: {string.Join(' ', a.NotFresh.Select(c => $"{c} {a.States[c]}"))}. {fleet.Printed}"));
        }

        await stop.CancelAsync();
        Assert.Empty(await labelling);
        await changes.DisposeAsync();
        await AssertFollowedAsync(fleet, follower);
    }

    [ClusterFact]
    public async Task Stop_SiloHangsForAMinute_OthersTakeOver_AndTheWatchGoesOn()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, Members, PodsOfEach);
        await using FleetFollower follower = await FleetFollower.StartAsync(fleet);
        HashSet<string> held = await fleet.ClustersOfAsync(fleet.Silos[2]);
        await using var changes = MemberChanges.Start(fleet);
        long stopped = TimeProvider.System.GetTimestamp();

        await fleet.Silos[2].SignalAsync("STOP");
        List<FleetAnswer> answers = await AskUntilFreshAsync(fleet, FreshAfterHangWithin);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"slowest answer {answers.Max(a => a.AnsweredAt - a.AskedAt).TotalSeconds:F2} s"));

        // Calls to the other two lead over the one that hangs, too; they must find another way before the answer is due.
        Assert.All(answers, a => Assert.True(held.IsSupersetOf(a.NotFresh), $"After {a.AskedAt}: {string.Join(' ', a.NotFresh.Except(held).Select(c => $"{c} {a.States[c]}"))}. {fleet.Printed}"));
        Assert.All(answers, a => Assert.InRange(a.AnsweredAt - a.AskedAt, TimeSpan.Zero, SlowestWhileOneHangs));
        await fleet.PauseAsync(TimeSpan.FromMinutes(1) - TimeProvider.System.GetElapsedTime(stopped));
        await fleet.Silos[2].SignalAsync("CONT");
        await AskUntilFreshAsync(fleet, FreshWithin, least: TimeSpan.FromSeconds(5));

        // Whoever watches over the process must see that it was not asked to end, and why it did.
        await fleet.Silos[2].ExitedAsync();
        Assert.True(fleet.Silos[2].ExitCode == 1, $"{fleet.Silos[2].ExitCode} {fleet.Silos[2].Printed}");
        Assert.Contains("This silo was declared dead while it stood still", fleet.Silos[2].Printed, StringComparison.Ordinal);
        await changes.DisposeAsync();
        await AssertFollowedAsync(fleet, follower);
    }

    [ClusterFact]
    public async Task Stop_SiloOrGatewayStandsStillForSeconds_NobodyElseIsBlamed_AndAllIsBackAtOnce()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, members: 9, podsOfEach: 100);
        HashSet<string> held = await fleet.ClustersOfAsync(fleet.Silos[1]);

        await fleet.Silos[1].SignalAsync("STOP");
        Task running = ContinueAsync(fleet.Silos[1], TimeSpan.FromSeconds(3));
        List<FleetAnswer> answers = await AskForAsync(fleet, TimeSpan.FromSeconds(10));
        await running;
        await fleet.Gateway.SignalAsync("STOP");
        await ContinueAsync(fleet.Gateway, TimeSpan.FromSeconds(4));
        List<FleetAnswer> afterwards = await AskForAsync(fleet, TimeSpan.FromSeconds(6));

        Assert.All(answers.SelectMany(a => a.NotFresh), cluster => Assert.Contains(cluster, held));
        Assert.All(answers.Where(a => a.AskedAt > TimeSpan.FromSeconds(6)), a => Assert.True(a.NotFresh.Count == 0, $"After {a.AskedAt}: {string.Join(' ', a.NotFresh)}. {fleet.Printed}"));
        Assert.All(afterwards.Where(a => a.AskedAt > TimeSpan.FromSeconds(2)), a => Assert.True(a.NotFresh.Count == 0, $"After {a.AskedAt}: {string.Join(' ', a.NotFresh)}. {fleet.Printed}"));

        async Task ContinueAsync(ServiceProcess process, TimeSpan after)
        {
            await fleet.PauseAsync(after);
            await process.SignalAsync("CONT");
        }
    }

    [ClusterFact]
    public async Task Database_Restarts_AnswersGoOn_AndWhatWasRegisteredStays()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, Members, PodsOfEach);
        await using FleetFollower follower = await FleetFollower.StartAsync(fleet);
        await using var changes = MemberChanges.Start(fleet);

        await server.StopAsync(immediately: true);
        List<FleetAnswer> without = await AskForAsync(fleet, TimeSpan.FromSeconds(10));
        using HttpResponseMessage change = await fleet.Http.PatchAsJsonAsync("/v1/clusters/member-00", new { labels = new { tier = "gold" } });
        string said = await change.Content.ReadAsStringAsync();
        await server.StartAsync();
        await AskUntilFreshAsync(fleet, FreshWithin);

        // What cannot be stored is refused in words; nobody is told that it is done.
        Assert.True(change.StatusCode == HttpStatusCode.ServiceUnavailable && said.Contains("The change is not confirmed", StringComparison.Ordinal), $"{change.StatusCode} {said} {fleet.Printed}");
        Assert.Contains("a change was not confirmed", fleet.Gateway.Printed, StringComparison.Ordinal);
        Assert.All(without, a => Assert.Empty(a.NotFresh));
        Assert.All(fleet.Silos.Append(fleet.Gateway), p => Assert.False(p.HasExited, p.Printed));
        await changes.DisposeAsync();
        await AssertFollowedAsync(fleet, follower);
    }

    [ClusterFact]
    public async Task Terminate_WhileTheDatabaseIsAway_AnswersGoOn_AndItHandsOverOnceThatIsBack()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.StartAsync(server, silos: 3, Members, PodsOfEach);
        await using FleetFollower follower = await FleetFollower.StartAsync(fleet);
        await using var changes = MemberChanges.Start(fleet);

        await server.StopAsync(immediately: true);
        await fleet.Silos[0].SignalAsync("TERM");
        List<FleetAnswer> answers = await AskForAsync(fleet, TimeSpan.FromSeconds(15));
        Assert.False(fleet.Silos[0].HasExited, fleet.Printed);
        Assert.Contains("cannot hand its clusters over without the database", fleet.Silos[0].Printed, StringComparison.Ordinal);
        await server.StartAsync();
        answers.AddRange(await AskWhileAsync(fleet, fleet.Silos[0].ExitedAsync()));

        Assert.True(fleet.Silos[0].ExitCode == 0, fleet.Silos[0].Printed);
        Assert.All(answers, a => Assert.True(a.NotFresh.Count == 0, $"After {a.AskedAt}: {string.Join(' ', a.NotFresh.Select(c => $"{c} {a.States[c]}"))}. {fleet.Printed}"));
        await changes.DisposeAsync();
        await AssertFollowedAsync(fleet, follower);
    }

    /// <summary>Changes labels of one cluster after the other; comes back with what was refused.</summary>
    private static async Task<List<string>> ChangeLabelsAsync(FleetUnderTest fleet, CancellationToken stop)
    {
        List<string> refused = [];
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            string name = fleet.Members[i % fleet.Members.Count].Options.Name;
            using HttpResponseMessage answer = await fleet.Http.PatchAsJsonAsync($"/v1/clusters/{name}", new { labels = new { round = i.ToString(CultureInfo.InvariantCulture) } }, CancellationToken.None);
            if (!answer.IsSuccessStatusCode)
            {
                refused.Add($"{name}: {answer.StatusCode} {await answer.Content.ReadAsStringAsync(CancellationToken.None)}");
            }

            await fleet.PauseAsync(TimeSpan.FromMilliseconds(50));
        }

        return refused;
    }

    /// <summary>Asks again and again; every answer must be an answer, and must not pretend to cover what it does not.</summary>
    private async Task<List<FleetAnswer>> AskUntilFreshAsync(FleetUnderTest fleet, TimeSpan within, TimeSpan least = default)
    {
        long start = TimeProvider.System.GetTimestamp();
        List<FleetAnswer> answers = [];
        while (true)
        {
            answers.Add(await AskAsync(fleet, start));
            TimeSpan elapsed = TimeProvider.System.GetElapsedTime(start);
            bool hasBeenSeen = answers.Any(a => a.NotFresh.Count > 0) || elapsed > TimeSpan.FromSeconds(6);
            if (answers[^1].NotFresh.Count == 0 && hasBeenSeen && elapsed > least)
            {
                output.WriteLine($"fresh after {elapsed.TotalSeconds:F2} s, {answers.Count} answers");
                return answers;
            }

            Assert.True(elapsed < within, $"After {elapsed} still not fresh: {string.Join(' ', answers[^1].NotFresh)}. {fleet.Printed}");
            await fleet.PauseAsync(TimeSpan.FromMilliseconds(50));
        }
    }

    /// <summary>Asks until something has happened, and for a while longer.</summary>
    private async Task<List<FleetAnswer>> AskWhileAsync(FleetUnderTest fleet, Task happens)
    {
        long start = TimeProvider.System.GetTimestamp();
        List<FleetAnswer> answers = [];
        while (!happens.IsCompleted)
        {
            answers.Add(await AskAsync(fleet, start));
            await fleet.PauseAsync(TimeSpan.FromMilliseconds(20));
        }

        await happens;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ended after {TimeProvider.System.GetElapsedTime(start).TotalSeconds:F2} s, {answers.Count} answers"));
        answers.AddRange(await AskForAsync(fleet, TimeSpan.FromSeconds(3)));
        return answers;
    }

    private async Task<List<FleetAnswer>> AskForAsync(FleetUnderTest fleet, TimeSpan time)
    {
        long start = TimeProvider.System.GetTimestamp();
        List<FleetAnswer> answers = [];
        while (TimeProvider.System.GetElapsedTime(start) < time)
        {
            answers.Add(await AskAsync(fleet, start));
            await fleet.PauseAsync(TimeSpan.FromMilliseconds(50));
        }

        return answers;
    }

    private async Task<FleetAnswer> AskAsync(FleetUnderTest fleet, long start)
    {
        FleetAnswer answer;
        try
        {
            answer = await FleetAnswer.AskAsync(fleet, start);
        }
        catch (HttpRequestException e)
        {
            throw new InvalidOperationException($"No answer: {e.Message} {fleet.Printed}", e);
        }

        Assert.Equal(fleet.Members.Count, answer.States.Count);
        string summary = string.Join(' ', answer.States.Values.GroupBy(s => s, StringComparer.Ordinal).Select(g => $"{g.Key}={g.Count()}"));
        if (summary != _lastSummary)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{answer.AskedAt.TotalSeconds:F2} s: {summary}"));
            _lastSummary = summary;
        }

        foreach (string failure in answer.Failures)
        {
            output.WriteLine($"{failure} {string.Join('\n', fleet.Gateway.Printed.Split('\n').TakeLast(40))}");
        }

        return answer;
    }

    private static async Task AssertFollowedAsync(FleetUnderTest fleet, FleetFollower follower)
    {
        Dictionary<string, string> truth = await fleet.TruthAsync();
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            Dictionary<string, string> followed = follower.Objects;
            string[] wrong = [.. truth.Where(t => followed.GetValueOrDefault(t.Key) != t.Value).Select(t => $"{t.Key}: is {t.Value}, followed {followed.GetValueOrDefault(t.Key)}"),
                .. followed.Keys.Where(k => !truth.ContainsKey(k)).Select(k => $"{k}: is gone, followed")];
            if (wrong.Length == 0)
            {
                break;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < FleetUnderTest.Patience, $"{wrong.Length} wrong: {string.Join("; ", wrong.Take(10))}. {string.Join("; ", follower.Faults)} {fleet.Printed}");
            await fleet.PauseAsync(TimeSpan.FromMilliseconds(200));
        }

        Assert.True(follower.Faults.Count == 0, $"{string.Join("; ", follower.Faults.Take(10))} {fleet.Printed}");
    }

    private static Dictionary<string, string> Phases(JsonElement clusters) =>
        clusters.GetProperty("items").EnumerateArray().ToDictionary(c => c.GetProperty("name").GetString()!, Phase, StringComparer.Ordinal);

    private static string Phase(JsonElement cluster)
    {
        JsonElement status = cluster.GetProperty("status");
        string phase = status.GetProperty("phase").GetString()!;
        return status.TryGetProperty("fault", out JsonElement fault) && fault.ValueKind == JsonValueKind.Object ? $"{phase} {fault.GetProperty("kind").GetString()}" : phase;
    }

    /// <summary>What an answer says of clusters other than that they are covered, or will be.</summary>
    private static string[] Unsure(FleetAnswer answer) => [.. answer.States.Where(s => s.Value is not ("ok" or "syncing" or "stale")).Select(s => $"{s.Key}={s.Value}")];
}
