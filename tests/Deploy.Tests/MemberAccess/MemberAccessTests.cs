using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Deploy.Tests.Support;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Deploy.Tests.MemberAccess;

/// <summary>The rights that a member grants suffice for everything the service does with it, and for nothing that they are not meant for.</summary>
public sealed class MemberAccessTests
{
    private const string Account = "system:serviceaccount:multicluster-access:multicluster";
    private const string Token = "token-of-the-service-account";

    [Fact]
    public async Task ReadOnly_MirrorsEveryKind_WithNoOtherRight()
    {
        await using Member member = await StartAsync("read-only/access.yaml");
        await using RunningService service = await RunningService.StartAsync(("Health:ProbeInterval", "00:00:00.2"));

        (int status, JsonNode answer) = await service.RegisterAsync(new
        {
            name = "member",
            server = member.Cluster.Url.ToString(),
            certificateAuthority = member.Cluster.CertificateAuthorityPem,
            token = Token,
        });

        Assert.True(status == 201, answer.ToJsonString());
        Assert.Equal(Account, answer.Text("checks.user"));
        Assert.Empty(answer.At("checks.missingPermissions")!.AsArray());
        Assert.Empty(answer.Items("faults"));
        await RunningService.UntilAsync(
            () => service.GetAsync("/v1/clusters/member"),
            c => c.Text("cluster.status.phase") == "online" && c.Items("kinds").Count(k => k.Text("state") == "synced") > 30
                && c.Items("kinds").All(k => k.Text("state") is "synced" or "not_mirrored"));
    }

    [Fact]
    public async Task ReadOnly_GrantsNoRightThatIsNotUsed()
    {
        await using Member member = await StartAsync("read-only/access.yaml");
        await using RunningService service = await RunningService.StartAsync();
        await service.RegisterAsync(new
        {
            name = "member",
            server = member.Cluster.Url.ToString(),
            certificateAuthority = member.Cluster.CertificateAuthorityPem,
            token = Token,
        });

        await RunningService.UntilAsync(() => service.GetAsync("/v1/clusters/member"), c => c.Items("kinds").Count() > 30 && c.Items("kinds").All(k => k.Text("state") is "synced" or "not_mirrored"));
        HashSet<string> used = [.. member.Cluster.Calls.All().Where(c => c.User == Account && c.Resource.Length > 0).Select(c => c.Resource)];

        // Served by some versions of Kubernetes, not by the one that is simulated.
        string[] elsewhere =
        [
            "ipaddresses", "servicecidrs", "deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices", "volumeattributesclasses",
            "selfsubjectaccessreviews", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
        ];
        string[] granted = [.. Rules("read-only/access.yaml").SelectMany(r => Texts(r, "resources"))];
        Assert.Equal([], granted.Except(used).Except(elsewhere).Order(StringComparer.Ordinal));
        Assert.All(Rules("read-only/access.yaml"), rule => Assert.Subset(new HashSet<string> { "get", "list", "watch", "create" }, Texts(rule, "verbs").ToHashSet()));
        Assert.All(
            Rules("read-only/access.yaml").Where(r => Texts(r, "verbs").Contains("create")),
            rule => Assert.All(Texts(rule, "resources"), r => Assert.StartsWith("selfsubject", r, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("read-only/access.yaml", "GET", "/api/v1/secrets", null, false)]
    [InlineData("read-only/access.yaml", "GET", "/api/v1/namespaces/kube-system/configmaps", null, true)]
    [InlineData("read-only/access.yaml", "POST", "/api/v1/namespaces/default/configmaps", Object, false)]
    [InlineData("read-only/access.yaml", "DELETE", "/api/v1/namespaces/default/configmaps/a", null, false)]
    [InlineData("read-write/write.yaml", "POST", "/api/v1/namespaces/default/configmaps", Object, true)]
    [InlineData("read-write/write.yaml", "DELETE", "/api/v1/namespaces/default/configmaps/a", null, true)]
    [InlineData("read-write/write.yaml", "GET", "/api/v1/secrets", null, false)]
    [InlineData("read-write/write.yaml", "POST", "/api/v1/namespaces/default/secrets", Object, false)]
    [InlineData("read-write/write.yaml", "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", Object, false)]
    [InlineData("read-write/write.yaml", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", Object, false)]
    [InlineData("read-write/write.yaml", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Object, false)]
    [InlineData("read-write/write.yaml", "POST", "/api/v1/namespaces/multicluster-access/serviceaccounts/multicluster/token", Object, false)]
    [InlineData("read-write/write.yaml", "DELETE", "/api/v1/namespaces/default", null, false)]
    [InlineData("read-write/write.yaml", "DELETE", "/api/v1/nodes/a", null, false)]
    public async Task Rights_AreWhatTheFileSays(string files, string method, string path, string? body, bool allowed)
    {
        await using Member member = await StartAsync(files.StartsWith("read-only", StringComparison.Ordinal) ? [files] : ["read-only/access.yaml", files]);

        (int status, string answer) = await member.SendAsync(method, path, body, token: Token);

        Assert.True((status != 403) == allowed && status != 401, $"{method} {path}: {status} {answer}");
    }

    [Fact]
    public async Task Kubeconfig_MadeAsDocumented_RegistersTheMember()
    {
        await using Member member = await StartAsync("read-only/access.yaml");
        await using RunningService service = await RunningService.StartAsync();
        string manual = Repository.Read("docs/operations.md");
        int start = manual.IndexOf('\n', manual.IndexOf("cat > prod-eu.kubeconfig <<EOF", StringComparison.Ordinal)) + 1;
        string kubeconfig = manual[start..manual.IndexOf("    EOF\n", start, StringComparison.Ordinal)]
            .Replace("$SERVER", member.Cluster.Url.ToString(), StringComparison.Ordinal)
            .Replace("$CA", Convert.ToBase64String(Encoding.UTF8.GetBytes(member.Cluster.CertificateAuthorityPem)), StringComparison.Ordinal)
            .Replace("$TOKEN", Token, StringComparison.Ordinal);

        (int status, JsonNode answer) = await service.RegisterAsync(new { name = "prod-eu", kubeconfig });

        Assert.True(status == 201, answer.ToJsonString());
        Assert.Equal(Account, answer.Text("checks.user"));
    }

    private const string Object = """{"metadata":{"name":"a"}}""";

    /// <summary>A member with the rights of these files and nothing beside: the default roles of authenticated users are taken away.</summary>
    private static async Task<Member> StartAsync(params string[] files)
    {
        Member member = await Member.StartAsync();
        foreach (string binding in (string[])["system:basic-user", "system:discovery", "system:public-info-viewer"])
        {
            (int status, string answer) = await member.SendAsync("DELETE", $"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{binding}");
            Assert.True(status == 200, answer);
        }

        foreach (JsonObject manifest in files.SelectMany(f => Yaml.ReadAll(Repository.Read($"deploy/member-access/{f}"))))
        {
            await member.ApplyAsync(manifest);
        }

        member.Cluster.AddUser(new SimulatedUser(Account, Token, "system:serviceaccounts", "system:serviceaccounts:multicluster-access"));
        return member;
    }

    private static IEnumerable<JsonObject> Rules(string file) =>
        Yaml.ReadAll(Repository.Read($"deploy/member-access/{file}")).OfKind("ClusterRole").SelectMany(r => r.Items("rules"));

    private static IEnumerable<string> Texts(JsonObject rule, string key) => (rule[key] as JsonArray ?? []).Select(n => n!.ToString());
}
