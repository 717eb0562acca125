using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;
using MultiCluster.TestSupport;
using Orleans.Runtime;
using Orleans.Runtime.Messaging;

namespace MultiCluster.Gateway.Tests.Reads;

public sealed class FleetWatchTests
{
    private static readonly ResourceType Maps = SimulatedCluster.ConfigMaps;

    [Fact]
    public async Task Watch_WithoutRevision_ShowsThePresentThenChanges()
    {
        using var fleet = new SimulatedFleet(clusters: 3);
        fleet["c0000"].Put(Maps, "n", "a");
        fleet["c0002"].Put(Maps, "n", "b");
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        Assert.Equal(["+c0000/n/a", "+c0002/n/b"], watch.Seen.Order());
        Assert.Equal(3, watch.Coverage.Count);

        fleet["c0001"].Put(Maps, "n", "c");
        fleet["c0000"].Put(Maps, "n", "a");
        fleet["c0002"].Delete(Maps, "n", "b");
        await watch.ReadUntilAsync(_ => watch.Seen.Count >= 5);
        Assert.Equal(["+c0001/n/c", "-c0002/n/b", "~c0000/n/a"], watch.Seen.Skip(2).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Watch_ObjectLeavesAndEntersSelection_IsDeletedWithItsLastMatchingStateAndAdded()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        SimulatedCluster cluster = fleet["c0000"];
        cluster.Put(Maps, "n", "a", "\"app\":\"web\"", ""","data":{"step":"1"}""");
        await using var watch = new WatchReader(fleet, Query() with { Objects = Query().Objects with { LabelSelector = "app=web" } });
        await watch.ReadUntilAsync(b => b.InitialEnd);
        cluster.Put(Maps, "n", "a", "\"app\":\"api\"", ""","data":{"step":"2"}""");
        cluster.Put(Maps, "n", "a", "\"app\":\"api\"", ""","data":{"step":"3"}""");
        cluster.Put(Maps, "n", "a", "\"app\":\"web\"", ""","data":{"step":"4"}""");
        await watch.ReadUntilAsync(_ => watch.Seen.Count >= 3);
        Assert.Equal(["+c0000/n/a", "-c0000/n/a", "+c0000/n/a"], watch.Seen);
        Assert.Contains("\"step\":\"1\"", watch.Texts[1], StringComparison.Ordinal);
        Assert.Contains("\"step\":\"4\"", watch.Texts[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_ClusterThatDoesNotKnowItselfYet_IsAskedAgain_AndHeldBackUntilThen()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        SimulatedCluster early = fleet.Join("new", unknownTo: 2);
        early.Put(Maps, "n", "a");
        long joinedAt = fleet.View.Current.Clusters["new"].JoinedAt;

        await watch.ReadUntilAsync(b =>
        {
            Assert.True(watch.Seen.Count > 0 || b.Revision < joinedAt, "Whoever resumed from here would miss what was not told.");
            return watch.Seen.Count == 1;
        });
        Assert.Equal("+new/n/a", watch.Seen[0]);
        Assert.True(early.UnknownTo < 0);

        fleet.Join("never", unknownTo: int.MaxValue);
        await watch.ReadUntilAsync(b => b.Coverage.Any(c => c.Cluster == "never"));
        fleet.Leave("never");
        await watch.ReadUntilAsync(b => b.Gone.Contains("never"));
    }

    [Fact]
    public async Task Watch_ClusterJoinsAndLeaves_AddsAndDeletesItsObjects()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        fleet.Join("new").Put(Maps, "n", "a");
        await watch.ReadUntilAsync(_ => watch.Seen.Count == 1);
        Assert.Equal("+new/n/a", watch.Seen[0]);
        fleet.Leave("new");
        await watch.ReadUntilAsync(b => b.Gone.Contains("new"));
        Assert.Equal("-new/n/a", watch.Seen[^1]);

        // And back again under its name.
        fleet.Join("new").Put(Maps, "n", "b");
        await watch.ReadUntilAsync(_ => watch.Seen[^1] == "+new/n/b");
    }

    [Fact]
    public async Task Watch_ClusterIsBackBeforeItsLeaveIsTold_GivesNoRevisionPastItsReturn()
    {
        var time = new ManualTimeProvider();
        using var fleet = new SimulatedFleet(time, clusters: 1);
        fleet.Join("a").Put(Maps, "n", "before");
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        fleet.Leave("a");
        fleet.Join("a").Put(Maps, "n", "after");
        long returned = fleet.Entry("a").JoinedAt;

        time.Advance(TimeSpan.FromSeconds(1));
        await watch.ReadUntilAsync(b => b.Gone.Contains("a"));

        // Whoever resumes from it would ask the new cluster only for what came later.
        Assert.InRange(watch.Revision, 1, returned - 1);
        await watch.ReadUntilAsync(_ => watch.Seen.Contains("+a/n/after"));
        Assert.Equal(["+a/n/before", "-a/n/before", "+a/n/after"], watch.Seen);
    }

    [Fact]
    public async Task Watch_ClusterTakesLeaveBeforeTheFleetSaysSo_IsGoneOnceAndTheRevisionStands()
    {
        var time = new ManualTimeProvider();
        using var fleet = new SimulatedFleet(time, clusters: 1);
        fleet.Join("a").Put(Maps, "n", "o");
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        fleet["a"].Mirror.Freeze();
        await watch.ReadUntilAsync(b => b.Gone.Contains("a"));
        long before = watch.Revision;

        time.Advance(TimeSpan.FromSeconds(1));
        fleet["c0000"].Put(Maps, "n", "later");
        fleet.Report("c0000", ClusterPhase.Degraded);
        await watch.ReadUntilAsync(_ => watch.Seen.Contains("+c0000/n/later"));
        time.Advance(TimeSpan.FromSeconds(1));
        fleet.Leave("a");
        fleet["c0000"].Put(Maps, "n", "last");
        await watch.ReadUntilAsync(_ => watch.Seen.Contains("+c0000/n/last"));

        Assert.Equal(["a"], watch.Gone);
        Assert.InRange(watch.Revision, before, long.MaxValue);
    }

    [Fact]
    public async Task Watch_ClusterStopsMatchingSelection_TakesLeave()
    {
        using var fleet = new SimulatedFleet();
        fleet.Join("a", "prod").Put(Maps, "n", "o");
        fleet.Join("b", "test").Put(Maps, "n", "o");
        await using var watch = new WatchReader(fleet, Query() with { Clusters = new ClusterSelection { LabelSelector = "tier=prod" } });
        await watch.ReadUntilAsync(b => b.InitialEnd);
        Assert.Equal(["+a/n/o"], watch.Seen);
        fleet.Change("b", e => e with { Labels = e.Labels.SetItem("tier", "prod") });
        await watch.ReadUntilAsync(_ => watch.Seen.Count == 2);
        fleet.Change("a", e => e with { Labels = e.Labels.SetItem("tier", "test") });
        await watch.ReadUntilAsync(b => b.Gone.Contains("a"));
        Assert.Equal(["+a/n/o", "+b/n/o", "-a/n/o"], watch.Seen);
        fleet.Change("b", e => e with { Enabled = false });
        await watch.ReadUntilAsync(b => b.Gone.Contains("b"));
        Assert.Equal("-b/n/o", watch.Seen[^1]);
    }

    [Fact]
    public async Task Watch_ResumesAfterJoinLeaveAndRelist_MissesNothing()
    {
        using var fleet = new SimulatedFleet(clusters: 3);
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            cluster.Put(Maps, "n", "a");
            cluster.Put(Maps, "n", "b");
        }

        fleet.Progress();
        (_, long revision) = await fleet.ListAllAsync(new FleetQuery { Objects = Query().Objects });
        fleet["c0000"].Relist(Maps, [fleet["c0000"].Json(Maps, "n", "b"), fleet["c0000"].Json(Maps, "n", "c")]);
        fleet.Join("x").Put(Maps, "n", "new");
        fleet["c0001"].Put(Maps, "n", "late");
        fleet.Leave("c0001");
        await using var watch = new WatchReader(fleet, Query() with { Since = revision.ToString() });
        await watch.ReadUntilAsync(_ => watch.Gone.Contains("c0001") && watch.Seen.Contains("+x/n/new") && watch.Seen.Contains("+c0000/n/c"));
        Assert.Contains("-c0000/n/a", watch.Seen);
        Assert.Contains("-c0001/n/a", watch.Seen);
        Assert.Contains("-c0001/n/late", watch.Seen);
        Assert.DoesNotContain(watch.Seen, s => s.Contains("c0002", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Watch_RevisionPastTheHistory_EndsExpired()
    {
        using var fleet = new SimulatedFleet { Bounds = new MirrorBounds { HistoryChanges = 256 } };
        SimulatedCluster cluster = fleet.Join("a");
        cluster.Put(Maps, "n", "o");
        fleet.Progress();
        (_, long revision) = await fleet.ListAllAsync(new FleetQuery { Objects = Query().Objects });
        for (int i = 0; i < 1000; i++)
        {
            cluster.Put(Maps, "n", "o");
        }

        await using var watch = new WatchReader(fleet, Query() with { Since = revision.ToString() });
        await watch.ReadUntilAsync(b => b.End == FleetWatchEnd.Expired);

        await using var ancient = new WatchReader(fleet, Query() with { Since = "12345" });
        await ancient.ReadUntilAsync(b => b.End == FleetWatchEnd.Expired || b.Events.Length > 0);
    }

    [Fact]
    public async Task Watch_SelectionChangedAfterTheRevision_EndsExpired()
    {
        using var fleet = new SimulatedFleet();
        fleet.Join("a", "prod");
        fleet.Progress();
        (_, long revision) = await fleet.ListAllAsync(new FleetQuery { Objects = Query().Objects });
        fleet.Change("a", e => e with { Labels = e.Labels.SetItem("tier", "test") });
        await using var watch = new WatchReader(
            fleet, Query() with { Since = revision.ToString(), Clusters = new ClusterSelection { LabelSelector = "tier=prod" } });
        await watch.ReadUntilAsync(b => b.End == FleetWatchEnd.Expired);
    }

    [Fact]
    public async Task Watch_StreamBreaks_GoesOnFromWhereItWas()
    {
        using var fleet = new SimulatedFleet(clusters: 2);
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        for (int i = 0; i < 5; i++)
        {
            fleet["c0001"].BreakStreams();
            fleet["c0001"].Put(Maps, "n", $"o{i}");
            int expected = i + 1;
            await watch.ReadUntilAsync(_ => watch.Seen.Distinct().Count() == expected);
        }
    }

    [Fact]
    public async Task Watch_WayToTheGrainIsRefusedForAMoment_SaysNothing()
    {
        // As where a silo has ended in order, and the others have yet to hear of it.
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 2);
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        fleet["c0001"].FailNext(new ConnectionFailedException("no way to it"), 4);
        fleet["c0001"].BreakStreams(new EnumerationAbortedException("moved"));
        fleet["c0001"].Put(Maps, "n", "before");
        fleet["c0001"].Put(Maps, "n", "after");
        await watch.ReadUntilAsync(_ => watch.Seen.Distinct().Count() == 2);
        Assert.DoesNotContain(watch.Coverage, c => c.State != CoverageState.Ok);
    }

    [Fact]
    public async Task Watch_WayToTheGrainStaysRefused_SaysSo()
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(factor: 5), clusters: 2);
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        fleet["c0001"].FailNext(new ConnectionFailedException("no way to it"), int.MaxValue);
        fleet["c0001"].BreakStreams(new EnumerationAbortedException("moved"));
        fleet["c0001"].Put(Maps, "n", "o");
        await watch.ReadUntilAsync(b => b.Coverage.Any(c => c is { Cluster: "c0001", State: CoverageState.Syncing, Fault.Kind: ClusterCalls.MovingFault }));
    }

    [Fact]
    public async Task Watch_ClusterThatHangs_DoesNotHoldUpTheOthersAndGivesNoRevision()
    {
        using var fleet = new SimulatedFleet(clusters: 2);
        fleet["c0000"].Put(Maps, "n", "o");
        fleet["c0001"].Hangs = true;
        await using var watch = new WatchReader(fleet, Query() with { Deadline = TimeSpan.FromSeconds(2) });
        FleetWatchBatch end = await watch.ReadUntilAsync(b => b.InitialEnd);
        Assert.Equal(["+c0000/n/o"], watch.Seen);
        Assert.Equal(0, end.Revision);
        Assert.Contains(watch.Coverage, c => c is { Cluster: "c0001", State: CoverageState.Timeout });
    }

    [Fact]
    public async Task Watch_SiloOfAClusterIsLost_SaysSoAtOnce_AndGoesOn()
    {
        // The stream itself goes on, so that nothing but the fleet can have said it.
        using var fleet = new SimulatedFleet(clusters: 2);
        fleet.Report("c0001", ClusterPhase.Online, "silo-1");
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);

        fleet.View.ShowLost(ImmutableDictionary<string, LostSilo>.Empty.Add("silo-1", new LostSilo(new ClusterFault(ClusterCalls.MovingFault, "gone"), default)));
        await watch.ReadUntilAsync(b => b.Coverage.Any(c => c is { Cluster: "c0001", State: CoverageState.Syncing, Fault.Kind: ClusterCalls.MovingFault }));
        fleet["c0001"].Put(Maps, "n", "later");
        await watch.ReadUntilAsync(_ => watch.Seen.Contains("+c0001/n/later"));
        Assert.Contains(watch.Coverage, c => c is { Cluster: "c0001", State: CoverageState.Ok });
    }

    [Fact]
    public async Task Watch_SiloOfAClusterHangs_SaysSoAfterThreeSeconds_AndGoesOnWhenItIsBack()
    {
        var time = new ManualTimeProvider();
        time.Advance(TimeSpan.FromDays(1));   // a watch takes the first moment of a machine for none
        using var fleet = new SimulatedFleet(time, clusters: 2);
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);
        (fleet["c0001"].IsMute, fleet["c0001"].Hangs) = (true, true);

        // What was under way when it fell silent may count as its last word.
        Task<FleetWatchBatch> told = watch.ReadUntilAsync(b => b.Coverage.Any(c => c is { Cluster: "c0001", State: CoverageState.Timeout }));
        TimeSpan waited = await AdvanceUntilAsync(told);
        Assert.InRange(waited, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5));
        Assert.DoesNotContain(watch.Coverage, c => c is { Cluster: "c0000", State: CoverageState.Timeout });

        (fleet["c0001"].IsMute, fleet["c0001"].Hangs) = (false, false);
        fleet["c0001"].Put(Maps, "n", "later");
        await AdvanceUntilAsync(watch.ReadUntilAsync(_ => watch.Seen.Contains("+c0001/n/later")));
        Assert.Single(watch.Seen);

        async Task<TimeSpan> AdvanceUntilAsync(Task done)
        {
            TimeSpan step = TimeSpan.FromMilliseconds(100);
            TimeSpan passed = TimeSpan.Zero;
            for (; !done.IsCompleted; passed += step)
            {
                Assert.True(passed < TimeSpan.FromMinutes(2), $"Two minutes later the watch has seen {string.Join(' ', watch.Seen)} and {string.Join(' ', watch.Coverage)}.");
                time.Advance(step);
                fleet.Progress();
                await Task.WhenAny(done, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None));
            }

            await done;
            return passed;
        }
    }

    [Theory]
    [InlineData("abc")]
    [InlineData("-1")]
    [InlineData("99999999999999999999")]
    [InlineData("9223372036854775807")]
    public async Task Watch_ForeignRevision_IsRefused(string revision)
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        InvalidQueryException wrong = await Assert.ThrowsAsync<InvalidQueryException>(async () =>
        {
            await using var watch = new WatchReader(fleet, Query() with { Since = revision });
            await watch.ReadUntilAsync(_ => true);
        });
        Assert.Equal(ReadFields.Revision, Assert.Single(wrong.Faults).Field);
    }

    [Fact]
    public async Task Watch_UnknownKind_IsRefused()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        await Assert.ThrowsAsync<InvalidQueryException>(async () =>
        {
            await using var watch = new WatchReader(fleet, new FleetWatchQuery { Objects = new ObjectQuery { Kind = "gizmos" } });
            await watch.ReadUntilAsync(_ => true);
        });
    }

    [Fact]
    public async Task Watch_OwnersAppearAfterTheirObjects_StaysRight()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        SimulatedCluster cluster = fleet["c0000"];
        var set = Guid.NewGuid();
        var deployment = Guid.NewGuid();
        ObjectQuery pods = new() { Kind = "pods", Owner = new OwnerQuery { Kind = "deployments", Name = "web" } };
        await using var watch = new WatchReader(fleet, new FleetWatchQuery { Objects = pods });
        await watch.ReadUntilAsync(b => b.InitialEnd);
        cluster.Put(SimulatedCluster.Pods, "n", "web-1-x", owner: ("apps/v1", "ReplicaSet", "web-1", set));
        cluster.Put(SimulatedCluster.ReplicaSets, "n", "web-1", uid: set);
        cluster.Put(SimulatedCluster.Pods, "n", "other");
        cluster.Put(SimulatedCluster.ReplicaSets, "n", "web-1", uid: set, owner: ("apps/v1", "Deployment", "web", deployment));
        await watch.ReadUntilAsync(_ => watch.Seen.Count == 1);
        cluster.Put(SimulatedCluster.Pods, "n", "web-1-y", owner: ("apps/v1", "ReplicaSet", "web-1", set));
        await watch.ReadUntilAsync(_ => watch.Seen.Count == 2);
        cluster.Delete(SimulatedCluster.ReplicaSets, "n", "web-1");
        await watch.ReadUntilAsync(_ => watch.Seen.Count == 4);
        Assert.Equal(["+c0000/n/web-1-x", "+c0000/n/web-1-y"], watch.Seen.Take(2));
        Assert.Equal(["-c0000/n/web-1-x", "-c0000/n/web-1-y"], watch.Seen.Skip(2).Order());
    }

    [Fact]
    public async Task Watch_OwnersResumed_TellsWhatMatchesNowAndWhatNoLongerDoes()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        SimulatedCluster cluster = fleet["c0000"];
        Guid set = Guid.NewGuid(), gone = Guid.NewGuid();
        (string, string, string, Guid) web = ("apps/v1", "Deployment", "web", Guid.NewGuid());
        cluster.Put(SimulatedCluster.ReplicaSets, "n", "old", uid: gone, owner: web);
        cluster.Put(SimulatedCluster.Pods, "n", "lost", owner: ("apps/v1", "ReplicaSet", "old", gone));
        cluster.Put(SimulatedCluster.Pods, "n", "found", owner: ("apps/v1", "ReplicaSet", "web-1", set));
        cluster.Put(SimulatedCluster.Pods, "n", "stranger");
        fleet.Progress();
        ObjectQuery pods = new() { Kind = "pods", Owner = new OwnerQuery { Kind = "deployments", Name = "web" } };
        (List<FleetItem> items, long revision) = await fleet.ListAllAsync(new FleetQuery { Objects = pods });
        Assert.Equal("lost", Assert.Single(items).Row.Name);
        cluster.Delete(SimulatedCluster.ReplicaSets, "n", "old");
        cluster.Put(SimulatedCluster.ReplicaSets, "n", "web-1", uid: set, owner: web);
        cluster.Put(SimulatedCluster.Pods, "n", "stranger");
        await using var watch = new WatchReader(fleet, new FleetWatchQuery { Objects = pods, Since = revision.ToString() });
        await watch.ReadUntilAsync(_ => watch.Seen.Count == 2);
        Assert.Equal(["+c0000/n/found", "-c0000/n/lost"], watch.Seen.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Watch_ReaderThatPausesTooLong_IsCutOff()
    {
        using var fleet = new SimulatedFleet { Bounds = new MirrorBounds { HistoryChanges = 512 } };
        SimulatedCluster cluster = fleet.Join("a");
        await using var watch = new WatchReader(fleet, Query());
        await watch.ReadUntilAsync(b => b.InitialEnd);

        // Nobody reads: the inbox fills, the stream stops, and the mirror goes on without a word.
        for (int i = 0; i < 60_000; i++)
        {
            cluster.Put(Maps, "n", $"o{i % 5}", rest: $$""","data":{"k":"{{new string('v', 500)}}"}""");
        }

        FleetWatchBatch last = await watch.ReadUntilAsync(b => b.End != FleetWatchEnd.None);
        Assert.Equal(FleetWatchEnd.TooSlow, last.End);
    }

    private static FleetWatchQuery Query() => new() { Objects = new ObjectQuery { Kind = "configmaps" } };
}
