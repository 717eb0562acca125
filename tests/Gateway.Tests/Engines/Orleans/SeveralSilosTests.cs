using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Gateway.Reads;
using MultiCluster.Gateway.Tests.Continuity;
using MultiCluster.Grains.Cluster;
using MultiCluster.Reads;
using MultiCluster.Silo.Engines;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Gateway.Tests.Engines.Orleans;

/// <summary>Silos of one process that talk as silos of several do: everything is serialised and sent.</summary>
public sealed class SeveralSilosTests
{
    private static readonly ObjectQuery Maps = new() { Kind = "configmaps", Namespaces = ["shop"], LabelSelector = "ours=yes" };

    [Fact]
    public async Task Move_WithAWatchOpen_NothingIsMissedRepeatedOrCalledSyncing()
    {
        await using SimulatedCluster member = await StartAsync();
        List<string> names = [.. Enumerable.Range(0, 20).Select(i => $"at-first-{i}")];
        names.ForEach(name => Put(member, name));

        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2);
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent && w.Events.Count == 20);
        await using var quiet = new Follower(fleet, new ObjectQuery { Kind = "configmaps", Namespaces = ["nowhere"] });
        await quiet.UntilAsync(w => w.IsPresent);

        string before = "";
        int known = 0;
        for (int round = 0; round < 4; round++)
        {
            before = (await fleet.Reader.ListAsync(new FleetQuery { Objects = Maps }, CancellationToken.None)).RevisionText;
            known = names.Count;
            (InProcessSiloHandle from, InProcessSiloHandle to) = Places(fleet, "eu-1");
            Task<bool> moving = MoverOf(from).MoveAsync("eu-1", to.SiloAddress, MovingFleet.Patience, moveUnfilled: false, CancellationToken.None);
            for (int i = 0; !moving.IsCompleted; i++)
            {
                names.Add(string.Create(CultureInfo.InvariantCulture, $"round-{round}-{i}"));
                Put(member, names[^1]);
                FleetPage page = await fleet.Reader.ListAsync(new FleetQuery { Objects = Maps }, CancellationToken.None);
                Assert.All(page.Coverage, c => Assert.True(c.State == CoverageState.Ok, $"{c} {fleet.Log}"));
                await watch.ReadSomeAsync();
            }

            Assert.True(await moving.WaitAsync(MovingFleet.Patience), fleet.Log);
            await fleet.Cluster("eu-1").EnsureRunningAsync().WaitAsync(MovingFleet.Patience);
            Assert.Equal(to.SiloAddress, Places(fleet, "eu-1").From.SiloAddress);
        }

        string[] truth = Truth(member, names);
        await watch.UntilAsync(w => w.Held.SequenceEqual(truth));
        Assert.All(watch.Coverage, c => Assert.Equal(CoverageState.Ok, c.State));

        // The mirror at the new place has seen what the watches were told; the member need not be asked what it once held.
        Assert.DoesNotContain(member.Calls.All(), call => call.Query.Contains("Exact", StringComparison.Ordinal));

        // Whoever was away while it moved goes on from where it was, too; what changed before the new place listed, only the member can tell.
        HashSet<string> late = [];
        using var deadline = new CancellationTokenSource(MovingFleet.Patience);
        await foreach (FleetWatchBatch batch in fleet.Reader.WatchAsync(new FleetWatchQuery { Objects = Maps, Since = before }, deadline.Token))
        {
            Assert.True(batch.End == FleetWatchEnd.None, $"{batch.EndMessage} {fleet.Log}");
            late.UnionWith(batch.Events.Select(e => e.Item.Row.Name));
            if (late.IsSupersetOf(names.Skip(known)))
            {
                break;
            }
        }
    }

    [Fact]
    public async Task Move_AMemberThatNeverGetsInStep_IsNotMovedUnlessItMust()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "a");
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2);
        await fleet.JoinAsync("eu-1", member, "configmaps");
        (InProcessSiloHandle from, InProcessSiloHandle to) = Places(fleet, "eu-1");

        // The watches of the old place go on; whoever lists anew hears nothing.
        using (member.Faults.Add(new Simulator.Faults.Fault(Simulator.Faults.FaultKind.Silence) { Verb = "list", Resource = "configmaps" }))
        using (member.Faults.Add(new Simulator.Faults.Fault(Simulator.Faults.FaultKind.Silence) { Verb = "watch", Resource = "configmaps" }))
        {
            Assert.False(await MoverOf(from).MoveAsync("eu-1", to.SiloAddress, TimeSpan.FromSeconds(1), moveUnfilled: false, CancellationToken.None));
            FleetPage page = await fleet.Reader.ListAsync(new FleetQuery { Objects = Maps }, CancellationToken.None);
            Assert.Equal(CoverageState.Ok, Assert.Single(page.Coverage).State);
            Assert.Single(page.Items);

            // Where the old place must go, what it knows goes with the cluster.
            Assert.True(await MoverOf(from).MoveAsync("eu-1", to.SiloAddress, TimeSpan.FromSeconds(1), moveUnfilled: true, CancellationToken.None), fleet.Log);
            page = await fleet.Reader.ListAsync(new FleetQuery { Objects = Maps }, CancellationToken.None);
            Assert.Single(page.Items);
            Assert.Equal(to.SiloAddress, Places(fleet, "eu-1").From.SiloAddress);
        }
    }

    [Fact]
    public async Task Move_TheDatabaseIsAwayWhenTheMirrorIsFilled_TheClusterStaysAndAnswers()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "a");
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2);
        await fleet.JoinAsync("eu-1", member, "configmaps");
        (InProcessSiloHandle from, InProcessSiloHandle to) = Places(fleet, "eu-1");

        foreach (Func<Task> away in (Func<Task>[])[() => throw new Npgsql.NpgsqlException("away"), () => new TaskCompletionSource().Task])
        {
            Assert.False(await MoverOf(from, away).MoveAsync("eu-1", to.SiloAddress, MovingFleet.Patience, moveUnfilled: true, CancellationToken.None));
            FleetPage page = await fleet.Reader.ListAsync(new FleetQuery { Objects = Maps }, CancellationToken.None);
            Assert.Equal(CoverageState.Ok, Assert.Single(page.Coverage).State);
            Assert.Equal(from.SiloAddress, Places(fleet, "eu-1").From.SiloAddress);
        }
    }

    [Fact]
    public async Task Move_MemberIsAway_ItsObjectsGoAlong_AndAnOpenWatchGoesOnWhenItIsBack()
    {
        await using SimulatedCluster member = await StartAsync();
        member.Objects.SeedPods(new PodSeed(3_000));
        Put(member, "a");
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2);
        await fleet.JoinAsync("eu-1", member, "configmaps", "pods");
        await UntilAsync(fleet, CoverageState.Ok, 3_000);
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent && w.Events.Count == 1);
        await member.StopListeningAsync();
        await UntilAsync(fleet, CoverageState.Offline, 3_000);

        for (int round = 0; round < 2; round++)
        {
            (InProcessSiloHandle from, InProcessSiloHandle to) = Places(fleet, "eu-1");
            Assert.True(await MoverOf(from).MoveAsync("eu-1", to.SiloAddress, MovingFleet.Patience, moveUnfilled: false, CancellationToken.None), fleet.Log);
            FleetCounts counts = await fleet.Reader.CountAsync(new FleetCountQuery { Objects = new ObjectQuery { Kind = "pods" } }, CancellationToken.None);
            Assert.Equal((3_000, CoverageState.Offline), (counts.Total, Assert.Single(counts.Coverage).State));
            Assert.Equal(to.SiloAddress, Places(fleet, "eu-1").From.SiloAddress);
        }

        Put(member, "b");
        await member.StartListeningAsync();
        string[] truth = Truth(member, ["a", "b"]);
        await watch.UntilAsync(w => w.Held.SequenceEqual(truth));
        Assert.Equal(2, watch.Events.Count);
        await UntilAsync(fleet, CoverageState.Ok, 3_000);
    }

    [Fact]
    public async Task Kill_OneOfThreeSilos_OnlyItsClustersMove_AndTheWatchGoesOn()
    {
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 3);
        List<SimulatedCluster> members = [];
        for (int i = 0; i < 9; i++)
        {
            SimulatedCluster member = await StartAsync();
            members.Add(member);
            Put(member, "settings");
            await fleet.JoinAsync($"m-{i}", member, "configmaps");
        }

        await using (var watch = new Follower(fleet, Maps))
        {
            await watch.UntilAsync(w => w.IsPresent && w.Events.Count == 9);
            Dictionary<string, SiloAddress> before = Everywhere(fleet);
            SiloAddress lost = before.Values.First(silo => !silo.Equals(fleet.Host.Silos[0].SiloAddress));
            await fleet.Host.KillSiloAsync(fleet.Host.Silos.Single(s => s.SiloAddress.Equals(lost)));
            members.ForEach(m => Put(m, "later"));

            await watch.UntilAsync(w => w.Held.Length == 18);
            Dictionary<string, SiloAddress> after = Everywhere(fleet);
            Assert.Equal(9, after.Count);
            Assert.All(before.Where(b => !b.Value.Equals(lost)), b => Assert.Equal(b.Value, after[b.Key]));
            Assert.DoesNotContain(lost, after.Values);
        }

        foreach (SimulatedCluster member in members)
        {
            await member.DisposeAsync();
        }
    }

    [Fact]
    public async Task Clocks_AMinuteApart_ListThenWatchMissesNothing_WhereverTheClusterLives()
    {
        int[] ahead = [60, 0];
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2, timeOf: i => new SkewedTime(TimeSpan.FromSeconds(i < 0 ? -60 : ahead[i])));
        await using SimulatedCluster one = await StartAsync();
        await using SimulatedCluster two = await StartAsync();
        await fleet.JoinAsync("one", one, "configmaps");
        await fleet.JoinAsync("two", two, "configmaps");

        for (int i = 0; i < 25; i++)
        {
            // Between the list and the watch, each time at once: nothing but the revision says what the list has held.
            HashSet<string> held = await ListAsync(() =>
            {
                Put(one, $"one-{i}");
                Put(two, $"two-{i}");
            });
            Assert.Equal(2 * (i + 1), held.Count);
            if (i == 12)
            {
                (InProcessSiloHandle from, InProcessSiloHandle to) = Places(fleet, "one");
                Assert.True(await MoverOf(from).MoveAsync("one", to.SiloAddress, MovingFleet.Patience, moveUnfilled: false, CancellationToken.None));
            }

            async Task<HashSet<string>> ListAsync(Action between)
            {
                FleetPage page = await fleet.Reader.ListAsync(new FleetQuery { Objects = Maps }, CancellationToken.None);
                between();
                HashSet<string> names = [.. page.Items.Select(item => item.Row.Name)];
                using var deadline = new CancellationTokenSource(MovingFleet.Patience);
                await foreach (FleetWatchBatch batch in fleet.Reader.WatchAsync(new FleetWatchQuery { Objects = Maps, Since = page.RevisionText }, deadline.Token))
                {
                    Assert.True(batch.End == FleetWatchEnd.None, $"{i}: {batch.EndMessage} {fleet.Log}");
                    names.UnionWith(batch.Events.Select(e => e.Item.Row.Name));
                    if (names.Count == 2 * (i + 1))
                    {
                        break;
                    }
                }

                return names;
            }
        }
    }

    [Fact]
    public async Task Objects_OfOneAndAHalfMegabytes_AndAHundredThousand_TravelBetweenSilos()
    {
        const int pods = 100_000;
        await using SimulatedCluster member = await StartAsync();
        string large = new('x', 1_500_000);
        member.Objects.Create($$$"""
            { "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "large", "namespace": "shop" },
              "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "large" } },
                "template": { "metadata": { "labels": { "app": "large" } }, "spec": { "containers": [ { "name": "main", "image": "nginx", "args": ["{{{large}}}"] } ] } } } }
            """);
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2);
        await fleet.JoinAsync("eu-1", member, "pods", "deployments.apps");
        member.Objects.SeedPods(new PodSeed(pods));
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (await fleet.Reader.CountAsync(new FleetCountQuery { Objects = new ObjectQuery { Kind = "pods" } }, deadline.Token) is var counts
            && (counts.Total < pods || counts.Coverage[0].State != CoverageState.Ok))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, deadline.Token);
        }

        FleetObjects got = await fleet.Reader.GetAsync(new FleetGetQuery { Kind = "deployments", Namespace = "shop", Name = "large" }, CancellationToken.None);
        using (JsonDocument json = JsonDocument.Parse(Assert.Single(got.Items).Json))
        {
            Assert.Equal(large, json.RootElement.GetProperty("spec").GetProperty("template").GetProperty("spec").GetProperty("containers")[0].GetProperty("args")[0].GetString());
        }

        // The largest page that may be asked for, until there is no more; what does not fit into one answer comes with the next.
        HashSet<string> seen = new(StringComparer.Ordinal);
        long bytes = 0;
        var query = new FleetQuery { Objects = new ObjectQuery { Kind = "pods" }, Limit = FleetQuery.MaxLimit, Deadline = FleetQuery.MaxDeadline };
        do
        {
            FleetPage page = await fleet.Reader.ListAsync(query, CancellationToken.None);
            Assert.All(page.Coverage, c => Assert.True(c.State == CoverageState.Ok, $"{c}"));
            foreach (FleetItem item in page.Items)
            {
                bytes += item.Json.Length;
                Assert.True(seen.Add($"{item.Row.Namespace}/{item.Row.Name}"), item.Row.Name);
            }

            query = query with { Continue = page.Continue };
        }
        while (query.Continue is not null);

        Assert.Equal(pods, seen.Count);
        Assert.True(bytes > pods * 3_000L, $"{bytes} bytes");

        int told = 0;
        await foreach (FleetWatchBatch batch in fleet.Reader.WatchAsync(new FleetWatchQuery { Objects = query.Objects, Deadline = FleetQuery.MaxDeadline }, deadline.Token))
        {
            Assert.Equal(FleetWatchEnd.None, batch.End);
            told += batch.Events.Length;
            if (batch.InitialEnd)
            {
                break;
            }
        }

        Assert.Equal(pods, told);
    }

    private static async Task UntilAsync(MovingFleet fleet, CoverageState state, int pods)
    {
        using var deadline = new CancellationTokenSource(MovingFleet.Patience);
        while (await fleet.Reader.CountAsync(new FleetCountQuery { Objects = new ObjectQuery { Kind = "pods" } }, deadline.Token) is var counts
            && (counts.Total != pods || counts.Coverage.Any(c => c.State != state)))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, deadline.Token);
        }
    }

    private static ClusterMover MoverOf(InProcessSiloHandle silo, Func<Task>? reachDatabase = null) => new(
        silo.ServiceProvider.GetRequiredService<LocalClusters>(),
        silo.ServiceProvider.GetRequiredService<global::Orleans.IGrainFactory>(),
        reachDatabase ?? (static () => Task.CompletedTask),
        TimeProvider.System,
        NullLogger<ClusterMover>.Instance);

    private static (InProcessSiloHandle From, InProcessSiloHandle To) Places(MovingFleet fleet, string cluster)
    {
        ILookup<bool, InProcessSiloHandle> silos = fleet.Host.Silos.ToLookup(s => s.ServiceProvider.GetRequiredService<LocalClusters>().Names.Contains(cluster));
        return (silos[true].Single(), silos[false].First());
    }

    /// <summary>Where each cluster lives; fails where one lives twice.</summary>
    private static Dictionary<string, SiloAddress> Everywhere(MovingFleet fleet) => fleet.Host.GetActiveSilos()
        .SelectMany(s => s.ServiceProvider.GetRequiredService<LocalClusters>().Names.Select(name => (name, s.SiloAddress)))
        .ToDictionary(one => one.name, one => one.SiloAddress, StringComparer.Ordinal);

    private static void Put(SimulatedCluster member, string name) =>
        member.Objects.Create($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"shop","labels":{"ours":"yes"}},"data":{"a":"b"}}""");

    private static async Task<SimulatedCluster> StartAsync()
    {
        SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create("""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}""");
        return member;
    }

    /// <summary>What a reader that knows all would hold, of these names.</summary>
    private static string[] Truth(SimulatedCluster member, IEnumerable<string> names) =>
    [
        .. names.Order(StringComparer.Ordinal).Select(name => $"eu-1/shop/{name}@{JsonNode.Parse(member.Objects.Get("v1", "ConfigMap", "shop", name)!)!["metadata"]!["resourceVersion"]}"),
    ];

    private sealed class SkewedTime(TimeSpan ahead) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + ahead;
    }
}
