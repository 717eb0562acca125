using System.Text.Json.Nodes;
using MultiCluster.Deploy.Tests.Support;
using MultiCluster.TestSupport;

namespace MultiCluster.Deploy.Tests.Overlays;

/// <summary>What no API server checks: that the parts of an overlay fit each other.</summary>
public sealed class ConsistencyTests
{
    // Made by hand before the first apply; docs/operations.md says how.
    private const string Prerequisite = "Secret/database-password";

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task References_LeadToWhatIsThere() => ForEachOverlayAsync(manifests =>
    {
        HashSet<string> there = [.. manifests.Select(m => m.Id()), Prerequisite];
        foreach (Workload workload in manifests.Workloads())
        {
            Assert.All(ReferencesOf(workload), reference => Assert.True(there.Contains(reference), $"{workload.Id} refers to {reference}, which is not in the overlay."));
            HashSet<string> volumes =
            [
                .. workload.Pod.Items("volumes").Select(v => v.Text("name")),
                .. workload.Manifest.Items("spec.volumeClaimTemplates").Select(c => c.Text("metadata.name")),
            ];
            Assert.All(
                workload.AllContainers.SelectMany(c => c.Items("volumeMounts")),
                mount => Assert.True(volumes.Contains(mount.Text("name")), $"{workload.Id} mounts {mount.Text("name")}, which is no volume of it."));
            Assert.All(volumes, volume => Assert.Contains(workload.AllContainers.SelectMany(c => c.Items("volumeMounts")), m => m.Text("name") == volume));
        }

        Assert.All(manifests.OfKind("StatefulSet"), set => Assert.Contains($"Service/{set.Text("spec.serviceName")}", there));
        Assert.All(
            manifests.OfKind("HorizontalPodAutoscaler"),
            h => Assert.Contains($"{h.Text("spec.scaleTargetRef.kind")}/{h.Text("spec.scaleTargetRef.name")}", there));
    });

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task Selectors_FindPods_AndPortsByName() => ForEachOverlayAsync(manifests =>
    {
        List<Workload> workloads = manifests.Workloads();
        foreach (JsonObject service in manifests.OfKind("Service"))
        {
            List<Workload> behind = Selected(workloads, service.Labels("spec.selector"), service);
            Assert.All(service.Items("spec.ports"), port => Assert.All(behind, w => Assert.Contains(port.Text("targetPort"), w.PortNames)));
        }

        foreach (JsonObject budget in manifests.OfKind("PodDisruptionBudget"))
        {
            Assert.Single(Selected(workloads, budget.Labels("spec.selector.matchLabels"), budget));
        }

        foreach (JsonObject policy in manifests.OfKind("NetworkPolicy"))
        {
            List<Workload> selected = Selected(workloads, policy.Labels("spec.podSelector.matchLabels"), policy);
            foreach (JsonObject rule in policy.Items("spec.ingress"))
            {
                CheckPorts(policy, rule, selected);
                Assert.All(OwnPods(rule, "from"), selector => Selected(workloads, selector, policy));
            }

            foreach (JsonObject rule in policy.Items("spec.egress"))
            {
                CheckPorts(policy, rule, [.. OwnPods(rule, "to").SelectMany(selector => Selected(workloads, selector, policy))]);
            }
        }

        foreach (Workload workload in workloads)
        {
            Assert.True(workload.Matches(workload.Manifest.Labels("spec.selector.matchLabels")), $"{workload.Id} does not select its own pods.");
        }
    });

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task NetworkPolicies_DenyByDefault_AndAllowWhatEachPortIsFor() => ForEachOverlayAsync(manifests =>
    {
        JsonObject[] policies = [.. manifests.OfKind("NetworkPolicy")];
        Assert.Contains(policies, p => p.Labels("spec.podSelector.matchLabels").Count == 0 && p.At("spec.ingress") is null && p.At("spec.egress") is null
            && p.At("spec.policyTypes")!.AsArray().Count == 2);
        foreach (Workload workload in manifests.Workloads())
        {
            var open = policies.Where(p => p.Labels("spec.podSelector.matchLabels").Count > 0 && workload.Matches(p.Labels("spec.podSelector.matchLabels")))
                .SelectMany(p => p.Items("spec.ingress")).SelectMany(r => r.Items("ports")).Select(p => p.Text("port")).ToHashSet();
            Assert.True(workload.PortNames.SetEquals(open), $"{workload.Id} listens on {string.Join(", ", workload.PortNames)}, and {string.Join(", ", open)} are let in.");
        }
    });

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public async Task BetweenSilos_OnlySilosAndGatewaysTalk()
    {
        List<JsonObject> manifests = await Kubectl.RenderAsync("overlays/ha");
        List<Workload> workloads = manifests.Workloads();

        string[] AllowedTo(string port) =>
        [
            .. manifests.OfKind("NetworkPolicy")
                .Where(p => workloads.Single(w => w.Id == "Deployment/silo").Matches(p.Labels("spec.podSelector.matchLabels")))
                .SelectMany(p => p.Items("spec.ingress"))
                .Where(r => r.Items("ports").Any(p => p.Text("port") == port))
                .SelectMany(r => OwnPods(r, "from")).SelectMany(s => workloads.Where(w => w.Matches(s))).Select(w => w.Id).Distinct().Order(StringComparer.Ordinal),
        ];

        Assert.Equal(["Deployment/silo"], AllowedTo("silo"));
        Assert.Equal(["Deployment/gateway", "Deployment/silo"], AllowedTo("silo-gateway"));
        Assert.Empty(AllowedTo("operations"));
    }

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public async Task Database_TakesTheConnectionsOfAllProcesses()
    {
        List<JsonObject> manifests = await Kubectl.RenderAsync("overlays/example-postgresql");
        // Orleans keeps a pool of its own beside ours.
        int each = 2 * int.Parse(manifests.Single(m => m.Id() == "ConfigMap/database").Text("data.MULTICLUSTER_Database__MaxConnections"), System.Globalization.CultureInfo.InvariantCulture);

        int silos = int.Parse(manifests.Single(m => m.Id() == "Deployment/silo").Text("spec.replicas"), System.Globalization.CultureInfo.InvariantCulture) + 1;
        int gateways = int.Parse(manifests.OfKind("HorizontalPodAutoscaler").Single().Text("spec.maxReplicas"), System.Globalization.CultureInfo.InvariantCulture) + 1;
        string arguments = manifests.Workloads().Single(w => !w.IsOurs).Containers[0]["args"]!.ToJsonString();

        Assert.Contains("max_connections=250", arguments, StringComparison.Ordinal);
        Assert.InRange((silos + gateways) * each, 1, 250 - 10);   // with room for whoever looks
    }

    private static async Task ForEachOverlayAsync(Action<List<JsonObject>> check)
    {
        foreach (string overlay in Repository.Overlays)
        {
            check(await Kubectl.RenderAsync(overlay));
        }
    }

    private static List<Workload> Selected(List<Workload> workloads, Dictionary<string, string> selector, JsonObject by)
    {
        List<Workload> found = [.. workloads.Where(w => w.Matches(selector))];
        Assert.True(found.Count > 0, $"{by.Id()} selects {string.Join(",", selector)}, which no pod has.");
        return found;
    }

    private static IEnumerable<Dictionary<string, string>> OwnPods(JsonObject rule, string side) =>
        rule.Items(side).Where(peer => peer["namespaceSelector"] is null && peer["podSelector"] is not null).Select(peer => peer.Labels("podSelector.matchLabels"));

    // A port without a name, or of pods elsewhere, needs no counterpart here.
    private static void CheckPorts(JsonObject policy, JsonObject rule, List<Workload> pods)
    {
        foreach (string port in rule.Items("ports").Select(p => p.Text("port")).Where(p => !char.IsAsciiDigit(p[0])))
        {
            Assert.True(pods.Count > 0, $"{policy.Id()} names the port {port} of pods that it cannot know.");
            Assert.All(pods, w => Assert.True(w.PortNames.Contains(port), $"{policy.Id()} names the port {port}, which {w.Id} has not."));
        }
    }

    private static IEnumerable<string> ReferencesOf(Workload workload)
    {
        yield return $"ServiceAccount/{workload.Pod.Text("serviceAccountName")}";
        foreach (JsonObject volume in workload.Pod.Items("volumes"))
        {
            if (volume["secret"] is { } secret)
            {
                yield return $"Secret/{secret.Text("secretName")}";
            }

            if (volume["configMap"] is { } map)
            {
                yield return $"ConfigMap/{map.Text("name")}";
            }

            if (volume["persistentVolumeClaim"] is { } claim)
            {
                yield return $"PersistentVolumeClaim/{claim.Text("claimName")}";
            }
        }

        foreach (JsonObject container in workload.AllContainers)
        {
            foreach (JsonObject from in container.Items("envFrom"))
            {
                yield return from["secretRef"] is { } secret ? $"Secret/{secret.Text("name")}" : $"ConfigMap/{from.Text("configMapRef.name")}";
            }

            foreach (JsonObject variable in container.Items("env"))
            {
                if (variable.At("valueFrom.secretKeyRef") is { } secret)
                {
                    yield return $"Secret/{secret.Text("name")}";
                }

                if (variable.At("valueFrom.configMapKeyRef") is { } map)
                {
                    yield return $"ConfigMap/{map.Text("name")}";
                }
            }
        }
    }
}
