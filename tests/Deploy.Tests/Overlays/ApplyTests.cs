using System.Text.Json.Nodes;
using MultiCluster.Deploy.Tests.Support;
using MultiCluster.TestSupport;

namespace MultiCluster.Deploy.Tests.Overlays;

/// <summary>Every manifest is applied to an API server that refuses what it does not know.</summary>
public sealed class ApplyTests
{
    // The simulator keeps these parts as they come, so they are compared with what Kubernetes 1.32 has there.
    private static readonly Dictionary<string, string[]> Loose = new(StringComparer.Ordinal)
    {
        ["NetworkPolicy.spec.ingress[]"] = ["from", "ports"],
        ["NetworkPolicy.spec.egress[]"] = ["to", "ports"],
        ["NetworkPolicy.spec.ingress[].from[]"] = ["ipBlock", "namespaceSelector", "podSelector"],
        ["NetworkPolicy.spec.egress[].to[]"] = ["ipBlock", "namespaceSelector", "podSelector"],
        ["NetworkPolicy.spec.ingress[].ports[]"] = ["port", "protocol", "endPort"],
        ["NetworkPolicy.spec.egress[].ports[]"] = ["port", "protocol", "endPort"],
        ["NetworkPolicy.spec.egress[].to[].ipBlock"] = ["cidr", "except"],
        ["NetworkPolicy.spec.egress[].to[].podSelector"] = ["matchLabels", "matchExpressions"],
        ["NetworkPolicy.spec.egress[].to[].namespaceSelector"] = ["matchLabels", "matchExpressions"],
        ["NetworkPolicy.spec.ingress[].from[].podSelector"] = ["matchLabels", "matchExpressions"],
        ["NetworkPolicy.spec.ingress[].from[].namespaceSelector"] = ["matchLabels", "matchExpressions"],
        ["HorizontalPodAutoscaler.spec.metrics[]"] = ["type", "resource", "containerResource", "pods", "object", "external"],
        ["HorizontalPodAutoscaler.spec.metrics[].resource"] = ["name", "target"],
        ["HorizontalPodAutoscaler.spec.metrics[].resource.target"] = ["type", "averageUtilization", "averageValue", "value"],
        ["HorizontalPodAutoscaler.spec.behavior"] = ["scaleUp", "scaleDown"],
        ["HorizontalPodAutoscaler.spec.behavior.scaleUp"] = ["policies", "selectPolicy", "stabilizationWindowSeconds"],
        ["HorizontalPodAutoscaler.spec.behavior.scaleDown"] = ["policies", "selectPolicy", "stabilizationWindowSeconds"],
        ["HorizontalPodAutoscaler.spec.behavior.scaleDown.policies[]"] = ["periodSeconds", "type", "value"],
    };

    [Fact]
    public async Task EveryFile_AppliedStrictly_IsTaken()
    {
        await using Member member = await Member.StartAsync();
        await member.AddMonitoringKindsAsync();
        await member.ApplyAsync(Yaml.ReadAll(Repository.Read("deploy/base/namespace.yaml"))[0]);
        string[] files = [.. Directory.EnumerateFiles(Repository.Deploy, "*.yaml", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        int applied = 0;
        foreach (string file in files.Where(f => !f.EndsWith("kustomization.yaml", StringComparison.Ordinal) && !f.EndsWith(".test.yaml", StringComparison.Ordinal)))
        {
            foreach (JsonObject manifest in Yaml.ReadAll(await File.ReadAllTextAsync(file)))
            {
                manifest["metadata"]!["namespace"] ??= "multicluster";
                if (manifest.Kind() is "Namespace" or "ClusterRole" or "ClusterRoleBinding")
                {
                    manifest["metadata"]!.AsObject().Remove("namespace");
                }

                await member.ApplyAsync(manifest);
                CheckLoose(manifest);
                applied++;
            }
        }

        Assert.True(applied > 30, $"Only {applied} manifests were found.");
    }

    [Fact]
    public async Task Apply_UnknownField_IsRefused()
    {
        // Shows that the test above can fail, for a kind of each sort.
        await using Member member = await Member.StartAsync();
        await member.AddMonitoringKindsAsync();
        foreach (JsonObject manifest in Yaml.ReadAll("""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"default"},"spec":{"ports":[{"port":1,"targetport":1}]}}
            ---
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"default"},"spec":{"minReadySecond":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}}
            ---
            {"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"a","namespace":"default"},"spec":{"maxUnavailabel":1}}
            ---
            {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a","namespace":"default"},"spec":{"maxReplica":1}}
            ---
            {"apiVersion":"monitoring.coreos.com/v1","kind":"PodMonitor","metadata":{"name":"a","namespace":"default"},"spec":{"selector":{},"endpoints":[]}}
            """))
        {
            (int status, string answer) = await member.TryApplyAsync(manifest);

            Assert.True(status >= 400, $"{manifest.Id()} was taken: {answer}");
        }
    }

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public async Task EveryKustomization_Rendered_IsTaken()
    {
        foreach (string folder in Repository.Kustomizations)
        {
            await using Member member = await Member.StartAsync();
            await member.AddMonitoringKindsAsync();
            await member.ApplyAsync(Yaml.ReadAll(Repository.Read("deploy/base/namespace.yaml"))[0]);
            foreach (JsonObject manifest in await Kubectl.RenderAsync(folder))
            {
                await member.ApplyAsync(manifest);
            }
        }
    }

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public async Task KubectlApply_Twice_ChangesNothingTheSecondTime()
    {
        await using Member member = await Member.StartAsync();
        string home = Directory.CreateTempSubdirectory("mc-deploy-").FullName;
        try
        {
            string config = Path.Combine(home, "config");
            await File.WriteAllTextAsync(config, member.Cluster.KubeconfigYaml());
            string[] apply = ["--kubeconfig", config, "--cache-dir", Path.Combine(home, "cache"), "apply", "-k", Path.Combine(Repository.Deploy, "overlays/ha")];

            string first = await Kubectl.RunAsync(apply);
            string second = await Kubectl.RunAsync(apply);

            Assert.Contains("deployment.apps/silo created", first, StringComparison.Ordinal);

            // Of a disruption budget kubectl replaces the selector with itself each time, and says so.
            Assert.All(
                second.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.StartsWith("poddisruptionbudget", StringComparison.Ordinal)),
                line => Assert.EndsWith(" unchanged", line, StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(home, recursive: true);
        }
    }

    private static void CheckLoose(JsonObject manifest) => Walk(manifest["spec"], $"{manifest.Kind()}.spec", manifest.Id());

    private static void Walk(JsonNode? node, string path, string id)
    {
        switch (node)
        {
            case JsonObject obj:
                if (Loose.TryGetValue(path, out string[]? allowed))
                {
                    Assert.All(obj, p => Assert.True(allowed.Contains(p.Key), $"{id}: there is no {path}.{p.Key}."));
                }

                foreach ((string key, JsonNode? child) in obj)
                {
                    Walk(child, $"{path}.{key}", id);
                }

                break;
            case JsonArray array:
                foreach (JsonNode? child in array)
                {
                    Walk(child, $"{path}[]", id);
                }

                break;
        }
    }
}
