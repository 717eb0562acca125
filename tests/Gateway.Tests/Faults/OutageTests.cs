using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using MultiCluster.Gateway.Tests.EndToEnd;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>A whole member is sick, in every way a member can be; beside it a healthy one.</summary>
public sealed class OutageTests(FaultFixture fixture) : IClassFixture<FaultFixture>
{
    private static readonly string[] FewKinds = ["pods", "configmaps", "services", "deployments.apps", "namespaces"];

    [Fact]
    public async Task Outage_OfEveryKind_ShowsOnThatClusterAloneKeepsWhatThereWasAndRecovers()
    {
        (string Name, Fault? Fault, string Phase, string[] Kinds, string[] States)[] cases =
        [
            ("refused", null, "offline", ["ConnectionRefused"], ["offline"]),
            ("abort", new Fault(FaultKind.Abort), "offline", ["ConnectionRefused"], ["offline"]),
            ("html", new Fault(FaultKind.Html), "offline", ["Protocol"], ["offline"]),
            ("unauthorized", new Fault(FaultKind.Status) { StatusCode = 401 }, "auth_failed", ["Unauthorized"], ["forbidden"]),
            ("forbidden", new Fault(FaultKind.Status) { StatusCode = 403 }, "auth_failed", ["Forbidden"], ["forbidden"]),
            ("throttled", new Fault(FaultKind.Status) { StatusCode = 429, RetryAfterSeconds = 1 }, "degraded", ["Throttled"], ["failed"]),
            ("broken", new Fault(FaultKind.Status) { StatusCode = 500 }, "degraded", ["ServerError"], ["failed"]),
            ("unavailable", new Fault(FaultKind.Status) { StatusCode = 503, RetryAfterSeconds = 1 }, "degraded", ["ServerError"], ["failed"]),
            ("silent", new Fault(FaultKind.Silence), "offline", ["Timeout"], ["offline"]),
            ("slow", new Fault(FaultKind.Latency) { Delay = TimeSpan.FromSeconds(300) }, "offline", ["Timeout"], ["offline"]),
            ("dripping", new Fault(FaultKind.SlowDrip) { Delay = TimeSpan.FromSeconds(10), Bytes = 1 }, "offline", ["Timeout"], ["offline"]),
            ("garbage", new Fault(FaultKind.Garbage), "degraded", ["OutOfSync"], ["failed"]),
        ];
        await using WatchedFleet watch = await WatchedFleet.StartAsync(fixture.Http, "pods");

        string[] tokens = await Task.WhenAll(cases.Select(c => SickenAndHealAsync(c.Name, c.Fault, c.Phase, c.Kinds, c.States)));

        await watch.UntilTrueAsync(fixture.Service, "pods");
        Assert.DoesNotContain(watch.Events, e => e.StartsWith("deleted", StringComparison.Ordinal));
        await fixture.AssertNothingLeaksAsync(tokens);
        await fixture.AssertWellAsync();
        foreach ((string name, _, _, _, _) in cases)
        {
            LogLine[] said = fixture.Log.About(name, LogLevel.Information);

            // Three lines of the joining, four of the phases there and back by way of degraded, one for each kind that is given up for a while.
            Assert.True(said.Length <= 7 + FewKinds.Length, $"{name} logged {said.Length} lines:\n{string.Join('\n', said.AsEnumerable())}");
        }
    }

    private async Task<string> SickenAndHealAsync(string name, Fault? fault, string phase, string[] kinds, string[] states)
    {
        try
        {
            SimulatedCluster sick = await fixture.JoinAsync(name, 2, FewKinds);
            if (fault is null)
            {
                await sick.StopListeningAsync();
            }
            else
            {
                sick.Faults.Add(fault);
                if (fault.Kind is FaultKind.Silence or FaultKind.Latency)
                {
                    sick.Faults.EndWatches();   // in good order, so that they are opened again at once, and hang
                }
                else
                {
                    sick.Faults.CutWatches();
                }
            }

            JsonElement status = await fixture.UntilStatusAsync(name, s => FaultFixture.Phase(s) == phase && kinds.Contains(FaultFixture.FaultKind(s)));
            Assert.NotEmpty(status.GetProperty("fault").GetProperty("message").GetString()!);
            JsonElement page = await fixture.UntilListedAsync(name, "pods", (coverage, _) => states.Contains(FaultFixture.State(coverage)));
            Assert.Equal(2, page.GetProperty("items").GetArrayLength());
            Assert.True(page.GetProperty("coverage")[0].GetProperty("ageSeconds").GetDouble() >= 0);
            Assert.NotEmpty(FaultFixture.FaultKind(page.GetProperty("coverage")[0]));

            sick.Objects.Create(Members.Pod($"{name}-meanwhile"));
            if (fault is null)
            {
                await sick.StartListeningAsync();
            }
            else
            {
                sick.Faults.Clear();
            }

            await fixture.UntilStatusAsync(name, s => FaultFixture.Phase(s) == "online");
            await fixture.UntilCoveredAsync(name, "pods", 3);
            string token = sick.AdminToken;
            _sick.Add(sick);
            return token;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{name}: {e.Message}\n{string.Join('\n', fixture.Log.About(name, LogLevel.Information).AsEnumerable())}", e);
        }
    }

    private readonly System.Collections.Concurrent.ConcurrentBag<SimulatedCluster> _sick = [];

    [Fact]
    public async Task Outage_OfAClusterWithEveryKind_IsLoggedOnceAndNotPerKind()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("wide");
        int before = fixture.Log.About("wide", LogLevel.Information).Length;

        await member.StopListeningAsync();
        await fixture.UntilStatusAsync("wide", s => FaultFixture.Phase(s) == "offline");
        await fixture.UntilListedAsync("wide", "pods", (coverage, _) => FaultFixture.FaultKind(coverage) == "ConnectionRefused");
        await member.StartListeningAsync();
        await fixture.UntilStatusAsync("wide", s => FaultFixture.Phase(s) == "online");
        await fixture.UntilStatusAsync("wide", s => s.GetProperty("kindsSyncing").GetInt32() == 0 && FaultFixture.Phase(s) == "online");

        LogLine[] said = fixture.Log.About("wide", LogLevel.Information);
        Assert.True(said.Length - before is >= 1 and <= 10, string.Join('\n', said.Skip(before)));
        Assert.Single(said.Skip(before), line => line.Level == LogLevel.Warning && line.Text.StartsWith("Cluster wide: Offline", StringComparison.Ordinal));
        await fixture.RemoveAsync("wide");
    }

    [Fact]
    public async Task Latency_OfOneMember_ChangesNothingForTheOthers()
    {
        await using SimulatedCluster slow = await fixture.JoinAsync("crawling", 2, FewKinds);
        TimeSpan before = await SlowestOfAsync("/v1/resources/pods?cluster=well&projection=none");
        slow.Faults.Add(new Fault(FaultKind.Latency) { Delay = TimeSpan.FromSeconds(300) });
        slow.Faults.CutWatches();

        Task<JsonElement> live = fixture.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods?cluster=well&cluster=crawling&source=live&deadline=5s");
        TimeSpan during = await SlowestOfAsync("/v1/resources/pods?cluster=well&projection=none");
        TimeSpan fleet = await SlowestOfAsync("/v1/resources/pods?projection=none");

        // Generous, because the machine may be busy; a wait for the slow one would be many seconds.
        var limit = TimeSpan.FromMilliseconds(Math.Max(2_000, before.TotalMilliseconds * 5));
        Assert.True(during < limit && fleet < limit, $"{before} before, {during} during, {fleet} over the fleet");
        JsonElement page = await live.WaitAsync(ServiceUnderTest.Patience);
        Assert.Equal(
            ["timeout", "ok"],
            page.GetProperty("coverage").EnumerateArray().Select(FaultFixture.State));
        Assert.Equal(3, page.GetProperty("items").GetArrayLength());

        slow.Faults.Clear();
        await fixture.UntilStatusAsync("crawling", s => FaultFixture.Phase(s) == "online");
        await fixture.UntilCoveredAsync("crawling", "pods", 2);
        await fixture.RemoveAsync("crawling");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Readyz_Flapping_ListsNothingAgainAndLogsLittle()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("flapping", 2, FewKinds);
        for (int i = 0; i < 3; i++)
        {
            member.Faults.FailHealthChecks("etcd");
            JsonElement status = await fixture.UntilStatusAsync("flapping", s => FaultFixture.Phase(s) == "degraded");
            Assert.Contains("etcd", status.GetProperty("fault").GetProperty("message").GetString()!, StringComparison.Ordinal);
            member.Faults.FailHealthChecks();
            await fixture.UntilStatusAsync("flapping", s => FaultFixture.Phase(s) == "online");
        }

        JsonElement kinds = (await fixture.Http.GetFromJsonAsync<JsonElement>("/v1/clusters/flapping")).GetProperty("kinds");
        Assert.Equal(1, kinds.EnumerateArray().Single(k => k.GetProperty("plural").GetString() == "pods").GetProperty("lists").GetInt64());
        Assert.True(fixture.Log.About("flapping", LogLevel.Information).Length <= 14);
        await fixture.RemoveAsync("flapping");
        await fixture.AssertWellAsync();
    }

    private async Task<TimeSpan> SlowestOfAsync(string path)
    {
        // The 49th of 50: p98 of few, since one collection may hit any single one.
        List<TimeSpan> times = [];
        for (int i = 0; i < 50; i++)
        {
            long start = Stopwatch.GetTimestamp();
            _ = await fixture.Http.GetByteArrayAsync(path);
            times.Add(Stopwatch.GetElapsedTime(start));
        }

        times.Sort();
        return times[^2];
    }
}
