using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Reads;

public sealed class FleetListTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly ResourceType Maps = SimulatedCluster.ConfigMaps;

    [Fact]
    public async Task List_ManyClusters_OrdersByClusterThenBytesOfNamespaceAndName()
    {
        using var fleet = new SimulatedFleet(clusters: 3);
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            foreach (string ns in (string[])["a", "a-b", "b"])
            {
                foreach (string name in (string[])["m", "m-1", "m.2"])
                {
                    cluster.Put(Maps, ns, name);
                }
            }
        }

        for (int limit = 1; limit <= 28; limit += 3)
        {
            (List<FleetItem> items, _) = await fleet.ListAllAsync(Query() with { Limit = limit });
            Assert.Equal(27, items.Count);
            Assert.Equal(["a-b/m", "a-b/m-1", "a-b/m.2", "a/m"], items.Take(4).Select(i => $"{i.Row.Namespace}/{i.Row.Name}"));
        }

        // Namespaces named in any order come in the same order.
        (List<FleetItem> some, _) = await fleet.ListAllAsync(Query() with { Limit = 2, Objects = Query().Objects with { Namespaces = ["a", "a-b"] } });
        Assert.Equal(18, some.Count);
    }

    [Fact]
    public async Task List_SameNameInEveryCluster_ShowsEachWithItsCluster()
    {
        using var fleet = new SimulatedFleet(clusters: 20);
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            cluster.Put(Maps, "shop", "web", rest: $$""","data":{"from":"{{cluster.Name}}"}""");
        }

        (List<FleetItem> items, _) = await fleet.ListAllAsync(Query() with { Limit = 3 });
        Assert.Equal(20, items.Count);
        Assert.All(items, i => Assert.Contains($"\"from\":\"{i.Cluster}\"", SimulatedFleet.Text(i), StringComparison.Ordinal));

        FleetObjects got = await fleet.Reader.GetAsync(new FleetGetQuery { Kind = "cm", Namespace = "shop", Name = "web" }, default).WaitAsync(Patience);
        Assert.Equal(20, got.Items.Length);
        FleetObjects one = await fleet.Reader.GetAsync(
            new FleetGetQuery { Kind = "configmap", Namespace = "shop", Name = "web", Clusters = ClusterSelection.Of("c0007") }, default).WaitAsync(Patience);
        Assert.Equal("c0007", Assert.Single(one.Items).Cluster);
        Assert.Single(one.Coverage);
    }

    [Fact]
    public async Task List_PageFilledByTheFirst_AsksFewOfAThousandClusters()
    {
        using var fleet = new SimulatedFleet(clusters: 1000);
        foreach (SimulatedCluster cluster in fleet.Members.Take(3))
        {
            cluster.Relist(Maps, Enumerable.Range(0, 400).Select(i => cluster.Json(Maps, "n", $"o{i:d4}")));
        }

        FleetPage page = await fleet.Reader.ListAsync(Query() with { Limit = 500 }, default).WaitAsync(Patience);
        Assert.Equal(500, page.Items.Length);
        Assert.Equal(1000, page.Selected);
        Assert.InRange(fleet.Members.Sum(c => c.Calls), 2, 3);
        Assert.True(page.Continue!.Length < 100);

        // A page that hardly anybody can fill is asked for everywhere, and the clusters that lack the object are covered.
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            cluster.Calls = 0;
        }

        fleet["c0999"].Put(Maps, "n", "rare");
        FleetPage rare = await fleet.Reader.ListAsync(Query() with { Objects = Query().Objects with { Names = ["ra*"] } }, default).WaitAsync(Patience);
        Assert.Equal("c0999", Assert.Single(rare.Items).Cluster);
        Assert.Equal(1000, rare.Coverage.Length);
        Assert.Equal(1000, fleet.Members.Sum(c => c.Calls));
        Assert.Null(rare.Continue);
    }

    [Fact]
    public async Task List_UnderChurn_SkipsAndRepeatsNothingThatWasThereThroughout()
    {
        using var fleet = new SimulatedFleet(clusters: 5);
        var random = new Random(7);
        HashSet<string> lasting = [];
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            for (int i = 0; i < 40; i++)
            {
                cluster.Put(Maps, $"n{i % 3}", $"keep{i:d2}");
                cluster.Put(Maps, $"n{i % 3}", $"drop{i:d2}");
                lasting.Add($"{cluster.Name}\nn{i % 3}/keep{i:d2}");
            }
        }

        (List<FleetItem> items, _) = await fleet.ListAllAsync(Query() with { Limit = 7 }, () =>
        {
            foreach (SimulatedCluster cluster in fleet.Members)
            {
                string name = $"drop{random.Next(60):d2}";
                cluster.Delete(Maps, $"n{random.Next(3)}", name);
                cluster.Put(Maps, $"n{random.Next(3)}", name);
                cluster.Put(Maps, "n1", $"keep{1 + (random.Next(13) * 3):d2}");
            }
        });
        string[] keys = [.. items.Select(SimulatedFleet.Key)];
        Assert.Equal(keys.Length, keys.Distinct().Count());
        Assert.Empty(lasting.Except(keys));
    }

    [Fact]
    public async Task List_ClusterThatHangs_IsNamedAndTheOthersAnswerAtTheDeadline()
    {
        using var fleet = new SimulatedFleet(clusters: 4);
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            cluster.Put(Maps, "n", "o");
        }

        fleet["c0001"].Hangs = true;
        fleet["c0002"].Breaks = true;
        FleetPage page = await fleet.Reader.ListAsync(Query() with { Deadline = TimeSpan.FromSeconds(2) }, default).WaitAsync(Patience);
        Assert.Equal(["c0000", "c0003"], page.Items.Select(i => i.Cluster));
        Assert.Equal(
            [CoverageState.Ok, CoverageState.Timeout, CoverageState.Failed, CoverageState.Ok], page.Coverage.Select(c => c.State));
        Assert.DoesNotContain("secret", page.Coverage[2].Fault!.Message, StringComparison.Ordinal);

        IncompleteReadException missing = await Assert.ThrowsAsync<IncompleteReadException>(
            () => fleet.Reader.ListAsync(Query() with { Deadline = TimeSpan.FromSeconds(2), Strict = true }, default).WaitAsync(Patience));
        Assert.Equal(["c0001", "c0002"], missing.Missing.Select(c => c.Cluster));
    }

    [Fact]
    public async Task List_FirstPage_TellsOfSickClustersThatComeLater()
    {
        using var fleet = new SimulatedFleet(clusters: 3);
        fleet["c0000"].Put(Maps, "n", "o1");
        fleet["c0000"].Put(Maps, "n", "o2");
        fleet["c0002"].Put(Maps, "n", "old");
        fleet["c0002"].Phase = ClusterPhase.Offline;
        fleet.Report("c0002", ClusterPhase.Offline);
        FleetPage first = await fleet.Reader.ListAsync(Query() with { Limit = 1 }, default).WaitAsync(Patience);
        Assert.Equal([("c0000", CoverageState.Ok), ("c0002", CoverageState.Offline)], first.Coverage.Select(c => (c.Cluster, c.State)));

        // What the mirror last knew is shown, and said to be old.
        FleetPage all = await fleet.Reader.ListAsync(Query(), default).WaitAsync(Patience);
        Assert.Equal(3, all.Items.Length);
        Assert.Equal(CoverageState.Offline, all.Coverage[2].State);
        Assert.NotNull(all.Coverage[2].Age);
        await Assert.ThrowsAsync<IncompleteReadException>(() => fleet.Reader.ListAsync(Query() with { Limit = 1, Strict = true }, default));
    }

    [Fact]
    public async Task List_DisabledCluster_ShowsNothingOfItAndIsNotAsked()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        fleet.Join("off", enabled: false).Put(Maps, "n", "hidden");
        fleet["c0000"].Put(Maps, "n", "o");
        FleetPage page = await fleet.Reader.ListAsync(Query() with { Strict = true }, default).WaitAsync(Patience);
        Assert.Single(page.Items);
        Assert.Equal(CoverageState.Disabled, page.Coverage[1].State);
        Assert.Equal(0, fleet["off"].Calls);
        await Assert.ThrowsAsync<IncompleteReadException>(
            () => fleet.Reader.ListAsync(Query() with { Strict = true, Clusters = ClusterSelection.Of("off") }, default));
    }

    [Fact]
    public async Task List_SelectionByLabel_AsksOnlyThose()
    {
        using var fleet = new SimulatedFleet();
        fleet.Join("a", "prod").Put(Maps, "n", "o");
        fleet.Join("b", "test").Put(Maps, "n", "o");
        fleet.Join("c", "prod").Put(Maps, "n", "o");
        FleetPage page = await fleet.Reader.ListAsync(
            Query() with { Clusters = new ClusterSelection { LabelSelector = "tier in (prod)" } }, default).WaitAsync(Patience);
        Assert.Equal(["a", "c"], page.Items.Select(i => i.Cluster));
        Assert.Equal(2, page.Coverage.Length);
        Assert.Equal(0, fleet["b"].Calls);
        Assert.Empty((await fleet.Reader.ListAsync(Query() with { Clusters = new ClusterSelection { LabelSelector = "tier=x" } }, default)).Items);
    }

    [Fact]
    public async Task List_OwnerFilter_WorksOverManyClustersAndSteps()
    {
        using var fleet = new SimulatedFleet(clusters: 10);
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            foreach (string app in (string[])["web", "api"])
            {
                Guid deployment = Guid.NewGuid();
                Guid set = Guid.NewGuid();
                cluster.Put(SimulatedCluster.Deployments, "shop", app, uid: deployment);
                cluster.Put(SimulatedCluster.ReplicaSets, "shop", app + "-1", uid: set, labels: "", rest: "", owner: ("apps/v1", "Deployment", app, deployment));
                cluster.Put(SimulatedCluster.Pods, "shop", app + "-1-x", owner: ("apps/v1", "ReplicaSet", app + "-1", set));
                cluster.Put(SimulatedCluster.Pods, "shop", app + "-1-y", owner: ("apps/v1", "ReplicaSet", app + "-1", set));
            }
        }

        ObjectQuery pods = new() { Kind = "pods", Owner = new OwnerQuery { Kind = "deploy", Name = "web" } };
        (List<FleetItem> items, _) = await fleet.ListAllAsync(new FleetQuery { Objects = pods, Limit = 3 });
        Assert.Equal(20, items.Count);
        Assert.All(items, i => Assert.StartsWith("web-", i.Row.Name, StringComparison.Ordinal));

        (List<FleetItem> direct, _) = await fleet.ListAllAsync(new FleetQuery { Objects = pods with { Owner = pods.Owner with { Depth = 1 } } });
        Assert.Empty(direct);
        FleetCounts counts = await fleet.Reader.CountAsync(new FleetCountQuery { Objects = pods, By = [GroupBy.Cluster] }, default).WaitAsync(Patience);
        Assert.Equal(20, counts.Total);
        Assert.Equal(10, counts.Groups.Length);
    }

    [Fact]
    public async Task Count_Groups_AddUpOverClusters()
    {
        using var fleet = new SimulatedFleet(clusters: 4);
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            cluster.Put(SimulatedCluster.Pods, "a", "p1", rest: ""","spec":{"nodeName":"n1","containers":[{"name":"c","image":"nginx:1"}]},"status":{"phase":"Running"}""");
            cluster.Put(SimulatedCluster.Pods, "b", "p2", rest: ""","spec":{"containers":[{"name":"c","image":"nginx:1"},{"name":"d","image":"side:2"}]},"status":{"phase":"Pending"}""");
        }

        FleetCounts phases = await fleet.Reader.CountAsync(
            new FleetCountQuery { Objects = new ObjectQuery { Kind = "pods" }, By = [GroupBy.Phase, GroupBy.Namespace] }, default).WaitAsync(Patience);
        Assert.Equal(8, phases.Total);
        Assert.Equal(["Pending/b=4", "Running/a=4"], phases.Groups.Select(g => $"{string.Join('/', g.Values)}={g.Count}"));
        FleetCounts images = await fleet.Reader.CountAsync(
            new FleetCountQuery { Objects = new ObjectQuery { Kind = "pods" }, By = [GroupBy.Image] }, default).WaitAsync(Patience);
        Assert.Equal(["nginx:1=8", "side:2=4"], images.Groups.Select(g => $"{g.Values[0]}={g.Count}"));
        FleetCounts all = await fleet.Reader.CountAsync(new FleetCountQuery { Objects = new ObjectQuery { Kind = "pods" } }, default).WaitAsync(Patience);
        Assert.Equal(8, all.Total);
        Assert.Empty(all.Groups);
    }

    public static TheoryData<string, FleetQuery> WrongQueries => new()
    {
        { ReadFields.Kind, Query() with { Objects = new ObjectQuery { Kind = "" } } },
        { ReadFields.Kind, Query() with { Objects = new ObjectQuery { Kind = "a b" } } },
        { ReadFields.Kind, Query() with { Objects = new ObjectQuery { Kind = "deployment.s" } } },
        { ReadFields.Kind, Query() with { Objects = new ObjectQuery { Kind = "confgmaps" } } },
        { ReadFields.ClusterNames, Query() with { Clusters = ClusterSelection.Of("C_1") } },
        { ReadFields.ClusterNames, Query() with { Clusters = ClusterSelection.Of("c0009") } },
        { ReadFields.ClusterLabels, Query() with { Clusters = new ClusterSelection { LabelSelector = "a in b" } } },
        { ReadFields.Namespaces, Query() with { Objects = Query().Objects with { Namespaces = ["Kube_System"] } } },
        { ReadFields.Namespaces, Query() with { Objects = new ObjectQuery { Kind = "nodes", Namespaces = ["x"] } } },
        { ReadFields.Names, Query() with { Objects = Query().Objects with { Names = ["[ab]"] } } },
        { ReadFields.Labels, Query() with { Objects = Query().Objects with { LabelSelector = "a in (b" } } },
        { ReadFields.Fields, Query() with { Objects = Query().Objects with { FieldSelector = "status..phase=x" } } },
        { ReadFields.Fields, Query() with { Objects = Query().Objects with { FieldSelector = "spec.replicas > many" } } },
        { ReadFields.Readiness, Query() with { Objects = Query().Objects with { Readiness = [(ReadinessState)77] } } },
        { ReadFields.Owner, Query() with { Objects = Query().Objects with { Owner = new OwnerQuery { Name = "web" } } } },
        { ReadFields.Owner, Query() with { Objects = Query().Objects with { Owner = new OwnerQuery { Uid = "u", Depth = 9 } } } },
        { ReadFields.Owner, Query() with { Objects = Query().Objects with { Owner = new OwnerQuery { Kind = "deploymnt", Name = "web" } } } },
        { ReadFields.Limit, Query() with { Limit = 0 } },
        { ReadFields.Limit, Query() with { Limit = 10_001 } },
        { ReadFields.Deadline, Query() with { Deadline = TimeSpan.Zero } },
        { ReadFields.Deadline, Query() with { Deadline = TimeSpan.FromSeconds(61) } },
        { ReadFields.Continue, Query() with { Continue = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0" } },
    };

    [Theory]
    [MemberData(nameof(WrongQueries))]
    public async Task List_WrongRequest_NamesTheField(string field, FleetQuery query)
    {
        using var fleet = new SimulatedFleet(clusters: 2);
        InvalidQueryException wrong = await Assert.ThrowsAsync<InvalidQueryException>(() => fleet.Reader.ListAsync(query, default).WaitAsync(Patience));
        ReadFault fault = Assert.Single(wrong.Faults);
        Assert.Equal(field, fault.Field);
        Assert.NotEmpty(fault.Message);
    }

    [Fact]
    public async Task List_SeveralFaults_NamesAll()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        InvalidQueryException wrong = await Assert.ThrowsAsync<InvalidQueryException>(() => fleet.Reader.ListAsync(
            Query() with { Limit = -1, Objects = Query().Objects with { LabelSelector = "!", FieldSelector = "=" }, Clusters = ClusterSelection.Of("nope") }, default));
        Assert.Equal([ReadFields.ClusterNames, ReadFields.Labels, ReadFields.Fields, ReadFields.Limit], wrong.Faults.Select(f => f.Field));
    }

    [Fact]
    public async Task List_UnknownKind_SuggestsNearNames()
    {
        using var fleet = new SimulatedFleet(clusters: 2);
        InvalidQueryException wrong = await Assert.ThrowsAsync<InvalidQueryException>(
            () => fleet.Reader.ListAsync(Query() with { Objects = new ObjectQuery { Kind = "deploymets" } }, default).WaitAsync(Patience));
        Assert.Contains("'deployments'", wrong.Message, StringComparison.Ordinal);

        // Served by one of them: the other is covered, and nothing is wrong.
        fleet["c0001"].Surface = new ApiSurface([new ApiGroup("", ["v1"])], [SimulatedCluster.Pods], []);
        fleet["c0001"].Mirror.RemoveKind(SimulatedCluster.ConfigMaps.GroupResource);
        FleetPage page = await fleet.Reader.ListAsync(Query(), default).WaitAsync(Patience);
        Assert.Equal([CoverageState.Ok, CoverageState.NotServed], page.Coverage.Select(c => c.State));
    }

    [Fact]
    public async Task List_TokenOfAnotherQuery_IsRefused()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        fleet["c0000"].Put(Maps, "n", "a");
        fleet["c0000"].Put(Maps, "n", "b");
        FleetPage page = await fleet.Reader.ListAsync(Query() with { Limit = 1 }, default).WaitAsync(Patience);
        Assert.NotNull(page.Continue);
        InvalidQueryException wrong = await Assert.ThrowsAsync<InvalidQueryException>(() => fleet.Reader.ListAsync(
            Query() with { Continue = page.Continue, Objects = Query().Objects with { Namespaces = ["n"] } }, default).WaitAsync(Patience));
        Assert.Contains("another query", wrong.Message, StringComparison.Ordinal);

        // Another page size and projection are no other query.
        FleetPage rest = await fleet.Reader.ListAsync(Query() with { Continue = page.Continue, Projection = Projection.None }, default).WaitAsync(Patience);
        Assert.Equal("b", Assert.Single(rest.Items).Row.Name);
        Assert.Equal(0, rest.Items[0].Json.Length);
    }

    [Fact]
    public async Task List_Projections_HoldWhatTheySay()
    {
        using var fleet = new SimulatedFleet(clusters: 1);
        fleet["c0000"].Put(Maps, "n", "a", rest: ""","data":{"k":"v"}""");
        FleetPage metadata = await fleet.Reader.ListAsync(Query() with { Projection = Projection.Metadata }, default).WaitAsync(Patience);
        using System.Text.Json.JsonDocument json = System.Text.Json.JsonDocument.Parse(metadata.Items[0].Json);
        Assert.Equal(["apiVersion", "kind", "metadata"], json.RootElement.EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
    }

    private static FleetQuery Query() => new() { Objects = new ObjectQuery { Kind = "configmaps" } };
}
