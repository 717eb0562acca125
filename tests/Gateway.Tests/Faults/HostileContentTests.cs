using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using MultiCluster.Gateway.Tests.EndToEnd;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>A member that sends what no API server would store.</summary>
public sealed class HostileContentTests(FaultFixture fixture) : IClassFixture<FaultFixture>
{
    private const string Maps = "/api/v1/configmaps";
    private const string Pods = "/api/v1/pods";
    private const string Things = "/apis/hostile.dev/v1/things";

    private static readonly (string Group, string Plural, string Kind)[] Kinds =
        [("", "configmaps", "ConfigMap"), ("", "pods", "Pod"), ("", "nodes", "Node"), ("hostile.dev", "things", "Thing")];

    [Fact]
    public async Task Objects_Odd_ComeOutAsTheyWentIn()
    {
        await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
        string deep = string.Concat(Enumerable.Repeat("{\"a\":[", 150)) + "1" + string.Concat(Enumerable.Repeat("]}", 150));
        string labels = string.Join(',', Enumerable.Range(0, 10_000).Select(i => $"\"l{i}\":\"v{i}\""));
        member.Items[Maps] =
        [
            Object("ConfigMap", "quo\\\"ted", 1),
            Object("ConfigMap", "\\u0065scaped\\u00e9", 2),
            Object("ConfigMap", "line\\nbreak", 3),
            Object("ConfigMap", "emoji-\\ud83d\\ude00", 4),
            Object("ConfigMap", "numbers", 5, ""","data":{"big":1e999,"tiny":-1e-999,"long":123456789012345678901234567890}"""),
            Object("ConfigMap", "large", 6, $",\"data\":{{\"blob\":\"{new string('x', 1_500_000)}\"}}"),
            Object("ConfigMap", "labelled", 7, metadata: $",\"labels\":{{{labels}}}"),
        ];
        // In a custom resource anything may stand before the metadata.
        member.Items[Things] = [$"{{\"apiVersion\":\"hostile.dev/v1\",\"data\":{deep},\"kind\":\"Thing\",{Metadata("deep-listed", 8)}}}"];
        await RegisterAsync("odd", member);
        await fixture.UntilKnownAsync("odd", "things.hostile.dev");
        await fixture.UntilCoveredAsync("odd", "configmaps", 7);
        await fixture.UntilCoveredAsync("odd", "things.hostile.dev", 1);

        member.Send(Things, $"{{\"type\":\"ADDED\",\"object\":{{\"apiVersion\":\"hostile.dev/v1\",\"data\":{deep},\"kind\":\"Thing\",{Metadata("deep-watched", 1001)}}}}}\n");
        await fixture.UntilListedAsync("odd", "things.hostile.dev", (coverage, items) => FaultFixture.State(coverage) == "ok" && items.GetArrayLength() == 2);
        int lists = member.Lists;
        member.Send(Things, $"{{\"object\":{{\"data\":{deep},{Metadata("deep-other-order", 1002)},\"apiVersion\":\"hostile.dev/v1\",\"kind\":\"Thing\"}},\"type\":\"ADDED\"}}\n");
        await fixture.UntilListedAsync("odd", "things.hostile.dev", (coverage, items) => FaultFixture.State(coverage) == "ok" && items.GetArrayLength() == 3);

        Assert.Equal(lists, member.Lists);
        string raw = await fixture.Http.GetStringAsync("/v1/resources/configmaps?cluster=odd");
        using JsonDocument page = JsonDocument.Parse(raw);
        Assert.Equal(
            new[] { "quo\"ted", "escapedé", "line\nbreak", "emoji-😀", "numbers", "large", "labelled" }.Order(StringComparer.Ordinal),
            FaultFixture.NamesOf(page.RootElement).Order(StringComparer.Ordinal));
        Assert.Contains("\"big\":1e999", raw, StringComparison.Ordinal);
        JsonElement labelled = await fixture.Http.GetFromJsonAsync<JsonElement>("/v1/resources/configmaps?cluster=odd&labelSelector=l9999%3Dv9999");
        Assert.Equal(["labelled"], FaultFixture.NamesOf(labelled));
        string things = await fixture.Http.GetStringAsync("/v1/resources/things.hostile.dev?cluster=odd");
        JsonElement selected = await fixture.Http.GetFromJsonAsync<JsonElement>("/v1/resources/things.hostile.dev?cluster=odd&projection=metadata&fieldSelector=metadata.name%3Ddeep-watched");
        Assert.Equal(["deep-watched"], FaultFixture.NamesOf(selected));
        using JsonDocument nested = JsonDocument.Parse(things, new JsonDocumentOptions { MaxDepth = 1024 });
        Assert.Equal(3, nested.RootElement.GetProperty("items").GetArrayLength());
        await fixture.UntilStatusAsync("odd", s => FaultFixture.Phase(s) == "online");
        await fixture.RemoveAsync("odd");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Objects_Impossible_FailTheirKindAloneUntilTheyAreGone()
    {
        string good = Object("ConfigMap", "good", 1);
        (string Name, byte[] Item)[] cases =
        [
            ("twice", Utf8("""{"metadata":{"name":"a","uid":"00000000-0000-4000-8000-000000000009","resourceVersion":"9"},"metadata":{"name":"b"}}""")),
            ("nameless", Utf8("""{"metadata":{"uid":"00000000-0000-4000-8000-000000000009","resourceVersion":"9"}}""")),
            ("slash", Utf8(Object("ConfigMap", "../../secrets/x", 9))),
            ("surrogate", Utf8(Object("ConfigMap", "half-\\ud800", 9))),
            ("no-utf8", [.. Utf8("{\"data\":{\"a\":\""), 0xff, 0xfe, 0x80, .. Utf8($"\"}},{Metadata("bytes", 9)}}}")]),
            ("no-json", Utf8($"{{{Metadata("bad", 9)},\"data\":{{a:b}}}}")),
            ("too-deep", Utf8($"{{{Metadata("deep", 9)},\"data\":{string.Concat(Enumerable.Repeat("[", 5000))}{string.Concat(Enumerable.Repeat("]", 5000))}}}")),
        ];

        await Task.WhenAll(cases.Select(async c =>
        {
            string name = $"imp-{c.Name}";
            await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
            member.Items[Maps] = [good];
            member.Items[Pods] = [Object("Pod", "fine", 2)];
            await RegisterAsync(name, member);
            await fixture.UntilCoveredAsync(name, "configmaps", 1);

            member.Send(Maps, [.. Utf8("{\"type\":\"ADDED\",\"object\":"), .. c.Item, .. Utf8("}\n")]);
            member.Answers[Maps] = [.. Utf8($"{{\"kind\":\"List\",\"metadata\":{{\"resourceVersion\":\"1001\"}},\"items\":[{good},"), .. c.Item, .. Utf8("]}")];
            JsonElement page = await Named(name, fixture.UntilListedAsync(name, "configmaps", (coverage, _) => FaultFixture.State(coverage) == "failed"));
            Assert.Equal("Protocol", FaultFixture.FaultKind(page.GetProperty("coverage")[0]));
            Assert.Equal(["good"], FaultFixture.NamesOf(page));
            await fixture.UntilCoveredAsync(name, "pods", 1);
            member.Answers.TryRemove(Maps, out _);

            await Named(name, fixture.UntilCoveredAsync(name, "configmaps", 1));
            await fixture.UntilStatusAsync(name, s => FaultFixture.Phase(s) == "online");
            await fixture.RemoveAsync(name);
        }));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Envelope_WithTextThatIsNoUnicode_IsAProtocolErrorAndNoBug()
    {
        (string Name, string? Watch, string? List)[] cases =
        [
            ("error-message", """{"type":"ERROR","object":{"kind":"Status","message":"\ud800 said","code":500}}""" + "\n", null),
            ("error-reason", """{"type":"ERROR","object":{"kind":"Status","reason":"\udc00","code":410}}""" + "\n", null),
            ("event-type", """{ "type":"ADD\ud800ED","object":{"metadata":{}}}""" + "\n", null),
            ("event-member", """{ "\ud800type":"ADDED","object":{"metadata":{}}}""" + "\n", null),
            ("object-member", """{"type":"ADDED","object":{"\ud800tadata":{},"metadata":{"\ud800":1,"name":"x"}}}""" + "\n", null),
            ("bookmark", """{"type":"BOOKMARK","object":{"metadata":{"\ud800esourceVersion":"1"}}}""" + "\n", null),
            ("continue", null, """{"kind":"List","metadata":{"resourceVersion":"1001","continue":"\ud800"},"items":[]}"""),
            ("list-version", null, """{"kind":"List","metadata":{"resourceVersion":"\ud800"},"items":[]}"""),
            ("list-member", null, """{"kind":"List","metadata":{"\ud800":"1001"},"items":[]}"""),
        ];

        await Task.WhenAll(cases.Select(async c =>
        {
            string name = $"env-{c.Name}";
            await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
            member.Items[Maps] = [Object("ConfigMap", "good", 1)];
            await RegisterAsync(name, member);
            await fixture.UntilCoveredAsync(name, "configmaps", 1);
            if (c.List is { } list)
            {
                member.Answers[Maps] = Utf8(list);
                member.Send(Maps, """{"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}}""" + "\n");
                await Named(name, fixture.UntilListedAsync(name, "configmaps", (coverage, _) => FaultFixture.FaultKind(coverage) == "Protocol"));
                member.Answers.TryRemove(Maps, out _);
            }

            member.Items[Maps] = [Object("ConfigMap", "good", 1), Object("ConfigMap", "later", 2)];
            if (c.Watch is { } watch)
            {
                member.Send(Maps, watch);
            }

            await Named(name, fixture.UntilCoveredAsync(name, "configmaps", 2));
            await fixture.RemoveAsync(name);
        }));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Answers_ThatEchoTheTokenOrNeverEnd_AreRedactedAndBounded()
    {
        await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
        string endless = new('v', 3_000_000);
        member.Answers["/version"] = Utf8($$"""{"major":"1","minor":"32","gitVersion":"v1.32-{{endless}}"}""");
        member.Answers["/apis/authentication.k8s.io/v1/selfsubjectreviews"] = Utf8($$$"""{"status":{"userInfo":{"username":"me-{{{endless}}}","groups":["{{{endless}}}"]} } }""");
        member.Items[Pods] = [.. Enumerable.Range(0, 3_000).Select(i => Object("Pod", $"p{i:0000}", 10 + i, $",\"spec\":{{\"nodeName\":\"n\"}},\"status\":{{\"phase\":\"Phase{i}\"}}"))];
        member.Items["/api/v1/nodes"] = [.. Enumerable.Range(0, 3).Select(i => Object("Node", $"n{i}", 5000 + i, ""","status":{"allocatable":{"cpu":"9223372036854775807","memory":"9223372036854775807","pods":"9e18"}}"""))];
        await RegisterAsync("boastful", member);
        await fixture.UntilCoveredAsync("boastful", "pods", 3_000);
        await fixture.UntilCoveredAsync("boastful", "nodes", 3);

        JsonElement status = await fixture.UntilStatusAsync("boastful", s => s.GetProperty("objects").GetInt64() >= 3_003);
        Assert.True(status.GetProperty("allocatable").GetProperty("memoryBytes").GetInt64() > 0, status.GetProperty("allocatable").ToString());
        Assert.True(status.GetProperty("podsByPhase").EnumerateObject().Count() <= 32);
        string told = await fixture.Http.GetStringAsync("/v1/clusters/boastful");
        Assert.True(told.Length < 50_000, $"{told.Length} characters");
        await fixture.RemoveAsync("boastful");

        await using ScriptedMember echo = await ScriptedMember.StartAsync(Kinds);
        await RegisterAsync("echo", echo);
        await fixture.UntilCoveredAsync("echo", "configmaps", 0);
        for (int i = 0; i < 5; i++)
        {
            // One for each watch that is tried.
            echo.Send(Maps, $$"""{"type":"ERROR","object":{"kind":"Status","code":500,"message":"token {{echo.Token}} was sent, header Authorization: Bearer {{echo.Token}}"} }""" + "\n");
            echo.End(Maps);
        }

        JsonElement page = await fixture.UntilListedAsync("echo", "configmaps", (coverage, _) => FaultFixture.State(coverage) == "failed");
        Assert.Contains("token [redacted] was sent", page.GetProperty("coverage")[0].GetProperty("fault").GetProperty("message").GetString()!, StringComparison.Ordinal);
        await fixture.AssertNothingLeaksAsync(echo.Token);
        await fixture.RemoveAsync("echo");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Answers_WithoutEnd_AreProtocolErrorsOfTheirClusterAlone()
    {
        (string Name, string[] Paths, bool Compressed, string Phase)[] cases =
        [
            ("end-probe", ["/readyz"], false, "offline"),
            ("end-bomb", ["/readyz"], true, "offline"),
            ("end-all", ["/readyz", "/version", "/api", "/apis"], true, "offline"),
            ("end-core", ["/api"], false, "degraded"),
            ("end-apis", ["/apis"], true, "degraded"),
        ];

        await Task.WhenAll(cases.Select(async c =>
        {
            await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
            foreach (string path in c.Paths)
            {
                member.Endless[path] = c.Compressed;
            }

            (HttpStatusCode refused, JsonElement problem) = await fixture.TryRegisterAsync(c.Name, member.KubeconfigYaml());
            Assert.True(refused == HttpStatusCode.UnprocessableEntity, $"{c.Name}: {problem}");
            Assert.Contains("is larger than", problem.GetProperty("detail").GetString()!, StringComparison.Ordinal);
            (HttpStatusCode taken, _) = await fixture.TryRegisterAsync(c.Name, member.KubeconfigYaml(), force: true);
            Assert.Equal(HttpStatusCode.Created, taken);
            JsonElement status = await Named(c.Name, fixture.UntilStatusAsync(c.Name, s => FaultFixture.Phase(s) == c.Phase));
            Assert.Contains("is larger than", status.GetProperty("fault").GetProperty("message").GetString()!, StringComparison.Ordinal);
            member.Endless.Clear();

            await fixture.UntilStatusAsync(c.Name, s => FaultFixture.Phase(s) == "online");
            await fixture.RemoveAsync(c.Name);
        }));
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Watch_SilentAfterBookmarks_IsStaleWithItsAgeUntilItSpeaks()
    {
        await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
        member.Items[Maps] = [Object("ConfigMap", "good", 1)];
        await RegisterAsync("mute", member);
        await fixture.UntilCoveredAsync("mute", "configmaps", 1);
        member.Send(Maps, Bookmark(1001) + Bookmark(1002) + Bookmark(1003));

        JsonElement page = await fixture.UntilListedAsync("mute", "configmaps", (coverage, _) => FaultFixture.State(coverage) == "stale");
        Assert.True(page.GetProperty("coverage")[0].GetProperty("ageSeconds").GetDouble() > 1);
        Assert.Equal(["good"], FaultFixture.NamesOf(page));
        JsonElement status = await fixture.UntilStatusAsync("mute", s => FaultFixture.Phase(s) == "degraded");
        Assert.Equal("OutOfSync", FaultFixture.FaultKind(status));
        member.Send(Maps, Bookmark(1004));

        await fixture.UntilStatusAsync("mute", s => FaultFixture.Phase(s) == "online");
        await fixture.RemoveAsync("mute");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Discovery_DoubledStaleOrRefused_KeepsWhatIsMirrored()
    {
        await using ScriptedMember member = await ScriptedMember.StartAsync(Kinds);
        member.Items[Things] = [$"{{\"apiVersion\":\"hostile.dev/v1\",\"kind\":\"Thing\",{Metadata("kept", 8)}}}"];
        await RegisterAsync("shifty", member);
        await fixture.UntilKnownAsync("shifty", "things.hostile.dev");
        await fixture.UntilCoveredAsync("shifty", "things.hostile.dev", 1);

        // The API server behind the group is down: named as stale, without its resources.
        member.Answers["/apis"] = Utf8("""{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"hostile.dev"},"versions":[{"version":"v1","freshness":"Stale"}]}]}""");
        await UntilDiscoveredAsync(member);
        Assert.Equal(["kept"], FaultFixture.NamesOf(await fixture.Http.GetFromJsonAsync<JsonElement>("/v1/resources/things.hostile.dev?cluster=shifty")));

        member.Discover([.. Kinds, .. Kinds, ("hostile.dev", "a b/..\\u0022", "Od\\u0022d"), ("", "", "")]);
        await UntilDiscoveredAsync(member);
        await fixture.UntilCoveredAsync("shifty", "things.hostile.dev", 1);
        member.Answers["/apis"] = Utf8("[1,2");
        await fixture.UntilStatusAsync("shifty", s => FaultFixture.Phase(s) == "degraded");
        Assert.Equal(["kept"], FaultFixture.NamesOf(await fixture.Http.GetFromJsonAsync<JsonElement>("/v1/resources/things.hostile.dev?cluster=shifty")));
        member.Discover(Kinds);

        await fixture.UntilStatusAsync("shifty", s => FaultFixture.Phase(s) == "online");
        await fixture.UntilCoveredAsync("shifty", "things.hostile.dev", 1);
        await fixture.RemoveAsync("shifty");
        await fixture.AssertWellAsync();
    }

    [Fact]
    public async Task Discovery_OfThousandsOfKinds_IsMirroredWithoutHarmToOthers()
    {
        (string, string, string)[] kinds = [.. Enumerable.Range(0, 2_000).Select(i => ($"g{i / 20}.dev", $"things{i}", $"Thing{i}"))];
        await using ScriptedMember member = await ScriptedMember.StartAsync(kinds);
        await RegisterAsync("wide", member);

        await fixture.UntilStatusAsync("wide", s => s.GetProperty("kinds").GetInt32() == 2_000 && s.GetProperty("kindsSyncing").GetInt32() == 0 && FaultFixture.Phase(s) == "online");
        member.Discover(kinds[..10]);

        await fixture.UntilStatusAsync("wide", s => s.GetProperty("kinds").GetInt32() == 10);
        LogLine[] said = fixture.Log.About("wide", LogLevel.Information);
        Assert.True(said.Count(line => line.Event != "PhaseChanged") <= 4, string.Join('\n', said.AsEnumerable()));   // and none per kind
        await fixture.RemoveAsync("wide");
        await fixture.AssertWellAsync();
    }

    private async Task UntilDiscoveredAsync(ScriptedMember member)
    {
        // The second one begins after the first was taken over.
        int enough = member.Asked("/apis") + 2;
        await fixture.Service.UntilAsync("/v1/clusters/shifty", _ => member.Asked("/apis") >= enough);
    }

    private async Task RegisterAsync(string name, ScriptedMember member)
    {
        (HttpStatusCode code, JsonElement answer) = await fixture.TryRegisterAsync(name, member.KubeconfigYaml());
        Assert.True(code == HttpStatusCode.Created, $"{name}: {answer}");
    }

    private async Task<JsonElement> Named(string name, Task<JsonElement> wait)
    {
        try
        {
            return await wait;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{name}: {e.Message}\n{string.Join('\n', fixture.Log.About(name, LogLevel.Information).AsEnumerable())}", e);
        }
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static string Bookmark(int version) => $$$"""{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"{{{version}}}"} } }""" + "\n";

    private static string Metadata(string name, int number, string more = "") =>
        $"\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"default\",\"uid\":\"00000000-0000-4000-8000-{number:000000000000}\",\"resourceVersion\":\"{number}\"{more}}}";

    private static string Object(string kind, string name, int number, string rest = "", string metadata = "") =>
        $"{{\"kind\":\"{kind}\",\"apiVersion\":\"v1\",{Metadata(name, number, metadata)}{rest}}}";
}
