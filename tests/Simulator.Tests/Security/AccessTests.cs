using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Tests.Hosting;

namespace MultiCluster.Simulator.Tests.Security;

public sealed class AccessTests
{
    [Fact]
    public async Task Credentials_EachKind_AnswersAsTheRealServer()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions
        {
            Users = [new SimulatedUser("ops", "token-of-ops", "system:masters")],
        });
        using var nobody = new ApiClient(cluster, "unknown");
        using var reader = new ApiClient(cluster, cluster.ReaderToken);
        using var ops = new ApiClient(cluster, "token-of-ops");
        using X509Certificate2 certificate = cluster.ClientCertificate("cert-admin", "system:masters");
        using var byCertificate = new ApiClient(cluster, certificate: certificate);

        Assert.Equal(401, (await nobody.CallAsync("GET", "/version")).Status);
        Assert.Equal(200, (await reader.CallAsync("GET", "/api/v1/pods")).Status);
        (int forbidden, JsonNode why) = await reader.CallAsync("GET", "/api/v1/namespaces/default/secrets");
        Assert.Equal((403, "secrets is forbidden: User \"reader\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\""), (forbidden, why["message"]!.GetValue<string>()));
        Assert.Equal(200, (await ops.CallAsync("GET", "/api/v1/secrets")).Status);
        JsonNode me = await byCertificate.CreateAsync("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
        Assert.Equal("cert-admin", me["status"]!["userInfo"]!["username"]!.GetValue<string>());
    }

    [Fact]
    public async Task Anonymous_SeesVersionAndHealthOnly()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false });
        using var client = new HttpClient { BaseAddress = cluster.Url };

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/version").WaitAsync(ApiClient.Deadline)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/readyz").WaitAsync(ApiClient.Deadline)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await client.GetAsync("/api/v1/pods").WaitAsync(ApiClient.Deadline)).StatusCode);
    }

    [Fact]
    public async Task Calls_Recorded_WithUserAndVerb()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false });
        using var client = new ApiClient(cluster);
        Task<RecordedCall> next = cluster.Calls.NextAsync("list", "pods");

        await client.GetAsync("/api/v1/pods?limit=5");

        RecordedCall call = await next.WaitAsync(ApiClient.Deadline);
        Assert.Equal(("GET", "/api/v1/pods", "?limit=5", "admin", "list pods"), (call.Method, call.Path, call.Query, call.User, call.ToString()));
    }

    [Fact]
    public async Task Rights_GivenByBinding_HoldFromTheNextRequest()
    {
        await using SimulatedCluster cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Tls = false });
        using var reader = new ApiClient(cluster, cluster.ReaderToken);
        Assert.Equal(403, (await reader.CallAsync("GET", "/api/v1/namespaces/default/secrets")).Status);

        cluster.Objects.Create(
            """
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"more","namespace":"default"},
            "subjects":[{"kind":"User","name":"reader","apiGroup":"rbac.authorization.k8s.io"}],
            "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"}}
            """);

        Assert.Equal(200, (await reader.CallAsync("GET", "/api/v1/namespaces/default/secrets")).Status);
        Assert.Equal(403, (await reader.CallAsync("GET", "/api/v1/namespaces/kube-system/secrets")).Status);
    }
}
