using Microsoft.AspNetCore.Http;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Tests.Discovery;

public sealed class DiscoveryTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    private static readonly ApiSurface Surface = new(
        [new("", ["v1"]), new("apps", ["v1", "v1beta1"]), new("events.k8s.io", ["v1"]), new("metrics.k8s.io", ["v1beta1"]), new("example.com", ["v2", "v1"])],
        [
            Type("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", []),
            Type("", "v1", "pods", "Pod", ["po"]),
            Type("", "v1", "events", "Event", ["ev"]),
            Type("events.k8s.io", "v1", "events", "Event", ["ev"]),
            Type("apps", "v1beta1", "deployments", "Deployment", ["deploy"]),
            Type("apps", "v1", "deployments", "Deployment", ["deploy"]),
            Type("example.com", "v1", "deploys", "Deploy", []),
            Type("example.com", "v2", "widgets", "Widget", ["w"]),
            Type("example.com", "v1", "widgets", "Widget", ["w"]),
        ],
        []);

    [Theory]
    [InlineData("pods", "/api/v1/pods")]
    [InlineData("po", "/api/v1/pods")]
    [InlineData("Pod", "/api/v1/pods")]
    [InlineData("pod", "/api/v1/pods")]
    [InlineData("PODS", "/api/v1/pods")]
    [InlineData("PodMetrics", "/apis/metrics.k8s.io/v1beta1/pods")]
    [InlineData("pods.metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1/pods")]
    [InlineData("ev", "/api/v1/events")]
    [InlineData("events.events.k8s.io", "/apis/events.k8s.io/v1/events")]
    [InlineData("events.v1.events.k8s.io", "/apis/events.k8s.io/v1/events")]
    [InlineData("deploy", "/apis/example.com/v1/deploys")]   // a kind beats a short name
    [InlineData("deploy.apps", "/apis/apps/v1/deployments")]
    [InlineData("deployments", "/apis/apps/v1/deployments")]
    [InlineData("deployments.v1beta1.apps", "/apis/apps/v1beta1/deployments")]
    [InlineData("deployments.app", "/apis/apps/v1/deployments")]
    [InlineData("apps/v1beta1/deployments", "/apis/apps/v1beta1/deployments")]
    [InlineData("apps/deployments", "/apis/apps/v1/deployments")]
    [InlineData("v1/pods", "/api/v1/pods")]
    [InlineData("pods.v1", "/api/v1/pods")]
    [InlineData("w", "/apis/example.com/v2/widgets")]
    [InlineData("nonesuch", null)]
    [InlineData("pods.apps", null)]
    [InlineData("v2/pods", null)]
    [InlineData("", null)]
    public void Find_Name_TakesWhatKubectlTakes(string name, string? path) => Assert.Equal(path, Surface.Find(name)?.CollectionPath);

    [Fact]
    public void FindKind_Version_IsExact()
    {
        Assert.Equal("/apis/apps/v1beta1/deployments", Surface.FindKind("apps/v1beta1", "Deployment")!.CollectionPath);
        Assert.Null(Surface.FindKind("apps/v2", "Deployment"));
        Assert.Equal("/apis/example.com/v1/widgets", Surface.Find("example.com", "v1", "widgets")!.CollectionPath);
        Assert.Equal(7, Surface.Preferred.Count());
    }

    [Fact]
    public void Hash_Resources_DecideNotTheirOrder()
    {
        var turned = new ApiSurface([.. Surface.Groups.Reverse()], [.. Surface.Resources.Reverse()], []);
        Assert.Equal(Surface.Hash, turned.Hash);
        Assert.NotEqual(Surface.Hash, new ApiSurface(Surface.Groups, [.. Surface.Resources.Skip(1)], []).Hash);
    }

    [Fact]
    public async Task Read_AggregatedServer_TakesTwoRequestsAndThenNothing()
    {
        const string core = """{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{},"versions":[{"version":"v1","resources":[{"resource":"pods","responseKind":{"group":"","version":"","kind":"Pod"},"scope":"Namespaced","singularResource":"pod","verbs":["get","list","watch"],"shortNames":["po"],"categories":["all"],"subresources":[{"subresource":"log","responseKind":{"kind":"Pod"},"verbs":["get"]}]},{"resource":"nodes","responseKind":{"kind":"Node"},"scope":"Cluster","singularResource":"node","verbs":["get"]}]}]}]}""";
        const string named = """{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[{"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["list","watch"]}]}]},{"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}""";
        var asked = new List<string?>();
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
        {
            lock (asked)
            {
                asked.Add(context.Request.Headers.Accept);
            }

            if (context.Request.Headers.IfNoneMatch == "\"1\"")
            {
                context.Response.StatusCode = 304;
                return Task.CompletedTask;
            }

            context.Response.Headers.ETag = "\"1\"";
            return context.JsonAsync(context.Request.Path == "/api" ? core : named, contentType: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
        });
        await using var client = new KubeClient(api.Connection);
        var reader = new DiscoveryReader(client);
        ApiSurface surface = await reader.ReadAsync().WaitAsync(Soon);
        ResourceType pods = surface.Find("po")!;
        Assert.Equal(("pod", "Pod", true, "log", "all"), (pods.Singular, pods.Kind, pods.Namespaced, pods.Subresources.Single(), pods.Categories.Single()));
        Assert.False(surface.Find("nodes")!.Namespaced);
        Assert.Equal(["pods", "deployments"], surface.Watchable.Select(r => r.Plural));
        Assert.Equal("metrics.k8s.io/v1beta1", surface.Stale.Single().GroupVersion);
        Assert.Equal(surface.Hash, (await reader.ReadAsync().WaitAsync(Soon)).Hash);
        Assert.Equal(4, api.Calls.Count);
        Assert.All(asked, accept => Assert.StartsWith("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", accept, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Read_OldServerWithOneGroupDown_GivesTheRest()
    {
        bool down = false;
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.Request.Path.Value switch
        {
            "/api" => context.JsonAsync("""{"kind":"APIVersions","versions":["v1"]}"""),
            "/apis" => context.JsonAsync("""{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"version":"v1beta1"},{"version":"v1"}],"preferredVersion":{"version":"v1"}},{"name":"down.example.com","versions":[{"version":"v1"}],"preferredVersion":{"version":"v1"}}]}"""),
            "/api/v1" => context.JsonAsync("""{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"","namespaced":true,"kind":"Pod","verbs":["list","watch"],"shortNames":["po"]},{"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}]}"""),
            "/apis/down.example.com/v1" when down => context.JsonAsync("service unavailable", 503, "text/plain"),
            var path => context.JsonAsync($$"""{"kind":"APIResourceList","resources":[{"name":"{{path!.Split('/')[2].Split('.')[0]}}s","namespaced":true,"kind":"X","verbs":["list","watch"]}]}"""),
        });
        await using var client = new KubeClient(api.Connection);
        var reader = new DiscoveryReader(client);
        ApiSurface surface = await reader.ReadAsync().WaitAsync(Soon);
        Assert.Equal(["v1", "v1beta1"], surface.Groups.Single(g => g.Name == "apps").Versions.ToArray());
        Assert.Equal(["log"], surface.Find("po")!.Subresources.ToArray());
        down = true;
        ApiSurface later = await reader.ReadAsync().WaitAsync(Soon);
        Assert.Equal(surface.Hash, later.Hash);   // what it served before is kept
        StaleGroup stale = Assert.Single(later.Stale);
        Assert.Equal(("down.example.com/v1", KubeErrorKind.ServerError), (stale.GroupVersion, stale.Error.Kind));
    }

    [Theory]
    [InlineData("<html>", 200, KubeErrorKind.Protocol)]
    [InlineData("{\"kind\":\"PodList\"}", 200, KubeErrorKind.Protocol)]
    [InlineData("no", 500, KubeErrorKind.ServerError)]
    public async Task Read_NoDiscovery_Fails(string body, int status, KubeErrorKind kind)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(body, status));
        await using var client = new KubeClient(api.Connection);
        Assert.Equal(kind, (await Assert.ThrowsAsync<KubeException>(() => new DiscoveryReader(client).ReadAsync().WaitAsync(Soon))).Kind);
    }

    private static ResourceType Type(string group, string version, string plural, string kind, string[] shortNames) =>
        new(group, version, plural, kind, true) { Singular = kind.ToLowerInvariant(), ShortNames = [.. shortNames], Verbs = ["list", "watch"] };
}
