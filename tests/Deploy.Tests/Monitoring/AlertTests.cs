using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using MultiCluster.Deploy.Tests.Support;
using MultiCluster.Simulator.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Deploy.Tests.Monitoring;

/// <summary>Alerts and dashboard ask for what a running service shows, and alerts lead to a page that says what to do.</summary>
public sealed partial class AlertTests
{
    // Not ours: of Prometheus itself, and of kube-state-metrics.
    private static readonly string[] Foreign = ["up", "kube_pod_container_resource_limits"];

    // Added by the scrape.
    private static readonly string[] ScrapeLabels = ["job", "pod", "namespace", "component", "ready", "container", "instance"];

    [Fact]
    public async Task Metrics_OfAlertsAndDashboard_AreThereWithTheirLabels()
    {
        (string Metric, string[] Labels)[] wanted = [.. Expressions().SelectMany(UsedIn).Distinct().Where(w => !Foreign.Contains(w.Metric))];
        Assert.True(wanted.Length > 10);
        await using SimulatedCluster well = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "well" });
        await using SimulatedCluster down = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "down" });
        await using RunningService service = await RunningService.StartAsync(("Health:ProbeInterval", "00:00:00.2"), ("Fleet:ReportInterval", "00:00:00.1"));
        foreach (SimulatedCluster cluster in (SimulatedCluster[])[well, down])
        {
            (int status, JsonNode answer) = await service.RegisterAsync(new { name = cluster.Options.Name, kubeconfig = cluster.KubeconfigYaml() });
            Assert.True(status == 201, answer.ToJsonString());
        }

        await RunningService.UntilAsync(
            () => service.GetAsync("/v1/resources/namespaces?projection=none"),
            page => page.Items("coverage").All(c => c.Text("state") == "ok") && page.Items("items").Any());
        await down.StopListeningAsync();
        well.Objects.Create("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"}}""");

        // What was counted before the first scrape is in it: nothing was scraped until here.
        string metrics = await RunningService.UntilAsync(service.MetricsAsync, text => wanted.All(w => IsIn(text, w.Metric, w.Labels)));

        Assert.All(wanted, w => Assert.True(IsIn(metrics, w.Metric, w.Labels), $"{w.Metric} with the labels {string.Join(", ", w.Labels)} is not in /metrics:\n{metrics}"));
        Assert.Matches(MirroredObjects(), metrics);
    }

    [Fact]
    public void Alerts_HaveARunbook_WithASectionOfItsOwn()
    {
        HashSet<string> anchors =
        [
            .. Repository.Read("docs/operations.md").Split('\n').Where(l => l.StartsWith('#'))
                .Select(l => NoWord().Replace(l.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-')),
        ];
        Assert.All(Rules(), rule =>
        {
            string[] parts = rule.Text("annotations.runbook").Split('#');
            Assert.Equal("docs/operations.md", parts[0]);
            Assert.Contains(parts[1], anchors);
            Assert.Contains(rule.Text("labels.severity"), (string[])["critical", "warning"]);
            Assert.NotEqual("", rule.Text("annotations.summary"));
            Assert.NotEqual("", rule.Text("annotations.description"));
        });
        Assert.Equal(Rules().Count(), Rules().Select(r => r.Text("alert")).Distinct().Count());
    }

    [Fact]
    public void Alerts_AllHaveAUnitTest_InWhichTheyFire()
    {
        HashSet<string> tested = [.. Yaml.ReadAll(Repository.Read("deploy/monitoring/alerts.test.yaml")).Single().Items("tests")
            .SelectMany(t => t.Items("alert_rule_test")).Where(t => t.Items("exp_alerts").Any()).Select(t => t.Text("alertname"))];

        Assert.Equal(Rules().Select(r => r.Text("alert")).Order(StringComparer.Ordinal), tested.Order(StringComparer.Ordinal));
    }

    [RequiresToolFact("promtool", "--version", "Install promtool, which is in the Debian package prometheus (its service is not needed),")]
    public async Task Alerts_FireWhenTheyShould_AndOnlyThen()
    {
        string folder = Directory.CreateTempSubdirectory("mc-deploy-").FullName;
        try
        {
            JsonObject spec = (JsonObject)Yaml.ReadAll(Repository.Read("deploy/monitoring/alerts.yaml")).Single()["spec"]!;
            await File.WriteAllTextAsync(Path.Combine(folder, "rules.yaml"), spec.ToJsonString());
            File.Copy(Path.Combine(Repository.Deploy, "monitoring", "alerts.test.yaml"), Path.Combine(folder, "alerts.test.yaml"));
            using var process = Process.Start(new ProcessStartInfo("promtool", ["test", "rules", "alerts.test.yaml"])
            {
                WorkingDirectory = folder,
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();

            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));

            Assert.True(process.ExitCode == 0, await output + await error);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void PodMonitor_FindsTheOperationsPort()
    {
        JsonObject monitor = Yaml.ReadAll(Repository.Read("deploy/monitoring/pod-monitor.yaml")).Single();
        Workload[] ours =
        [
            .. new[] { "single/multicluster.yaml", "ha/silos.yaml", "ha/gateways.yaml" }
                .SelectMany(f => Yaml.ReadAll(Repository.Read($"deploy/overlays/{f}")).Workloads()),
        ];

        Assert.Equal(3, ours.Length);
        Assert.All(ours, workload =>
        {
            Assert.True(workload.Matches(monitor.Labels("spec.selector.matchLabels")));
            Assert.All(monitor.Items("spec.podMetricsEndpoints"), e => Assert.Contains(e.Text("port"), workload.PortNames));
        });
    }

    private static IEnumerable<JsonObject> Rules() =>
        Yaml.ReadAll(Repository.Read("deploy/monitoring/alerts.yaml")).Single().Items("spec.groups").SelectMany(g => g.Items("rules"));

    private static IEnumerable<string> Expressions() => Rules().Select(r => r.Text("expr"))
        .Concat(JsonNode.Parse(Repository.Read("deploy/monitoring/dashboard.json")).Items("panels").SelectMany(p => p.Items("targets")).Select(t => t.Text("expr")));

    private static IEnumerable<(string Metric, string[] Labels)> UsedIn(string expression) => Selector().Matches(expression)
        .Select(m => (m.Groups[1].Value, LabelName().Matches(m.Groups[2].Value).Select(l => l.Groups[1].Value).Except(ScrapeLabels).Order(StringComparer.Ordinal).ToArray()))
        .Concat([.. Selector().Matches(expression).SelectMany(m => GroupedBy().Matches(expression)
            .Select(g => (m.Groups[1].Value, g.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries).Except(ScrapeLabels).Order(StringComparer.Ordinal).ToArray())))]);

    private static bool IsIn(string metrics, string metric, string[] labels) => metrics.Split('\n').Any(line =>
        (line.StartsWith($"{metric}{{", StringComparison.Ordinal) || line.StartsWith($"{metric} ", StringComparison.Ordinal))
        && labels.All(label => line.Contains($"{{{label}=\"", StringComparison.Ordinal) || line.Contains($",{label}=\"", StringComparison.Ordinal)));

    [GeneratedRegex(@"([a-z_:][a-zA-Z0-9_:]*)\{([^}]*)\}")]
    private static partial Regex Selector();

    [GeneratedRegex("([a-z_]+)(?==|!)")]
    private static partial Regex LabelName();

    [GeneratedRegex(@"\bby \(([^)]*)\)")]
    private static partial Regex GroupedBy();

    // A fresh cluster has some forty objects; more than what changed after the first scrape.
    [GeneratedRegex("multicluster_mirror_objects\\{cluster=\"well\"\\} [1-9][0-9]")]
    private static partial Regex MirroredObjects();

    [GeneratedRegex("[^a-z0-9 _-]")]
    private static partial Regex NoWord();
}
