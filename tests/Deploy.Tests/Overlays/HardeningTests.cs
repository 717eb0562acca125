using System.Text.Json.Nodes;
using MultiCluster.Deploy.Tests.Support;
using MultiCluster.TestSupport;

namespace MultiCluster.Deploy.Tests.Overlays;

/// <summary>What every pod must have before it runs anywhere.</summary>
public sealed class HardeningTests
{
    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task Pods_AreWithinTheRestrictedStandard() => ForEachWorkloadAsync(workload =>
    {
        JsonObject pod = workload.Pod;
        Assert.Equal("true", pod.Text("securityContext.runAsNonRoot"));
        Assert.NotEqual("0", pod.Text("securityContext.runAsUser"));
        Assert.Equal("RuntimeDefault", pod.Text("securityContext.seccompProfile.type"));
        Assert.Equal("false", pod.Text("automountServiceAccountToken"));
        Assert.All((string[])["hostNetwork", "hostPID", "hostIPC"], key => Assert.Null(pod[key]));
        Assert.All(pod.Items("volumes"), v => Assert.Contains(v.Single(p => p.Key != "name").Key, (string[])["secret", "configMap", "emptyDir", "persistentVolumeClaim"]));
        foreach (JsonObject container in workload.AllContainers)
        {
            Assert.Equal("false", container.Text("securityContext.allowPrivilegeEscalation"));
            Assert.Equal("true", container.Text("securityContext.readOnlyRootFilesystem"));
            Assert.Equal("""["ALL"]""", container.At("securityContext.capabilities.drop")!.ToJsonString());
            Assert.Null(container.At("securityContext.capabilities.add"));
            Assert.Null(container.At("securityContext.privileged"));
        }
    });

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task Containers_SayWhatTheyNeed_AndHaveAFixedImage() => ForEachWorkloadAsync(workload => Assert.All(workload.AllContainers, container =>
    {
        Assert.NotEqual("", container.Text("resources.requests.cpu"));
        Assert.NotEqual("", container.Text("resources.requests.memory"));
        Assert.Equal(container.Text("resources.requests.memory"), container.Text("resources.limits.memory"));
        Assert.Matches(@":[0-9][0-9A-Za-z.-]*$", container.Text("image"));
    }));

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task Containers_AreProbed_OnPortsThatTheyHave() => ForEachWorkloadAsync(workload => Assert.All(workload.Containers, container =>
    {
        HashSet<string> ports = [.. container.Items("ports").Select(p => p.Text("name"))];
        foreach (string probe in (string[])["startupProbe", "livenessProbe", "readinessProbe"])
        {
            Assert.True(container[probe] is not null, $"{workload.Id} has no {probe}.");
            if (container.At($"{probe}.httpGet") is { } get)
            {
                Assert.Contains(get.Text("port"), ports);
                Assert.Equal(probe == "readinessProbe" ? "/readyz" : "/healthz", get.Text("path"));
            }
        }
    }));

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public Task Shutdown_HasMoreTimeThanTheServiceTakes() => ForEachWorkloadAsync(workload =>
    {
        const int serviceTakes = 15;   // its own deadline, in Service.cs
        int grace = int.Parse(workload.Pod.Text("terminationGracePeriodSeconds"), System.Globalization.CultureInfo.InvariantCulture);
        int before = workload.Containers.Max(c => c.At("lifecycle.preStop.exec.command")?.AsArray() is [_, { } seconds]
            ? int.Parse(seconds.ToString(), System.Globalization.CultureInfo.InvariantCulture)
            : 0);

        Assert.True(!workload.IsOurs || grace >= before + serviceTakes + 5, $"{workload.Id} is killed after {grace} s.");
    });

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public async Task Roles_RollOneAtATime_SpreadOverNodes_AndHaveABudget()
    {
        List<JsonObject> manifests = await Kubectl.RenderAsync("overlays/ha");
        foreach (Workload workload in manifests.Workloads())
        {
            Assert.Equal("0", workload.Manifest.Text("spec.strategy.rollingUpdate.maxUnavailable"));
            Assert.Equal("1", workload.Manifest.Text("spec.strategy.rollingUpdate.maxSurge"));
            Assert.Contains(manifests.OfKind("PodDisruptionBudget"), b => workload.Matches(b.Labels("spec.selector.matchLabels")) && b.Text("spec.maxUnavailable") == "1");
            Assert.All(workload.Pod.Items("topologySpreadConstraints"), c => Assert.True(workload.Matches(c.Labels("labelSelector.matchLabels"))));
            Assert.Equal(["kubernetes.io/hostname", "topology.kubernetes.io/zone"], workload.Pod.Items("topologySpreadConstraints").Select(c => c.Text("topologyKey")));
            Assert.Equal("""["database","migrate"]""", workload.Pod.Items("initContainers").Single()["args"]!.ToJsonString());
        }

        Assert.Equal("Deployment/gateway", Assert.Single(manifests.OfKind("HorizontalPodAutoscaler")) is { } h ? $"{h.Text("spec.scaleTargetRef.kind")}/{h.Text("spec.scaleTargetRef.name")}" : "");
    }

    private static async Task ForEachWorkloadAsync(Action<Workload> check)
    {
        foreach (string overlay in Repository.Overlays)
        {
            List<Workload> workloads = (await Kubectl.RenderAsync(overlay)).Workloads();
            Assert.NotEmpty(workloads);
            Assert.All(workloads, check);
        }
    }
}
