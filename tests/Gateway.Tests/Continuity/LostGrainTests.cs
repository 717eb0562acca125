using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Continuity;

/// <summary>A watch that is open while the grain of a cluster loses its memory goes on, and tells what happened meanwhile: no more, no less.</summary>
public sealed class LostGrainTests
{
    private static readonly ObjectQuery Maps = new() { Kind = "configmaps", Namespaces = ["shop"] };

    [Fact]
    public async Task Watch_ObjectsChangeWhileTheGrainIsLost_TellsTheNetChanges()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "bb", "cc", "ee", "ff");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);
        long before = watch.Revision;

        await AwayAsync(fleet, member, () =>
        {
            Put(member, "aa", "dd");
            for (int i = 0; i < 3; i++)
            {
                Touch(member, "bb", $"v{i}");
            }

            Remove(member, "cc", "dd", "ff");
            Put(member, "ff");
        });

        await watch.UntilAsync(w => w.Held.SequenceEqual(Truth(member, "aa", "bb", "ee", "ff")) && w.Coverage[^1].State == CoverageState.Ok);
        Assert.Equal(["+eu-1/shop/aa", "~eu-1/shop/bb", "-eu-1/shop/cc", "-eu-1/shop/ff", "+eu-1/shop/ff"], watch.Events.Skip(4));
        Assert.Contains(watch.Coverage, c => c.State is CoverageState.Syncing or CoverageState.Offline);
        await watch.UntilAsync(w => w.Revision > before);
        Put(member, "live");
        await watch.UntilAsync(w => w.Events[^1] == "+eu-1/shop/live");
    }

    [Theory]
    [InlineData("tier=prod", null)]
    [InlineData(null, "data.tier = prod")]
    [InlineData(null, "metadata.labels.tier = prod")]
    public async Task Watch_ObjectsEnterAndLeaveTheSelection_AreAddedAndDeleted(string? labels, string? fields)
    {
        await using SimulatedCluster member = await StartAsync();
        foreach ((string name, string tier) in new[] { ("comes", "test"), ("goes", "prod"), ("stays", "prod"), ("never", "test"), ("back", "prod") })
        {
            member.Objects.Create(Map(name, tier));
        }

        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps with { LabelSelector = labels, FieldSelector = fields });
        await watch.UntilAsync(w => w.IsPresent);
        Assert.Equal(3, watch.Events.Count);

        await AwayAsync(fleet, member, () =>
        {
            SetTier(member, "comes", "prod");
            SetTier(member, "goes", "test");
            SetTier(member, "back", "test");
            SetTier(member, "back", "prod");
            SetTier(member, "never", "other");
        });

        await watch.UntilAsync(w => w.Held.SequenceEqual(Truth(member, "back", "comes", "stays")));
        Assert.Equal(["~eu-1/shop/back", "+eu-1/shop/comes", "-eu-1/shop/goes"], watch.Events.Skip(3));
    }

    [Fact]
    public async Task Watch_NothingChanged_TellsNothingAndGoesOn()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "a", "b");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);

        for (int i = 0; i < 3; i++)
        {
            // It may be back so soon that the watch says nothing at all; that it has come past the loss shows that it goes on.
            await fleet.LoseAsync("eu-1");
            long lost = FleetClock.Physical(TimeProvider.System.GetUtcNow());
            await watch.UntilAsync(w => w.Revision > lost);
        }

        Put(member, "c");
        await watch.UntilAsync(w => w.Events.Count == 3);
        Assert.Equal("+eu-1/shop/c", watch.Events[^1]);
    }

    [Fact]
    public async Task Watch_MemberHasForgotten_EndsExpired()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "a");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);

        await AwayAsync(fleet, member, () =>
        {
            Put(member, "b");
            Remove(member, "a");
            member.Compact();
        });

        await watch.UntilEndAsync();
        Assert.Equal(FleetWatchEnd.Expired, watch.End);
        Assert.Equal(["+eu-1/shop/a"], watch.Events);
    }

    [Fact]
    public async Task Watch_MemberDoesNotComeBackInTime_EndsExpired()
    {
        await using SimulatedCluster member = await StartAsync();
        await using MovingFleet fleet = await MovingFleet.StartAsync(mirror => mirror.ResumeWithin = TimeSpan.FromSeconds(1));
        Put(member, "a");
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);
        await member.StopListeningAsync();
        await fleet.LoseAsync("eu-1");

        await watch.UntilEndAsync();

        Assert.Equal(FleetWatchEnd.Expired, watch.End);
        Assert.Equal(["+eu-1/shop/a"], watch.Events);
    }

    [Fact]
    public async Task Watch_OfOwners_SeesWhatTheirChangesLeadTo()
    {
        await using SimulatedCluster member = await StartAsync();
        string web = Create(member, "apps/v1", "ReplicaSet", "web", "", Workload);
        string api = Create(member, "apps/v1", "ReplicaSet", "api", "", Workload);
        string old = Create(member, "v1", "ConfigMap", "old", Owner("apps/v1", "ReplicaSet", "web", web));
        Create(member, "v1", "ConfigMap", "deep", Owner("v1", "ConfigMap", "old", old));
        Create(member, "v1", "ConfigMap", "other", Owner("apps/v1", "ReplicaSet", "api", api));
        Create(member, "v1", "ConfigMap", "gone", Owner("apps/v1", "ReplicaSet", "web", web));
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps", "replicasets.apps");
        await using var watch = new Follower(fleet, Maps with { Owner = new OwnerQuery { Kind = "replicasets", Name = "web" } }, mayRepeat: true);
        await watch.UntilAsync(w => w.IsPresent);
        Assert.Equal(["+eu-1/shop/deep", "+eu-1/shop/gone", "+eu-1/shop/old"], watch.Events.Order(StringComparer.Ordinal));

        await AwayAsync(fleet, member, () =>
        {
            // What it owns goes with it, without a change of its own.
            member.Objects.Update("v1", "ConfigMap", "shop", "old", o => o["metadata"]!.AsObject().Remove("ownerReferences"));
            member.Objects.Update("v1", "ConfigMap", "shop", "other", o => o["metadata"]!["ownerReferences"]![0]!["name"] = "web");
            member.Objects.Update("v1", "ConfigMap", "shop", "other", o => o["metadata"]!["ownerReferences"]![0]!["uid"] = web);
            Remove(member, "gone");
        });

        await watch.UntilAsync(w => w.Held.SequenceEqual(Truth(member, "other")));
        Assert.Equal(["+eu-1/shop/other", "-eu-1/shop/deep", "-eu-1/shop/gone", "-eu-1/shop/old"], watch.Events.Skip(3).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Watch_LostInTheMiddleOfThePresent_EndsAtTheTruth()
    {
        // More than the reader's inbox and what is under way to it hold.
        const int Count = 400;
        await using SimulatedCluster member = await StartAsync();
        string[] names = [.. Enumerable.Range(0, Count).Select(i => $"m{i:0000}")];
        string filler = new('x', 20_000);
        foreach (string name in names)
        {
            member.Objects.Create(Map(name, filler));
        }

        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.Events.Count > 0);
        Assert.False(watch.IsPresent);

        await AwayAsync(fleet, member, () =>
        {
            Remove(member, "m0001", "m0390");
            Touch(member, "m0002", "x");
            Put(member, "m0001x");
        });

        string[] expected = Truth(member, [.. names.Where(n => n is not ("m0001" or "m0390")).Append("m0001x").Order(StringComparer.Ordinal)]);
        await watch.UntilAsync(w => w.IsPresent && w.Held.SequenceEqual(expected));
        Assert.Equal(1, watch.Events.Count(e => e == "+eu-1/shop/m0200"));
    }

    [Fact]
    public async Task Watch_LostAgainInTheMiddleOfTheDifference_EndsAtTheTruth()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "a", "z");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);
        string[] names = [.. Enumerable.Range(0, 400).Select(i => $"m{i:0000}")];
        string filler = new('x', 20_000);
        await AwayAsync(fleet, member, () =>
        {
            foreach (string name in names)
            {
                member.Objects.Create(Map(name, filler));
            }

            Remove(member, "z");
        });
        await watch.UntilAsync(w => w.Events.Count > 2);
        Assert.DoesNotContain("+eu-1/shop/m0399", watch.Events);

        await AwayAsync(fleet, member, () =>
        {
            Remove(member, "m0001", "m0390");
            Touch(member, "m0002", "x");
            Put(member, "m0001x");
        });

        string[] expected = Truth(member, [.. names.Where(n => n is not ("m0001" or "m0390")).Concat(["m0001x", "a"]).Order(StringComparer.Ordinal)]);
        await watch.UntilAsync(w => w.Held.SequenceEqual(expected));
        Assert.Contains("-eu-1/shop/m0001", watch.Events);
        Assert.DoesNotContain("+eu-1/shop/m0390", watch.Events);
    }

    [Fact]
    public async Task Watch_KindComesWhileTheGrainIsLost_ItsObjectsAreAdded()
    {
        await using SimulatedCluster member = await StartAsync(housekeeping: true);
        await using SimulatedCluster other = await StartAsync(housekeeping: true);
        other.Objects.Create(Definition);
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member);
        await fleet.JoinAsync("eu-2", other);
        await using var watch = new Follower(fleet, new ObjectQuery { Kind = "widgets" });
        await watch.UntilAsync(w => w.IsPresent);

        await AwayAsync(fleet, member, () => member.Objects.Create(Definition));
        await fleet.LoseAsync("eu-2");
        await CreateWidgetAsync(member);

        await watch.UntilAsync(w => w.Events.Contains("+eu-1/shop/w"));
        Assert.Single(watch.Events);
    }

    [Fact]
    public async Task Watch_ClusterLeavesTheSelectionAfterItsGrainWasLost_TakesLeave()
    {
        await using SimulatedCluster member = await StartAsync();
        Put(member, "a", "b");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);

        await AwayAsync(fleet, member, () => Remove(member, "a"));
        await watch.UntilAsync(w => w.Events.Contains("-eu-1/shop/a"));
        await fleet.Cluster("eu-1").UpdateAsync(new UpdateCluster { Enabled = false }).WaitAsync(MovingFleet.Patience);

        await watch.UntilAsync(w => w.Held.Length == 0);
        Assert.Equal("-eu-1/shop/b", watch.Events[^1]);
    }

    [Fact]
    public async Task Watch_AnotherClusterUnderTheName_EndsOrTellsBoth()
    {
        await using SimulatedCluster first = await StartAsync();
        await using SimulatedCluster second = await StartAsync();
        Put(first, "a");
        Put(second, "b");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", first, "configmaps");
        await using var watch = new Follower(fleet, Maps);
        await watch.UntilAsync(w => w.IsPresent);

        await fleet.LoseAsync("eu-1");
        await fleet.Cluster("eu-1").RemoveAsync().WaitAsync(MovingFleet.Patience);
        await fleet.LoseAsync("eu-1");
        await fleet.JoinAsync("eu-1", second, "configmaps");
        await fleet.LoseAsync("eu-1");

        await watch.UntilAsync(w => w.End == FleetWatchEnd.Expired || w.Held.SequenceEqual(Truth(second, "b")));
    }

    /// <summary>The grain is lost, the member is changed where nobody sees it, and is there again.</summary>
    private static async Task AwayAsync(MovingFleet fleet, SimulatedCluster member, Action change)
    {
        await member.StopListeningAsync().WaitAsync(MovingFleet.Patience);
        await fleet.LoseAsync("eu-1");
        change();
        await member.StartListeningAsync().WaitAsync(MovingFleet.Patience);
    }

    private static async Task<SimulatedCluster> StartAsync(bool housekeeping = false)
    {
        SimulatedCluster member = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Housekeeping = housekeeping });
        member.Objects.Create("""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"} }""");
        return member;
    }

    private static async Task CreateWidgetAsync(SimulatedCluster member)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                member.Objects.Create("""{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"shop"} }""");
                return;
            }
            catch (InvalidOperationException) when (TimeProvider.System.GetElapsedTime(start) < MovingFleet.Patience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);   // its kind is being established
            }
        }
    }

    private static void Put(SimulatedCluster member, params string[] names)
    {
        foreach (string name in names)
        {
            member.Objects.Create(Map(name, "prod"));
        }
    }

    private static void Remove(SimulatedCluster member, params string[] names)
    {
        foreach (string name in names)
        {
            Assert.True(member.Objects.Delete("v1", "ConfigMap", "shop", name));
        }
    }

    private static void Touch(SimulatedCluster member, string name, string value) =>
        member.Objects.Update("v1", "ConfigMap", "shop", name, o => o["data"]!["value"] = value);

    private static void SetTier(SimulatedCluster member, string name, string tier) => member.Objects.Update("v1", "ConfigMap", "shop", name, o =>
    {
        o["data"]!["tier"] = tier;
        o["metadata"]!["labels"]!["tier"] = tier;
    });

    private static string[] Truth(SimulatedCluster member, params string[] names) => [.. names.Select(name =>
    {
        using JsonDocument json = JsonDocument.Parse(member.Objects.Get("v1", "ConfigMap", "shop", name)!);
        return $"eu-1/shop/{name}@{json.RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString()}";
    })];

    private static string Create(SimulatedCluster member, string apiVersion, string kind, string name, string metadata, string rest = "")
    {
        string json = member.Objects.Create($$"""{"apiVersion":"{{apiVersion}}","kind":"{{kind}}","metadata":{"name":"{{name}}","namespace":"shop"{{metadata}}}{{rest}} }""");
        return JsonNode.Parse(json)!["metadata"]!["uid"]!.GetValue<string>();
    }

    private static string Owner(string apiVersion, string kind, string name, string uid) =>
        $$""","ownerReferences":[{"apiVersion":"{{apiVersion}}","kind":"{{kind}}","name":"{{name}}","uid":"{{uid}}"}]""";

    private static string Map(string name, string tier) =>
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"shop","labels":{"tier":"{{{(tier.Length > 60 ? "none" : tier)}}}"} },"data":{"tier":"{{{tier}}}"} }""";

    private const string Workload =
        ""","spec":{"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"main","image":"nginx"}]}}}""";

    private const string Definition = """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},
         "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget"},
          "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}
        """;
}
