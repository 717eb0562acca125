using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Gateway.Tests.EndToEnd;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>The whole service with short intervals and one healthy cluster in it, for the tests of one class.</summary>
/// <remarks>Tests add sick clusters under names of their own, and end with <see cref="AssertWellAsync"/>.</remarks>
public sealed class FaultFixture : IAsyncLifetime
{
    private const int WellPods = 3;

    private string _wellSince = "";

    internal ServiceUnderTest Service { get; private set; } = null!;

    internal SimulatedCluster Well { get; private set; } = null!;

    internal LogCapture Log { get; } = new();

    internal HttpClient Http => Service.Http;

    public async Task InitializeAsync()
    {
        Service = await ServiceUnderTest.StartAsync(Hasten);
        Well = await Members.StartAsync("well", WellPods);
        await RegisterAsync("well", Well);
        await UntilCoveredAsync("well", "pods", WellPods);
        JsonElement status = await UntilStatusAsync("well", s => Phase(s) == "online");
        _wellSince = status.GetProperty("since").GetString()!;
    }

    public async Task DisposeAsync()
    {
        await Service.DisposeAsync();
        await Well.DisposeAsync();
    }

    /// <summary>Starts a member with a few pods, registers it and waits until it is in step.</summary>
    internal async Task<SimulatedCluster> JoinAsync(string name, int pods = 2, params string[] include)
    {
        SimulatedCluster member = await Members.StartAsync(name, pods);
        await RegisterAsync(name, member, include);
        await UntilCoveredAsync(name, "pods", pods);
        await UntilStatusAsync(name, s => Phase(s) == "online");
        return member;
    }

    internal async Task RegisterAsync(string name, SimulatedCluster member, params string[] include)
    {
        (HttpStatusCode code, JsonElement answer) = await TryRegisterAsync(name, member.KubeconfigYaml(), include: include);
        Assert.True(code == HttpStatusCode.Created, $"{name}: {answer}\n{string.Join('\n', Log.Lines)}");
    }

    internal async Task<(HttpStatusCode Code, JsonElement Answer)> TryRegisterAsync(
        string name, string kubeconfig, bool force = false, params string[] include)
    {
        using HttpResponseMessage answer = await Http.PostAsJsonAsync("/v1/clusters", new { name, kubeconfig, force, mirror = new { include } });
        return (answer.StatusCode, await answer.Content.ReadFromJsonAsync<JsonElement>());
    }

    internal async Task RemoveAsync(string name)
    {
        using HttpResponseMessage answer = await Http.DeleteAsync($"/v1/clusters/{name}");
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    internal static string Phase(JsonElement status) => status.GetProperty("phase").GetString()!;

    /// <summary>Kind of a fault; empty where there is none.</summary>
    internal static string FaultKind(JsonElement of) =>
        of.TryGetProperty("fault", out JsonElement fault) && fault.ValueKind == JsonValueKind.Object ? fault.GetProperty("kind").GetString()! : "";

    /// <summary>The status of a cluster as soon as it is as wanted.</summary>
    internal async Task<JsonElement> UntilStatusAsync(string name, Func<JsonElement, bool> wanted) =>
        (await Service.UntilAsync($"/v1/clusters/{name}", c => wanted(c.GetProperty("cluster").GetProperty("status")))).GetProperty("cluster").GetProperty("status");

    /// <summary>One cluster's page of a kind as soon as it is as wanted.</summary>
    internal Task<JsonElement> UntilListedAsync(string name, string kind, Func<JsonElement, JsonElement, bool> wanted) =>
        Service.UntilAsync(
            $"/v1/resources/{kind}?cluster={name}&projection=none&limit=10000",
            page => wanted(page.GetProperty("coverage")[0], page.GetProperty("items")));

    /// <summary>Waits until a kind is known to the service; before, asking for it is an error of the request.</summary>
    internal Task UntilKnownAsync(string cluster, string groupResource) => Service.UntilAsync(
        $"/v1/clusters/{cluster}",
        c => c.GetProperty("kinds").EnumerateArray().Any(k => $"{k.GetProperty("plural").GetString()}.{k.GetProperty("group").GetString()}".TrimEnd('.') == groupResource));

    internal Task<JsonElement> UntilCoveredAsync(string name, string kind, int items) =>
        UntilListedAsync(name, kind, (coverage, found) => State(coverage) == "ok" && found.GetArrayLength() == items);

    internal static string State(JsonElement coverage) => coverage.GetProperty("state").GetString()!;

    internal static string[] NamesOf(JsonElement page) =>
        [.. page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("name").GetString()!)];

    /// <summary>The healthy cluster has never been anything else, and answers in full.</summary>
    internal async Task AssertWellAsync()
    {
        JsonElement status = (await Http.GetFromJsonAsync<JsonElement>("/v1/clusters/well")).GetProperty("cluster").GetProperty("status");
        Assert.Equal(("online", _wellSince), (Phase(status), status.GetProperty("since").GetString()));
        JsonElement page = await Http.GetFromJsonAsync<JsonElement>("/v1/resources/pods?cluster=well&projection=none");
        Assert.Equal(("ok", WellPods), (State(page.GetProperty("coverage")[0]), page.GetProperty("items").GetArrayLength()));
        Assert.Empty(Log.About("well", LogLevel.Warning));
        Assert.DoesNotContain(Log.Lines, line => line.Level >= LogLevel.Error);
    }

    /// <summary>Neither answers nor log hold any of these, nor traces of exceptions.</summary>
    internal async Task AssertNothingLeaksAsync(params string[] secrets)
    {
        string said = await Http.GetStringAsync("/v1/clusters") + await Http.GetStringAsync("/v1/resources/pods?projection=none&limit=1000");
        foreach (JsonElement cluster in (await Http.GetFromJsonAsync<JsonElement>("/v1/clusters")).GetProperty("items").EnumerateArray())
        {
            said += await Http.GetStringAsync($"/v1/clusters/{cluster.GetProperty("name").GetString()}");
        }

        Assert.DoesNotMatch(@"\w+Exception|   at \w+\.", said);
        said += string.Join('\n', Log.Lines);
        Assert.All(secrets, secret => Assert.DoesNotContain(secret, said, StringComparison.Ordinal));
    }

    // Intervals are short, since the tests wait for them. Timeouts are not: a busy machine must not look like a sick member.
    private void Hasten(WebApplicationBuilder builder)
    {
        builder.Logging.SetMinimumLevel(LogLevel.Information);
        builder.Logging.AddProvider(Log);
        builder.Services.Configure<HealthOptions>(health =>
        {
            health.ProbeInterval = TimeSpan.FromMilliseconds(150);
            health.ProbeTimeout = TimeSpan.FromSeconds(3);
        });
        builder.Services.Configure<MirrorOptions>(mirror =>
        {
            mirror.SuperviseInterval = TimeSpan.FromMilliseconds(50);
            mirror.DiscoveryPause = TimeSpan.FromMilliseconds(50);
            mirror.DiscoveryInterval = TimeSpan.FromSeconds(1);
            mirror.VanishedAfter = TimeSpan.FromMilliseconds(200);
            mirror.ForbiddenRetry = TimeSpan.FromSeconds(1);
            mirror.DegradedAfter = 2;
            mirror.BookmarkInterval = TimeSpan.FromSeconds(3);
            mirror.StaleGrace = TimeSpan.FromSeconds(1);
        });
        builder.Services.Configure<FleetOptions>(fleet =>
        {
            fleet.ReportInterval = TimeSpan.FromMilliseconds(50);
            fleet.Heartbeat = TimeSpan.FromSeconds(1);
            fleet.SweepInterval = TimeSpan.FromSeconds(1);
        });
        builder.Services.AddSingleton(Options.Create(new ReflectorOptions { ListStallTimeout = TimeSpan.FromSeconds(4) }));
        builder.Services.AddSingleton(Options.Create(new KubeClientOptions
        {
            HeadersTimeout = TimeSpan.FromMinutes(1),   // whoever was silent and is back must not be waited for that long
            RequestTimeout = TimeSpan.FromSeconds(5),
            RequestsPerSecond = 5_000,
            Burst = 5_000,
        }));
    }
}
