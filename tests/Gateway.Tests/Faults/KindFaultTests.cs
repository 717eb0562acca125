using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using MultiCluster.Gateway.Tests.EndToEnd;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>One kind of a member is sick; its other kinds and the other members are not.</summary>
public sealed class KindFaultTests(FaultFixture fixture) : IClassFixture<FaultFixture>
{
    private const string Definition = """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},
         "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
          "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}
        """;

    private static string Widget(string name) => $$"""{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"{{name}}","namespace":"default"} }""";

    [Fact]
    public async Task Forbidden_OneKind_IsForbiddenForThatKindAloneAndReadAgainWhenAllowed()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("no-maps", 2, "pods", "configmaps", "namespaces");
        member.Objects.Create(Members.ConfigMap("before", "x"));
        await fixture.UntilListedAsync("no-maps", "configmaps", (_, items) => Has(items, "before"));
        IDisposable forbidden = member.Faults.Fail(403, resource: "configmaps");
        member.Faults.CutWatches("configmaps");

        JsonElement page = await fixture.UntilListedAsync("no-maps", "configmaps", (coverage, _) => FaultFixture.State(coverage) == "forbidden");

        Assert.Equal("Forbidden", FaultFixture.FaultKind(page.GetProperty("coverage")[0]));
        Assert.Contains("before", FaultFixture.NamesOf(page));
        await fixture.UntilCoveredAsync("no-maps", "pods", 2);
        await fixture.UntilStatusAsync("no-maps", s => FaultFixture.Phase(s) == "online");
        member.Objects.Create(Members.ConfigMap("after", "x"));
        forbidden.Dispose();
        await fixture.UntilListedAsync("no-maps", "configmaps", (coverage, items) => FaultFixture.State(coverage) == "ok" && Has(items, "after"));
        Assert.True(fixture.Log.About("no-maps", LogLevel.Warning).Length <= 4, string.Join('\n', fixture.Log.About("no-maps", LogLevel.Information).AsEnumerable()));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Watch_Garbage_DegradesSaysSoOnceAndRecovers()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("noise", 2, "pods", "namespaces");
        IDisposable garbage = member.Faults.Add(new Fault(FaultKind.Garbage) { Verb = "watch", Resource = "pods" });
        member.Faults.CutWatches("pods");

        // Lists work, so what there is stays fresh enough; but nothing can be followed, and that must show.
        JsonElement status = await fixture.UntilStatusAsync("noise", s => FaultFixture.Phase(s) == "degraded");
        Assert.Contains("pods", status.GetProperty("fault").GetProperty("message").GetString()!, StringComparison.Ordinal);
        member.Objects.Create(Members.Pod("listed"));
        await fixture.UntilListedAsync("noise", "pods", (_, items) => items.GetArrayLength() == 3);
        garbage.Dispose();

        await fixture.UntilCoveredAsync("noise", "pods", 3);
        await fixture.UntilStatusAsync("noise", s => FaultFixture.Phase(s) == "online");
        Assert.True(fixture.Log.About("noise", LogLevel.Information).Length <= 12, string.Join('\n', fixture.Log.About("noise", LogLevel.Information).AsEnumerable()));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Watch_ExpiresInALoop_IsFollowedByListsAndLogsLittle()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("expiring", 2, "pods", "namespaces");
        await using WatchedFleet watch = await WatchedFleet.StartAsync(fixture.Http, "pods");
        IDisposable expiring = member.Faults.Add(new Fault(FaultKind.ExpireWatch) { Resource = "pods" });
        member.Faults.ExpireWatches("pods");
        member.Objects.Create(Members.Pod("one"));
        await fixture.UntilListedAsync("expiring", "pods", (_, items) => items.GetArrayLength() == 3);
        await fixture.UntilStatusAsync("expiring", s => FaultFixture.Phase(s) == "degraded");
        expiring.Dispose();
        member.Objects.Delete("v1", "Pod", "default", "one");

        await fixture.UntilCoveredAsync("expiring", "pods", 2);
        await watch.UntilTrueAsync(fixture.Service, "pods");
        Assert.True(fixture.Log.About("expiring", LogLevel.Information).Length <= 14, string.Join('\n', fixture.Log.About("expiring", LogLevel.Information).AsEnumerable()));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Watch_CutAgainAndAgainUnderChanges_EndsAtTheTruth()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("torn", 10, "pods", "namespaces");
        await using WatchedFleet watch = await WatchedFleet.StartAsync(fixture.Http, "pods");
        for (int i = 0; i < 8; i++)
        {
            member.Objects.Create(Members.Pod($"new-{i}"));
            member.Objects.Delete("v1", "Pod", "default", $"torn-pod-{i}");
            member.Faults.CutWatches();
            if (i % 3 == 0)
            {
                member.ForgetHistory();
            }

            member.Objects.Update("v1", "Pod", "default", "torn-pod-9", pod => pod["metadata"]!["labels"]!["round"] = $"r{i}");
        }

        await fixture.UntilListedAsync("torn", "pods", (coverage, items) => FaultFixture.State(coverage) == "ok" && Has(items, "new-7") && !Has(items, "torn-pod-7"));
        await watch.UntilTrueAsync(fixture.Service, "pods");

        // A watch may repeat a change; it must neither miss one nor invent one.
        Assert.Equal(8, watch.Events.Where(e => e.StartsWith("deleted torn/", StringComparison.Ordinal)).Distinct(StringComparer.Ordinal).Count());
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Revision_GoesBack_IsFollowed()
    {
        const string name = "back";
        await using SimulatedCluster member = await fixture.JoinAsync(name, 2, "pods", "namespaces");
        await using WatchedFleet watch = await WatchedFleet.StartAsync(fixture.Http, "pods");
        ClusterSnapshot early = member.Snapshot();
        for (int i = 0; i < 20; i++)
        {
            member.Objects.Create(Members.Pod($"lost-{i}"));
        }

        // Where the restored server hands out the same revisions again, they mean other states.
        member.Objects.Update("v1", "Pod", "default", $"{name}-pod-0", pod => pod["metadata"]!["labels"]!["state"] = "lost");
        await fixture.UntilCoveredAsync(name, "pods", 22);

        await member.RestartAsync(early);

        member.Objects.Create(Members.Pod("restored"));
        JsonElement page = await fixture.UntilListedAsync(name, "pods", (coverage, items) => FaultFixture.State(coverage) == "ok" && Has(items, "restored"));
        Assert.Equal(3, page.GetProperty("items").GetArrayLength());
        await watch.UntilTrueAsync(fixture.Service, "pods");
        await fixture.UntilStatusAsync(name, s => FaultFixture.Phase(s) == "online");
        await fixture.AssertWellAsync();
        Assert.Single(fixture.Log.About(name, LogLevel.Warning), line => line.Event == "ServerWentBack");
    }

    [Fact]
    public async Task List_HalfADocument_KeepsWhatThereWas()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("halved", 2, "pods", "namespaces");
        member.WatchList = false;
        IDisposable half = member.Faults.Add(new Fault(FaultKind.HalfDocument) { Resource = "pods", Verb = "list", Bytes = 700 });

        // The mirror must not hear of the change by its watch, or it would have no reason to list.
        IDisposable deaf = member.Faults.Add(new Fault(FaultKind.Abort) { Resource = "pods", Verb = "watch" });
        member.Faults.CutWatches();
        member.Objects.Create(Members.Pod("later"));
        member.ForgetHistory();
        deaf.Dispose();

        JsonElement page = await fixture.UntilListedAsync("halved", "pods", (coverage, _) => FaultFixture.State(coverage) == "failed" && FaultFixture.FaultKind(coverage) == "Protocol");
        Assert.True(page.GetProperty("items").GetArrayLength() >= 2);
        half.Dispose();

        await fixture.UntilCoveredAsync("halved", "pods", 3);
        await fixture.UntilStatusAsync("halved", s => FaultFixture.Phase(s) == "online");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Revision_GoesBackAndIsGivenAgain_OtherStateIsShown()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("reused", 2, "pods", "namespaces");
        ClusterSnapshot early = member.Snapshot();
        member.Objects.Update("v1", "Pod", "default", "reused-pod-0", pod => pod["metadata"]!["labels"]!["state"] = "lost");
        member.Objects.Create(Members.Pod("lost-1"));
        member.Objects.Create(Members.Pod("lost-2"));
        await fixture.UntilCoveredAsync("reused", "pods", 4);

        await member.StopListeningAsync();
        member.Restore(early);
        member.Objects.Update("v1", "Pod", "default", "reused-pod-0", pod => pod["metadata"]!["labels"]!["state"] = "found");
        await member.StartListeningAsync();

        await fixture.UntilCoveredAsync("reused", "pods", 2);
        JsonElement pod = await fixture.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods/reused/default/reused-pod-0");
        Assert.Equal("found", pod.GetProperty("items")[0].GetProperty("object").GetProperty("metadata").GetProperty("labels").GetProperty("state").GetString());
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Kind_VanishesAndComesBack_ItsObjectsAreKeptMeanwhile()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("hiding", 2, "pods", "configmaps", "namespaces");
        member.Objects.Create(Members.ConfigMap("kept", "x"));
        await fixture.UntilListedAsync("hiding", "configmaps", (_, items) => Has(items, "kept"));
        member.Faults.Hide("configmaps");

        JsonElement page = await fixture.UntilListedAsync("hiding", "configmaps", (coverage, _) => FaultFixture.State(coverage) == "failed");
        Assert.Equal("NotFound", FaultFixture.FaultKind(page.GetProperty("coverage")[0]));
        Assert.Contains("kept", FaultFixture.NamesOf(page));
        await fixture.UntilCoveredAsync("hiding", "pods", 2);
        member.Faults.Show("configmaps");

        await fixture.UntilListedAsync("hiding", "configmaps", (coverage, items) => FaultFixture.State(coverage) == "ok" && Has(items, "kept"));
        await fixture.UntilStatusAsync("hiding", s => FaultFixture.Phase(s) == "online");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Definition_MadeDeletedAndMadeAgain_ItsObjectsComeAndGo()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("widgets");
        member.Objects.Create(Definition);
        await UntilServedAsync(member);
        await fixture.UntilKnownAsync("widgets", "widgets.example.com");
        member.Objects.Create(Widget("first"));
        await fixture.UntilListedAsync("widgets", "widgets.example.com", (coverage, items) => FaultFixture.State(coverage) == "ok" && Has(items, "first"));
        await using WatchedFleet watch = await WatchedFleet.StartAsync(fixture.Http, "widgets.example.com");

        member.Objects.Delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", null, "widgets.example.com");
        await fixture.UntilListedAsync("widgets", "pods", (_, _) => watch.Events.Contains("deleted widgets/default/first"));
        member.Objects.Create(Definition);
        await UntilServedAsync(member);
        await fixture.UntilKnownAsync("widgets", "widgets.example.com");
        member.Objects.Create(Widget("second"));

        await fixture.UntilListedAsync("widgets", "widgets.example.com", (coverage, items) => FaultFixture.State(coverage) == "ok" && Has(items, "second"));
        await watch.UntilTrueAsync(fixture.Service, "widgets.example.com");
        await fixture.UntilStatusAsync("widgets", s => FaultFixture.Phase(s) == "online");
        await fixture.AssertWellAsync();
    }

    private async Task UntilServedAsync(SimulatedCluster member) => await fixture.Service.UntilAsync("/v1/clusters/well", _ =>
    {
        try
        {
            return member.Objects.Count("example.com/v1", "Widget") >= 0;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    });

    private static bool Has(JsonElement items, string name) => items.EnumerateArray().Any(item => item.GetProperty("name").GetString() == name);
}
