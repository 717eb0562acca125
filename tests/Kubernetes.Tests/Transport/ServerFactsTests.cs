using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Tests.Transport;

public sealed class ServerFactsTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(200, "text/plain", "ok", ProbeOutcome.Healthy)]
    [InlineData(500, "text/plain", "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed", ProbeOutcome.Unhealthy)]
    [InlineData(503, "text/html", "<html>no backend", ProbeOutcome.Unhealthy)]
    [InlineData(401, "application/json", """{"kind":"Status","status":"Failure","code":401,"reason":"Unauthorized","message":"Unauthorized"}""", ProbeOutcome.Unauthorized)]
    [InlineData(403, "application/json", """{"kind":"Status","status":"Failure","code":403,"reason":"Forbidden","message":"no"}""", ProbeOutcome.Forbidden)]
    [InlineData(429, "text/plain", "Too many requests", ProbeOutcome.Slow)]
    [InlineData(504, "text/plain", "", ProbeOutcome.Slow)]
    [InlineData(200, "text/html", "<html>welcome</html>", ProbeOutcome.NotKubernetes)]
    [InlineData(404, "text/plain", "404 page not found", ProbeOutcome.NotKubernetes)]
    [InlineData(302, "text/html", "", ProbeOutcome.NotKubernetes)]
    public async Task Probe_Answer_HasItsOutcome(int status, string type, string body, ProbeOutcome outcome)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(body, status, type));
        await using var client = new KubeClient(api.Connection);
        ProbeResult probe = await client.ProbeAsync().WaitAsync(Soon);
        Assert.Equal(outcome, probe.Outcome);
        Assert.Equal(outcome == ProbeOutcome.Healthy, probe.Error is null);
        Assert.Equal(body.Contains("etcd", StringComparison.Ordinal) ? ["etcd"] : [], probe.FailedChecks.ToArray());
    }

    [Fact]
    public async Task Probe_OldServer_IsAskedForHealthz()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
            context.Request.Path == "/healthz" ? context.JsonAsync("ok", contentType: "text/plain") : context.JsonAsync("404 page not found", 404, "text/plain"));
        await using var client = new KubeClient(api.Connection);
        Assert.Equal(ProbeOutcome.Healthy, (await client.ProbeAsync().WaitAsync(Soon)).Outcome);
        Assert.Equal(["GET /readyz", "GET /healthz"], api.Calls);
    }

    // What /readyz, /healthz, /livez and /version answer, in this order; what follows the one that decides is not asked for.
    [Theory]
    [InlineData("403 200", ProbeOutcome.Healthy, 2)]
    [InlineData("403 500", ProbeOutcome.Unhealthy, 2)]
    [InlineData("403 401", ProbeOutcome.Unauthorized, 2)]
    [InlineData("403 403 200", ProbeOutcome.Healthy, 3)]
    [InlineData("404 404 200", ProbeOutcome.Healthy, 3)]
    [InlineData("403 403 403 200", ProbeOutcome.Healthy, 4)]
    [InlineData("403 404 403 401", ProbeOutcome.Unauthorized, 4)]
    [InlineData("403 403 403 403", ProbeOutcome.Forbidden, 4)]
    [InlineData("404 403 404 403", ProbeOutcome.Forbidden, 4)]
    [InlineData("404 404 404 404", ProbeOutcome.NotKubernetes, 4)]
    [InlineData("401", ProbeOutcome.Unauthorized, 1)]
    public async Task Probe_PathsThatAreMissingOrForbidden_AreNotTheAnswer(string statuses, ProbeOutcome outcome, int calls)
    {
        string[] paths = ["/readyz", "/healthz", "/livez", "/version"];
        int[] answers = [.. statuses.Split(' ').Select(int.Parse)];
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
            context.JsonAsync("text", answers[Array.IndexOf(paths, context.Request.Path.Value)], "text/plain"));
        await using var client = new KubeClient(api.Connection);

        Assert.Equal(outcome, (await client.ProbeAsync().WaitAsync(Soon)).Outcome);
        Assert.Equal(paths.Take(calls).Select(p => $"GET {p}"), api.Calls);
    }

    [Fact]
    public async Task Probe_NoServer_IsUnreachable()
    {
        await using var client = new KubeClient(new(new Uri($"http://127.0.0.1:{KubeClientTests.FreePort()}")));
        Assert.Equal(ProbeOutcome.Unreachable, (await client.ProbeAsync().WaitAsync(Soon)).Outcome);
    }

    [Fact]
    public async Task Probe_SilentServer_IsSlow()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((_, server) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, server.Stopping));
        await using var client = new KubeClient(api.Connection);
        Assert.Equal(ProbeOutcome.Slow, (await client.ProbeAsync(TimeSpan.FromMilliseconds(200)).WaitAsync(Soon)).Outcome);
    }

    [Theory]
    [InlineData("""{"major":"1","minor":"32+","gitVersion":"v1.32.13-eks","platform":"linux/amd64"}""", 32)]
    [InlineData("""{"major":"1","minor":"19","gitVersion":"v1.19.0"}""", 19)]
    public async Task GetVersion_Answer_IsRead(string body, int minor)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(body));
        await using var client = new KubeClient(api.Connection);
        ServerVersion version = await client.GetVersionAsync().WaitAsync(Soon);
        Assert.Equal((1, minor), (version.Major, version.Minor));
        Assert.Equal(minor >= 32, version.AtLeast(1, 32));
    }

    [Theory]
    [InlineData("<html>")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("")]
    public async Task GetVersion_SomethingElse_IsAProtocolError(string body)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(body));
        await using var client = new KubeClient(api.Connection);
        Assert.Equal(KubeErrorKind.Protocol, (await Assert.ThrowsAsync<KubeException>(() => client.GetVersionAsync().WaitAsync(Soon))).Kind);
    }

    [Fact]
    public async Task WhoAmI_ServerBefore128_RefusesWhatItDoesNotServe_IsUnknown()
    {
        // Authorization comes before existence: whoever is no administrator gets 403 for an API that this server does not have.
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(ScriptedAnswers.Status(403, "Forbidden", "cannot create resource"), 403));
        await using var client = new KubeClient(api.Connection);
        Assert.False((await client.WhoAmIAsync().WaitAsync(Soon)).IsKnown);
    }

    [Fact]
    public async Task WhoAmI_RefusedCredentials_IsAnError()
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(ScriptedAnswers.Status(401, "Unauthorized", "Unauthorized"), 401));
        await using var client = new KubeClient(api.Connection);
        Assert.Equal(KubeErrorKind.Unauthorized, (await Assert.ThrowsAsync<KubeException>(() => client.WhoAmIAsync().WaitAsync(Soon))).Kind);
    }

    [Fact]
    public async Task WhoAmI_OlderServers_AreAskedInTheirVersion()
    {
        string served = "v1beta1";
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
            context.Request.Path.Value!.Contains($"/{served}/", StringComparison.Ordinal)
                ? context.JsonAsync("""{"status":{"userInfo":{"username":"reader","uid":"u","groups":["readers"]}}}""", 201)
                : context.JsonAsync("404 page not found", 404, "text/plain"));
        await using var client = new KubeClient(api.Connection);
        UserIdentity who = await client.WhoAmIAsync().WaitAsync(Soon);
        Assert.Equal(("reader", "u", "readers"), (who.Name, who.Uid, who.Groups.Single()));
        served = "none";
        Assert.False((await client.WhoAmIAsync().WaitAsync(Soon)).IsKnown);
    }

    [Fact]
    public async Task Reviews_Answers_AreRead()
    {
        string? asked = null;
        await using ScriptedApi api = await ScriptedApi.StartAsync(async (context, _) =>
        {
            using var reader = new StreamReader(context.Request.Body);
            asked = await reader.ReadToEndAsync();
            await context.JsonAsync(
                context.Request.Path.Value!.Contains("rules", StringComparison.Ordinal)
                    ? """{"status":{"incomplete":true,"resourceRules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]},{"verbs":["*"],"apiGroups":["*"],"resources":["secrets"],"resourceNames":["one"]}]}}"""
                    : """{"status":{"allowed":false,"reason":"RBAC: no"}}""",
                201);
        });
        await using var client = new KubeClient(api.Connection);
        AccessRules rules = await client.GetRulesAsync("demo").WaitAsync(Soon);
        Assert.True(rules.Incomplete);
        Assert.True(rules.Allows("list", "", "pods"));
        Assert.False(rules.Allows("delete", "", "pods"));
        Assert.False(rules.Allows("get", "", "secrets"));
        AccessVerdict verdict = await client.CanIAsync(new AccessQuestion("list", "apps", "deploy\"ments", "demo") { Subresource = "scale" }).WaitAsync(Soon);
        Assert.Equal(new AccessVerdict(false, "RBAC: no"), verdict);
        using var question = System.Text.Json.JsonDocument.Parse(asked!);
        System.Text.Json.JsonElement attributes = question.RootElement.GetProperty("spec").GetProperty("resourceAttributes");
        Assert.Equal(("deploy\"ments", "scale", "demo"), (attributes.GetProperty("resource").GetString(), attributes.GetProperty("subresource").GetString(), attributes.GetProperty("namespace").GetString()));
    }
}
