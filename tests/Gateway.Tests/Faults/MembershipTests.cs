using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MultiCluster.Gateway.Tests.EndToEnd;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>Clusters come, go, move and are away while the fleet is read and watched.</summary>
public sealed class MembershipTests(FaultFixture fixture) : IClassFixture<FaultFixture>
{
    private static readonly string[] Kinds = ["pods", "replicasets.apps", "deployments.apps"];

    [Fact]
    public async Task Register_WhatIsNoCluster_SaysWhatIsWrongAndForcedStaysPendingOrSick()
    {
        await using SimulatedCluster real = await Members.StartAsync("real");
        await using SimulatedCluster other = await Members.StartAsync("other");
        await using SimulatedCluster page = await Members.StartAsync("page");
        await using SimulatedCluster half = await Members.StartAsync("half");
        page.Faults.Add(new Fault(FaultKind.Html));
        half.Faults.Add(new Fault(FaultKind.HalfDocument) { Bytes = 10 });
        string good = real.KubeconfigYaml();
        (string Name, string Kubeconfig, string Kind, string Phase)[] cases =
        [
            ("wrong-token", real.KubeconfigYaml("no-such-token-here"), "Unauthorized", "auth_failed"),
            ("wrong-ca", good.Replace(Base64(real.CertificateAuthorityPem), Base64(other.CertificateAuthorityPem), StringComparison.Ordinal), "Tls", "offline"),
            ("wrong-port", good.Replace(real.Url.Authority, "127.0.0.1:1", StringComparison.Ordinal), "ConnectionRefused", "offline"),
            ("wrong-name", good.Replace(real.Url.Authority, "no-such-host.invalid:6443", StringComparison.Ordinal), "NameResolution|Timeout", "offline"),
            ("html-page", page.KubeconfigYaml(), "Protocol", "offline"),
            ("half-json", half.KubeconfigYaml(), "Protocol", "degraded"),
        ];

        await Task.WhenAll(cases.Select(async c =>
        {
            (HttpStatusCode code, JsonElement answer) = await fixture.TryRegisterAsync(c.Name, c.Kubeconfig, include: Kinds);
            string text = answer.ToString();
            Assert.True(code == HttpStatusCode.UnprocessableEntity, $"{c.Name}: {code} {text}");
            Assert.True(c.Kind.Split('|').Any(kind => text.Contains($"\"{kind}\"", StringComparison.Ordinal)), $"{c.Name}: {text}");
            Assert.DoesNotContain("Exception", text, StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.NotFound, (await fixture.Http.GetAsync($"/v1/clusters/{c.Name}")).StatusCode);

            (HttpStatusCode forced, JsonElement _) = await fixture.TryRegisterAsync(c.Name, c.Kubeconfig, force: true, Kinds);
            Assert.Equal(HttpStatusCode.Created, forced);
            await fixture.UntilStatusAsync(c.Name, s => FaultFixture.Phase(s) == c.Phase);
            JsonElement list = await fixture.Http.GetFromJsonAsync<JsonElement>($"/v1/resources/pods?cluster={c.Name}");
            Assert.Equal(0, list.GetProperty("items").GetArrayLength());
            Assert.NotEqual("ok", FaultFixture.State(list.GetProperty("coverage")[0]));

            using HttpResponseMessage replaced = await fixture.Http.PutAsJsonAsync($"/v1/clusters/{c.Name}/credentials", new { kubeconfig = good, force = true });
            Assert.True(replaced.IsSuccessStatusCode, $"{c.Name}: {await replaced.Content.ReadAsStringAsync()}");
            await fixture.UntilCoveredAsync(c.Name, "pods", 3);
            await fixture.UntilStatusAsync(c.Name, s => FaultFixture.Phase(s) == "online");
            await fixture.RemoveAsync(c.Name);
        }));

        await fixture.AssertNothingLeaksAsync(real.AdminToken, "no-such-token-here");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Register_ManyAtOnceOneOfThemSlow_AllAreThereAndNobodyWaits()
    {
        const int Count = 50;
        SimulatedCluster[] members = await Task.WhenAll(Enumerable.Range(0, Count).Select(i => Members.StartAsync($"many-{i:00}", 1)));
        SimulatedCluster stuck = await Members.StartAsync("stuck", 1);
        stuck.Faults.Add(new Fault(FaultKind.Latency) { Delay = TimeSpan.FromSeconds(300) });
        Task<(HttpStatusCode Code, JsonElement Answer)> hanging = fixture.TryRegisterAsync("stuck", stuck.KubeconfigYaml(), include: Kinds);
        foreach (SimulatedCluster member in members)
        {
            member.Objects.Create(Members.Deployment("web", 1, 1));
            JsonElement deployment = JsonDocument.Parse(member.Objects.Get("apps/v1", "Deployment", "default", "web")!).RootElement;
            string set = member.Objects.Create(Owned("apps/v1", "ReplicaSet", "web-1", "apps/v1", "Deployment", "web", deployment,
                """, "spec":{"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"main","image":"nginx"}]}}}"""));
            member.Objects.Create(Owned("v1", "Pod", "same-name", "apps/v1", "ReplicaSet", "web-1", JsonDocument.Parse(set).RootElement,
                """, "spec":{"containers":[{"name":"main","image":"nginx"}]}"""));
        }

        await Task.WhenAll(members.Select(member => fixture.RegisterAsync(member.Options.Name, member, Kinds)));

        JsonElement same = await fixture.Service.UntilAsync(
            "/v1/resources/pods?name=same-name&limit=1000",
            page => page.GetProperty("items").GetArrayLength() == Count && page.GetProperty("coverage").EnumerateArray().All(c => FaultFixture.State(c) == "ok"));
        Assert.Equal(
            members.Select(m => m.Options.Name),
            same.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("cluster").GetString()));
        JsonElement owned = await fixture.Service.UntilAsync(
            "/v1/resources/pods?owner=Deployment/web&projection=none&limit=1000", page => page.GetProperty("items").GetArrayLength() == Count);
        Assert.All(FaultFixture.NamesOf(owned), name => Assert.Equal("same-name", name));
        (HttpStatusCode code, JsonElement answer) = await hanging.WaitAsync(ServiceUnderTest.Patience);
        Assert.True(code == HttpStatusCode.UnprocessableEntity && answer.ToString().Contains("Timeout", StringComparison.Ordinal), $"{code} {answer}");

        await Task.WhenAll(members.Select(member => fixture.RemoveAsync(member.Options.Name)));
        await Task.WhenAll(members.Append(stuck).Select(member => member.DisposeAsync().AsTask()));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Cluster_JoinsLeavesAndMovesUnderAWatch_WatchEndsAtTheTruth()
    {
        await using SimulatedCluster first = await Members.StartAsync("first", 2);
        await using SimulatedCluster second = await Members.StartAsync("second", 2);
        await using WatchedFleet watch = await WatchedFleet.StartAsync(fixture.Http, "pods");

        await fixture.RegisterAsync("mover", first, Kinds);
        await fixture.UntilCoveredAsync("mover", "pods", 2);
        await watch.UntilTrueAsync(fixture.Service, "pods");
        await fixture.RemoveAsync("mover");
        await fixture.RegisterAsync("mover", second, Kinds);
        JsonElement page = await fixture.UntilCoveredAsync("mover", "pods", 2);
        await watch.UntilTrueAsync(fixture.Service, "pods");

        Assert.Equal(["second-pod-0", "second-pod-1"], FaultFixture.NamesOf(page));
        // A watch may repeat a change; it must neither miss one nor invent one.
        IEnumerable<string> events = watch.Events.Where(e => e.Contains("mover/", StringComparison.Ordinal)).Distinct(StringComparer.Ordinal);
        Assert.Equal(
            ["added mover/default/first-pod-0", "added mover/default/first-pod-1", "added mover/default/second-pod-0", "added mover/default/second-pod-1", "deleted mover/default/first-pod-0", "deleted mover/default/first-pod-1"],
            events.Order(StringComparer.Ordinal));
        await fixture.RemoveAsync("mover");
        await fixture.Service.UntilAsync("/v1/clusters/well", _ => watch.Events.Contains("deleted mover/default/second-pod-1"));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Cluster_RemovedAndMovedWhileSilent_IsNotHeldUp()
    {
        await using SimulatedCluster silent = await fixture.JoinAsync("silent-mover", 2, Kinds);
        await using SimulatedCluster next = await Members.StartAsync("next", 1);
        silent.Faults.Add(new Fault(FaultKind.Silence));
        silent.Faults.SilenceWatches();

        await fixture.RemoveAsync("silent-mover");
        await fixture.RegisterAsync("silent-mover", next, Kinds);

        Assert.Equal(["next-pod-0"], FaultFixture.NamesOf(await fixture.UntilCoveredAsync("silent-mover", "pods", 1)));
        silent.Faults.Clear();
        silent.Objects.Create(Members.Pod("ghost"));
        Assert.Equal(["next-pod-0"], FaultFixture.NamesOf(await fixture.UntilCoveredAsync("silent-mover", "pods", 1)));
        await fixture.RemoveAsync("silent-mover");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Credentials_ReplacedWhileOffline_AreUsedWhenItComesBack()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("locked", 2, Kinds);
        await member.StopListeningAsync();
        member.AddUser(new SimulatedUser("second", "token-number-two", "system:masters"));
        member.RevokeToken(member.AdminToken);
        await fixture.UntilStatusAsync("locked", s => FaultFixture.Phase(s) == "offline");

        using HttpResponseMessage refused = await fixture.Http.PutAsJsonAsync("/v1/clusters/locked/credentials", new { kubeconfig = member.KubeconfigYaml("token-number-two") });
        using HttpResponseMessage forced = await fixture.Http.PutAsJsonAsync("/v1/clusters/locked/credentials", new { kubeconfig = member.KubeconfigYaml("token-number-two"), force = true });
        member.Objects.Create(Members.Pod("meanwhile"));
        await member.StartListeningAsync();

        Assert.Equal((HttpStatusCode.UnprocessableEntity, HttpStatusCode.OK), (refused.StatusCode, forced.StatusCode));
        await fixture.UntilCoveredAsync("locked", "pods", 3);
        await fixture.UntilStatusAsync("locked", s => FaultFixture.Phase(s) == "online");
        await fixture.AssertNothingLeaksAsync("token-number-two", member.AdminToken);
        await fixture.RemoveAsync("locked");
    }

    [Fact]
    public async Task Token_RevokedAndGivenBackWhileWatchesRun_RecoversByItself()
    {
        await using SimulatedCluster member = await Members.StartAsync("revoked", 2);
        var user = new SimulatedUser("robot", "token-of-the-robot", "system:masters");
        member.AddUser(user);
        (HttpStatusCode code, _) = await fixture.TryRegisterAsync("revoked", member.KubeconfigYaml(user.Token), include: Kinds);
        Assert.Equal(HttpStatusCode.Created, code);
        await fixture.UntilCoveredAsync("revoked", "pods", 2);

        member.RevokeToken(user.Token);
        member.Faults.EndWatches();
        JsonElement status = await fixture.UntilStatusAsync("revoked", s => FaultFixture.Phase(s) == "auth_failed");
        Assert.Equal("Unauthorized", FaultFixture.FaultKind(status));
        JsonElement page = await fixture.UntilListedAsync("revoked", "pods", (coverage, _) => FaultFixture.State(coverage) == "forbidden");
        Assert.Equal(2, page.GetProperty("items").GetArrayLength());
        member.Objects.Create(Members.Pod("meanwhile"));
        member.AddUser(user);

        await fixture.UntilStatusAsync("revoked", s => FaultFixture.Phase(s) == "online");
        await fixture.UntilCoveredAsync("revoked", "pods", 3);
        await fixture.AssertNothingLeaksAsync(user.Token);
        await fixture.RemoveAsync("revoked");
        await fixture.AssertWellAsync();
    }

    private static string Owned(string apiVersion, string kind, string name, string ownerVersion, string ownerKind, string owner, JsonElement of, string rest) =>
        $$$"""{"apiVersion":"{{{apiVersion}}}","kind":"{{{kind}}}","metadata":{"name":"{{{name}}}","namespace":"default","labels":{"app":"web"},"ownerReferences":[{"apiVersion":"{{{ownerVersion}}}","kind":"{{{ownerKind}}}","name":"{{{owner}}}","uid":"{{{of.GetProperty("metadata").GetProperty("uid").GetString()}}}","controller":true}]}{{{rest}}}}""";

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
}

/// <summary>The service itself is restarted while a member is away.</summary>
public sealed class RestartTests(FaultFixture fixture) : IClassFixture<FaultFixture>
{
    [Fact]
    public async Task Restart_WhileAMemberIsDown_KeepsTheRegistrationInventsNothingAndTakesItBack()
    {
        await using SimulatedCluster member = await fixture.JoinAsync("down", 2, "pods");
        await member.StopListeningAsync();

        await fixture.Service.RestartAsync();

        await fixture.UntilCoveredAsync("well", "pods", 3);
        JsonElement status = await fixture.UntilStatusAsync("down", s => FaultFixture.Phase(s) == "offline");
        Assert.Equal("ConnectionRefused", FaultFixture.FaultKind(status));
        JsonElement page = await fixture.UntilListedAsync("down", "pods", (coverage, _) => FaultFixture.State(coverage) == "offline");
        Assert.Equal(0, page.GetProperty("items").GetArrayLength());
        Assert.Equal(0, status.GetProperty("objects").GetInt64());
        using HttpResponseMessage strict = await fixture.Http.GetAsync("/v1/resources/pods?strict=true");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, strict.StatusCode);

        await member.StartListeningAsync();
        await fixture.UntilStatusAsync("down", s => FaultFixture.Phase(s) == "online");
        await fixture.UntilCoveredAsync("down", "pods", 2);
        Assert.DoesNotContain(fixture.Log.Lines, line => line.Level >= Microsoft.Extensions.Logging.LogLevel.Error);
    }
}
