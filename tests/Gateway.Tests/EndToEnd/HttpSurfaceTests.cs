using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>HTTP/JSON over the whole service and real (simulated) members.</summary>
public sealed class HttpSurfaceTests : IAsyncLifetime
{
    private ServiceUnderTest _service = null!;
    private SimulatedCluster _eu = null!;
    private SimulatedCluster _us = null!;

    public async Task InitializeAsync()
    {
        _service = await ServiceUnderTest.StartAsync();
        _eu = await Members.StartAsync("eu-1");
        _us = await Members.StartAsync("us-1");
        await _service.RegisterAsync(_eu, "eu");
        await _service.RegisterAsync(_us, "us");
        await _service.UntilSyncedAsync("pods", 6);
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _eu.DisposeAsync();
        await _us.DisposeAsync();
    }

    [Fact]
    public async Task List_TwoClusters_AnswersNativeObjectsInOrder()
    {
        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods");

        Assert.Equal(
            ["eu-1/eu-1-pod-0", "eu-1/eu-1-pod-1", "eu-1/eu-1-pod-2", "us-1/us-1-pod-0", "us-1/us-1-pod-1", "us-1/us-1-pod-2"],
            page.GetProperty("items").EnumerateArray().Select(i => $"{i.GetProperty("cluster").GetString()}/{i.GetProperty("name").GetString()}"));
        JsonElement pod = page.GetProperty("items")[0].GetProperty("object");
        Assert.Equal("Pod", pod.GetProperty("kind").GetString());
        Assert.Equal("v1", pod.GetProperty("apiVersion").GetString());
        Assert.Equal("nginx:1.27", pod.GetProperty("spec").GetProperty("containers")[0].GetProperty("image").GetString());
        Assert.False(pod.GetProperty("metadata").TryGetProperty("managedFields", out _));
        Assert.InRange(page.GetProperty("revision").GetString()!.Length, 1, 20);
    }

    [Fact]
    public async Task List_PageByPage_SkipsAndRepeatsNothing()
    {
        List<string> names = [];
        string? token = null;
        do
        {
            JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>($"/v1/resources/pods?limit=2&continue={Uri.EscapeDataString(token ?? "")}");
            Assert.InRange(page.GetProperty("items").GetArrayLength(), 1, 2);
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("name").GetString()!));
            token = page.TryGetProperty("continue", out JsonElement next) ? next.GetString() : null;
            Assert.True((token?.Length ?? 0) <= 512);
        }
        while (token is not null);

        Assert.Equal(6, names.Count);
        Assert.Equal(names.Distinct(), names);
    }

    [Fact]
    public async Task List_ClusterSelector_AsksOnlyThose()
    {
        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods?clusterSelector=region%3Dus");

        Assert.Equal(3, page.GetProperty("items").GetArrayLength());
        Assert.Equal(["us-1"], page.GetProperty("coverage").EnumerateArray().Select(c => c.GetProperty("cluster").GetString()));
    }

    [Fact]
    public async Task List_DeploymentsOfANameThatAreNotReady_EverywhereFindsThem()
    {
        _eu.Objects.Create(Members.Deployment("nginx", 2, 2));
        _us.Objects.Create(Members.Deployment("nginx", 2, 0));
        _us.Objects.Create(Members.Deployment("other", 2, 0));
        await _service.UntilSyncedAsync("deployments", 3);

        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/deployments?name=nginx&ready=false");

        Assert.Contains("us-1", page.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("cluster").GetString()));
        Assert.All(page.GetProperty("items").EnumerateArray(), i => Assert.Equal("nginx", i.GetProperty("name").GetString()));
    }

    [Fact]
    public async Task Get_OneObject_MirrorAndLiveAgree()
    {
        JsonElement mirrored = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods/eu-1/default/eu-1-pod-1");
        JsonElement live = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods/eu-1/default/eu-1-pod-1?source=live");

        Assert.Equal(
            mirrored.GetProperty("items")[0].GetProperty("object").GetProperty("metadata").GetProperty("uid").GetString(),
            live.GetProperty("items")[0].GetProperty("object").GetProperty("metadata").GetProperty("uid").GetString());
    }

    [Fact]
    public async Task Count_ByCluster_CountsAll()
    {
        JsonElement counts = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/count/pods?by=cluster");

        Assert.Equal(6, counts.GetProperty("total").GetInt64());
        Assert.Equal(
            ["eu-1=3", "us-1=3"],
            counts.GetProperty("groups").EnumerateArray().Select(g => $"{g.GetProperty("values")[0].GetString()}={g.GetProperty("count").GetInt64()}"));
    }

    [Fact]
    public async Task Watch_ServerSentEvents_ShowThePresentAndThenChanges()
    {
        using var stop = new CancellationTokenSource(ServiceUnderTest.Patience);
        using HttpResponseMessage answer = await _service.Http.GetAsync("/v1/resources/pods?watch=true", HttpCompletionOption.ResponseHeadersRead, stop.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(stop.Token));
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        List<(string Type, string Data)> present = await EventStreamReader.UntilAsync(reader, "synced", stop.Token);
        Assert.Equal(6, present.Count(e => e.Type == "added"));

        _us.Objects.Create(Members.Pod("late"));
        (string _, string data) = (await EventStreamReader.UntilAsync(reader, "added", stop.Token))[^1];

        Assert.Equal("late", JsonDocument.Parse(data).RootElement.GetProperty("name").GetString());
        _us.Objects.Delete("v1", "Pod", "default", "late");
        (string _, string gone) = (await EventStreamReader.UntilAsync(reader, "deleted", stop.Token))[^1];
        Assert.Equal("late", JsonDocument.Parse(gone).RootElement.GetProperty("name").GetString());
    }

    [Fact]
    public async Task Watch_FromTheRevisionOfAList_MissesNothing()
    {
        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/configmaps?name=watched-*");
        _eu.Objects.Create(Members.ConfigMap("watched-1", "a"));
        _us.Objects.Create(Members.ConfigMap("watched-2", "b"));
        await _service.UntilAsync("/v1/count/configmaps?name=watched-*", c => c.GetProperty("total").GetInt64() == 2);
        using var stop = new CancellationTokenSource(ServiceUnderTest.Patience);
        using HttpResponseMessage answer = await _service.Http.GetAsync(
            $"/v1/resources/configmaps?name=watched-*&watch=true&revision={page.GetProperty("revision").GetString()}", HttpCompletionOption.ResponseHeadersRead, stop.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(stop.Token));

        HashSet<string> seen = [];
        while (seen.Count < 2)
        {
            (string _, string data) = (await EventStreamReader.UntilAsync(reader, "added", stop.Token))[^1];
            seen.Add(JsonDocument.Parse(data).RootElement.GetProperty("name").GetString()!);
        }

        Assert.Equal(["watched-1", "watched-2"], seen.Order());
    }

    [Theory]
    [InlineData("/v1/resources/nonesuches", "kind")]
    [InlineData("/v1/resources/pods?labelSelector=a%20in%20b", "labelSelector")]
    [InlineData("/v1/resources/pods?fieldSelector=spec..x%3D1", "fieldSelector")]
    [InlineData("/v1/resources/pods?continue=garbage", "continue")]
    [InlineData("/v1/resources/pods?limit=0", "limit")]
    [InlineData("/v1/resources/pods?limit=10001", "limit")]
    [InlineData("/v1/resources/pods?limit=-1", "limit")]
    [InlineData("/v1/resources/pods?cluster=Not_A_Label", "cluster")]
    [InlineData("/v1/resources/pods?namespace=Not_A_Label", "namespace")]
    [InlineData("/v1/resources/pods?deadline=61s", "deadline")]
    [InlineData("/v1/resources/pods?nonsense=1", "nonsense")]
    [InlineData("/v1/resources/pods?watch=true&revision=abc", "revision")]
    [InlineData("/v1/count/pods?by=colour", "by")]
    [InlineData("/v1/clusters?clusterSelector=((", "clusterSelector")]
    [InlineData("/v1/clusters/eu-1?nonsense=1", "nonsense")]
    [InlineData("/v1/resources/pods/eu-1/default/eu-1-pod-0?cluster=us-1", "cluster")]
    public async Task Request_Wrong_Is400AndNamesTheField(string path, string field)
    {
        HttpResponseMessage answer = await _service.Http.GetAsync(path);
        JsonElement problem = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains(problem.GetProperty("faults").EnumerateArray(), f => f.GetProperty("field").GetString() == field);
        Assert.DoesNotContain("Exception", problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_UnknownObject_Is404WithCoverage()
    {
        HttpResponseMessage answer = await _service.Http.GetAsync("/v1/resources/pods/-/default/nonesuch");
        JsonElement problem = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal(2, problem.GetProperty("coverage").GetArrayLength());
    }

    [Fact]
    public async Task Get_NobodyCouldSay_Is503AndNotNotFound()
    {
        await _us.StopListeningAsync();

        HttpResponseMessage answer = await _service.Http.GetAsync("/v1/resources/pods/us-1/default/us-1-pod-0?source=live");
        JsonElement problem = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.NotEmpty(problem.GetProperty("coverage")[0].GetProperty("fault").GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task Get_OneSaysNoAndAnotherNothing_Is503AndNotNotFound()
    {
        // The mirror of a cluster that is away could say, by what it held last; a live read cannot.
        await _us.StopListeningAsync();

        HttpResponseMessage unknown = await _service.Http.GetAsync("/v1/resources/pods/-/default/us-1-pod-0?source=live");
        JsonElement problem = await unknown.Content.ReadFromJsonAsync<JsonElement>();
        HttpResponseMessage known = await _service.Http.GetAsync("/v1/resources/pods/-/default/nonesuch");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, unknown.StatusCode);
        Assert.Equal(["eu-1 ok", "us-1 offline"], problem.GetProperty("coverage").EnumerateArray().Select(c => $"{c.GetProperty("cluster")} {c.GetProperty("state")}"));
        Assert.Equal(HttpStatusCode.NotFound, known.StatusCode);
    }

    [Fact]
    public async Task Count_ByReadiness_NamesStatesAsFiltersDo()
    {
        _eu.Objects.Create(Members.Deployment("web", 2, 0));
        await _service.UntilSyncedAsync("deployments", 1);

        JsonElement counts = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/count/deployments?by=readiness");
        string state = counts.GetProperty("groups")[0].GetProperty("values")[0].GetString()!;
        JsonElement again = await _service.Http.GetFromJsonAsync<JsonElement>($"/v1/resources/deployments?readiness={state}");

        Assert.Equal(state, state.ToLowerInvariant());
        Assert.Equal(1, again.GetProperty("items").GetArrayLength());
        Assert.Equal(state, again.GetProperty("items")[0].GetProperty("readiness").GetString());
    }

    [Fact]
    public async Task Watch_FromBeforeARestart_SaysExpiredAndMakesBrowsersForgetTheRevision()
    {
        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods?projection=none");
        await _service.RestartAsync();
        await _service.UntilSyncedAsync("pods", 6);

        string events = await _service.Http.GetStringAsync($"/v1/resources/pods?watch=true&revision={page.GetProperty("revision").GetString()}");

        Assert.Contains("event: end\nid:\ndata: {\"reason\":\"expired\"", events, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    [InlineData("mc_0000000000000000000000000000000000000000000000000000000000000000")]
    public async Task Request_WithoutTheToken_Is401(string? token)
    {
        using HttpClient stranger = _service.CreateClient(token);

        foreach (string path in (string[])["/v1/clusters", "/v1/resources/pods", "/v1/openapi.json", "/v1/kinds"])
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.GetAsync(path)).StatusCode);
        }
    }

    [Theory]
    [InlineData("""{"name":"Not_A_Label","server":"https://127.0.0.1:1"}""", 400, "name")]
    [InlineData("""{"name":"x"}""", 400, "connection")]
    [InlineData("""{"name":"x","kubeconfig":"{"}""", 400, "kubeconfig")]
    [InlineData("""{"name":"x","kubeconfig":"apiVersion: v1\nkind: Config"}""", 400, "kubeconfig.contexts")]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","labels":{"-":"v"}}""", 400, "labels")]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","token":"secret-value"}""", 422, null)]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","colour":"blue"}""", 400, null)]
    [InlineData("""{"name":"x","name":"y","server":"https://127.0.0.1:1"}""", 400, null)]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","labels":{"region":null}}""", 400, "labels")]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","mirror":{"include":["../pods"]}}""", 400, "mirror.include")]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","mirror":{"include":[null]}}""", 400, "mirror.include")]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","mirror":{"include":null}}""", 422, null)]
    [InlineData("""{"name":"x","server":"https://127.0.0.1:1","proxyUrl":"file:///x"}""", 400, "proxyUrl")]
    [InlineData("""{"name":""", 400, null)]
    public async Task Register_WrongOrUnreachable_IsRefusedAndNothingIsRegistered(string body, int status, string? field)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        HttpResponseMessage answer = await _service.Http.PostAsync("/v1/clusters", content);
        string problem = await answer.Content.ReadAsStringAsync();
        JsonElement clusters = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/clusters");

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.DoesNotContain("secret-value", problem, StringComparison.Ordinal);
        Assert.True(field is null || problem.Contains($"\"field\":\"{field}\"", StringComparison.Ordinal), problem);
        Assert.Equal(2, clusters.GetProperty("items").GetArrayLength());
    }

    [Theory]
    [InlineData("GET", "/v1/nonesuch", null, 404, "/v1/openapi.json")]
    [InlineData("PUT", "/v1/clusters", "application/json", 405, "GET, POST")]
    [InlineData("POST", "/v1/clusters", "text/plain", 415, "application/json")]
    public async Task Request_NobodyTakes_IsExplained(string method, string path, string? type, int status, string advice)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = type is null ? null : new StringContent("{}", Encoding.UTF8, type) };
        HttpResponseMessage answer = await _service.Http.SendAsync(request);

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains(advice, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answers_AreKeptByNoCacheAndTakenForNoHtml()
    {
        foreach (string path in (string[])["/v1/clusters", "/v1/resources/pods", "/v1/resources/nonesuch", "/v1/nonesuch"])
        {
            HttpResponseMessage answer = await _service.Http.GetAsync(path);

            Assert.True(answer.Headers.CacheControl?.NoStore, path);
            Assert.Equal(["nosniff"], answer.Headers.GetValues("X-Content-Type-Options"));
        }
    }

    [Fact]
    public async Task Request_Wrong_IsReadableAsItIs()
    {
        HttpResponseMessage answer = await _service.Http.GetAsync("/v1/resources/pods?limit=many");

        Assert.Contains("'many' is not a whole number", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_KindWithGroupAndVersion_TakesEscapedSlashes()
    {
        JsonElement core = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/count/v1%2Fpods");
        JsonElement grouped = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/count/apps%2fv1%2fdeployments");

        Assert.Equal(6, core.GetProperty("total").GetInt64());
        Assert.Equal(0, grouped.GetProperty("total").GetInt64());
    }

    [Fact]
    public async Task List_SelectorNearItsLimit_IsAnswered()
    {
        string selector = string.Join(',', Enumerable.Range(0, 450).Select(i => $"key-{i}!=val-{i}"));

        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>($"/v1/resources/pods?projection=none&labelSelector={Uri.EscapeDataString(selector)}");

        Assert.Equal(6, page.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Update_AnswersTheStateThatTheFleetKnows()
    {
        await _service.UntilAsync("/v1/clusters/eu-1", c => c.GetProperty("cluster").GetProperty("status").GetProperty("phase").GetString() == "online");

        HttpResponseMessage answer = await _service.Http.PatchAsJsonAsync("/v1/clusters/eu-1", new { labels = new { region = "north" } });
        JsonElement cluster = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal("north", cluster.GetProperty("labels").GetProperty("region").GetString());
        Assert.Equal("online", cluster.GetProperty("status").GetProperty("phase").GetString());
    }

    [Fact]
    public async Task Register_SameName_Is409()
    {
        HttpResponseMessage answer = await _service.Http.PostAsJsonAsync("/v1/clusters", new { name = "eu-1", kubeconfig = _us.KubeconfigYaml() });

        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
    }

    [Fact]
    public async Task Register_SameServerUnderAnotherName_Warns()
    {
        HttpResponseMessage answer = await _service.Http.PostAsJsonAsync("/v1/clusters", new { name = "twin", kubeconfig = _eu.KubeconfigYaml() });
        JsonElement result = await answer.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        Assert.Contains("eu-1", result.GetProperty("warnings").ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answers_AboutAClusterNeverHoldItsCredentials()
    {
        string all = await _service.Http.GetStringAsync("/v1/clusters") + await _service.Http.GetStringAsync("/v1/clusters/eu-1");

        Assert.DoesNotContain(_eu.AdminToken, all, StringComparison.Ordinal);
        foreach (string file in Directory.EnumerateFiles(_service.DataDirectory, "*", SearchOption.AllDirectories).Where(f => !f.EndsWith("lock", StringComparison.Ordinal)))
        {
            Assert.DoesNotContain(_eu.AdminToken, await File.ReadAllTextAsync(file), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Update_LabelsWithAnOldGeneration_Is409()
    {
        HttpResponseMessage first = await _service.Http.PatchAsJsonAsync("/v1/clusters/eu-1", new { labels = new { region = "north" } });
        HttpResponseMessage second = await _service.Http.PatchAsJsonAsync("/v1/clusters/eu-1", new { labels = new { region = "south" }, ifGeneration = 1 });
        JsonElement found = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/clusters?clusterSelector=region%3Dnorth");

        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal(HttpStatusCode.Conflict, second.StatusCode);
        Assert.Equal(1, found.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Watch_BeforeThePresentIsWhole_HandsOutNoRevision()
    {
        using var stop = new CancellationTokenSource(ServiceUnderTest.Patience);
        using HttpResponseMessage answer = await _service.Http.GetAsync("/v1/resources/pods?watch=true&projection=none", HttpCompletionOption.ResponseHeadersRead, stop.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(stop.Token));

        List<(string Type, string Data)> events = await EventStreamReader.UntilAsync(reader, "synced", stop.Token);

        Assert.DoesNotContain("bookmark", events.Select(e => e.Type));
        Assert.Matches("^[1-9][0-9]*$", JsonDocument.Parse(events[^1].Data).RootElement.GetProperty("revision").GetString()!);
    }

    [Fact]
    public async Task Remove_Cluster_TakesItsObjectsOutOfListsAndWatches()
    {
        using var stop = new CancellationTokenSource(ServiceUnderTest.Patience);
        using HttpResponseMessage answer = await _service.Http.GetAsync("/v1/resources/pods?watch=true&projection=none", HttpCompletionOption.ResponseHeadersRead, stop.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(stop.Token));
        await EventStreamReader.UntilAsync(reader, "synced", stop.Token);

        Assert.Equal(HttpStatusCode.NoContent, (await _service.Http.DeleteAsync("/v1/clusters/us-1")).StatusCode);

        HashSet<string> deleted = [];
        while (deleted.Count < 3)
        {
            (string _, string data) = (await EventStreamReader.UntilAsync(reader, "deleted", stop.Token))[^1];
            deleted.Add(JsonDocument.Parse(data).RootElement.GetProperty("name").GetString()!);
        }

        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods");
        Assert.All(page.GetProperty("items").EnumerateArray(), i => Assert.Equal("eu-1", i.GetProperty("cluster").GetString()));
        Assert.Equal(HttpStatusCode.NotFound, (await _service.Http.GetAsync("/v1/clusters/us-1")).StatusCode);
        Assert.Equal(3, _us.Objects.Count("v1", "Pod"));
    }

    [Fact]
    public async Task Restart_FleetComesBackByItself()
    {
        await _service.RestartAsync();

        await _service.UntilSyncedAsync("pods", 6);
        JsonElement clusters = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/clusters");
        Assert.Equal(["eu", "us"], clusters.GetProperty("items").EnumerateArray().Select(c => c.GetProperty("labels").GetProperty("region").GetString()));
    }

    [Fact]
    public async Task Outage_ObjectsStayReadableAndCoverageSaysSo()
    {
        await _us.StopListeningAsync();

        await _service.UntilAsync("/v1/clusters/us-1", c => c.GetProperty("cluster").GetProperty("status").GetProperty("phase").GetString() == "offline");
        JsonElement page = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods");
        JsonElement us = page.GetProperty("coverage").EnumerateArray().Single(c => c.GetProperty("cluster").GetString() == "us-1");
        Assert.Equal("offline", us.GetProperty("state").GetString());
        Assert.True(us.GetProperty("ageSeconds").GetDouble() >= 0);
        Assert.Equal(6, page.GetProperty("items").GetArrayLength());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _service.Http.GetAsync("/v1/resources/pods?strict=true")).StatusCode);

        await _us.StartListeningAsync();
        await _service.UntilAsync("/v1/clusters/us-1", c => c.GetProperty("cluster").GetProperty("status").GetProperty("phase").GetString() == "online");
    }

    [Fact]
    public async Task OpenApi_Document_DescribesEveryPath()
    {
        JsonElement document = await _service.Http.GetFromJsonAsync<JsonElement>("/v1/openapi.json");

        Assert.Equal(
            ["/v1/clusters", "/v1/clusters/{name}", "/v1/clusters/{name}/credentials", "/v1/count/{kind}", "/v1/kinds", "/v1/resources/{kind}", "/v1/resources/{kind}/{cluster}/{name}", "/v1/resources/{kind}/{cluster}/{ns}/{name}"],
            document.GetProperty("paths").EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
        Assert.Contains(
            document.GetProperty("paths").GetProperty("/v1/resources/{kind}").GetProperty("get").GetProperty("parameters").EnumerateArray(),
            p => p.GetProperty("name").GetString() == "fieldSelector");
        Assert.Equal(
            "integer",
            document.GetProperty("components").GetProperty("schemas").GetProperty("HttpMirrorScope").GetProperty("properties").GetProperty("byteBudget").GetProperty("type").GetString());
    }

    [Fact]
    public async Task OperationsPort_AnswersHealthAndMetricsAndNothingElse()
    {
        using var client = new HttpClient { BaseAddress = _service.Service.OperationsAddress, Timeout = ServiceUnderTest.Patience };

        Assert.Equal("ok\n", await client.GetStringAsync("/healthz"));
        Assert.EndsWith("ready\n", await client.GetStringAsync("/readyz"), StringComparison.Ordinal);
        Assert.Contains("# TYPE ", await client.GetStringAsync("/metrics"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync("/v1/clusters")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await _service.Http.GetAsync("/metrics")).StatusCode);
    }
}
