using System.Text;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Tests.Mirror;

public sealed class ReadinessRulesTests
{
    [Theory]
    [InlineData("deployments.apps", "2", """{"replicas":3}""", """{"observedGeneration":1}""", "Progressing", "SpecNotObserved")]
    [InlineData("deployments.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":3,"updatedReplicas":3,"availableReplicas":3}""", "Ready", "")]
    [InlineData("deployments.apps", "1", """{"replicas":0}""", """{"observedGeneration":1}""", "Ready", "")]
    [InlineData("deployments.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":3,"updatedReplicas":1,"availableReplicas":3}""", "Progressing", "ReplicasUpdating")]
    [InlineData("deployments.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":4,"updatedReplicas":3,"availableReplicas":3}""", "Progressing", "OldReplicasTerminating")]
    [InlineData("deployments.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":3,"updatedReplicas":3,"availableReplicas":1}""", "Progressing", "ReplicasUnavailable")]
    [InlineData("deployments.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":3,"updatedReplicas":3,"availableReplicas":1,"conditions":[{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}""", "NotReady", "ReplicasUnavailable")]
    [InlineData("deployments.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded"}]}""", "Failed", "ProgressDeadlineExceeded")]
    [InlineData("deployments.apps", "1", """{"replicas":3,"paused":true}""", """{"observedGeneration":1,"replicas":3,"updatedReplicas":1}""", "Progressing", "Paused")]
    [InlineData("replicasets.apps", "1", """{"replicas":2}""", """{"observedGeneration":1,"replicas":2,"availableReplicas":1}""", "NotReady", "ReplicasUnavailable")]
    [InlineData("statefulsets.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":3,"readyReplicas":3,"updatedReplicas":3,"currentRevision":"a","updateRevision":"a"}""", "Ready", "")]
    [InlineData("statefulsets.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":3,"readyReplicas":3,"updatedReplicas":1,"currentRevision":"a","updateRevision":"b"}""", "Progressing", "ReplicasUpdating")]
    [InlineData("statefulsets.apps", "1", """{"replicas":3,"updateStrategy":{"type":"OnDelete"}}""", """{"observedGeneration":1,"replicas":3,"readyReplicas":3,"currentRevision":"a","updateRevision":"b"}""", "Ready", "")]
    [InlineData("statefulsets.apps", "1", """{"replicas":3,"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2}}}""", """{"observedGeneration":1,"replicas":3,"readyReplicas":3,"updatedReplicas":1,"currentRevision":"a","updateRevision":"b"}""", "Ready", "")]
    [InlineData("statefulsets.apps", "1", """{"replicas":3}""", """{"observedGeneration":1,"replicas":1,"readyReplicas":1}""", "Progressing", "ReplicasStarting")]
    [InlineData("daemonsets.apps", "1", "{}", """{"observedGeneration":1,"desiredNumberScheduled":2,"currentNumberScheduled":2,"updatedNumberScheduled":2,"numberAvailable":2}""", "Ready", "")]
    [InlineData("daemonsets.apps", "1", "{}", """{"observedGeneration":1,"desiredNumberScheduled":2,"currentNumberScheduled":2,"updatedNumberScheduled":1,"numberAvailable":2}""", "Progressing", "PodsUpdating")]
    [InlineData("daemonsets.apps", "1", "{}", """{"observedGeneration":1,"desiredNumberScheduled":2,"currentNumberScheduled":2,"updatedNumberScheduled":2,"numberAvailable":1}""", "NotReady", "PodsUnavailable")]
    [InlineData("jobs.batch", "1", "{}", """{"succeeded":1,"conditions":[{"type":"Complete","status":"True"}]}""", "Completed", "")]
    [InlineData("jobs.batch", "1", "{}", """{"failed":7,"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded"}]}""", "Failed", "BackoffLimitExceeded")]
    [InlineData("jobs.batch", "1", "{}", """{"active":1}""", "Progressing", "Running")]
    [InlineData("jobs.batch", "1", """{"suspend":true}""", "{}", "NotReady", "Suspended")]
    [InlineData("pods", "0", "{}", """{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}""", "Ready", "")]
    [InlineData("pods", "0", "{}", """{"phase":"Running","conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady"}]}""", "NotReady", "ContainersNotReady")]
    [InlineData("pods", "0", "{}", """{"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}""", "NotReady", "CrashLoopBackOff")]
    [InlineData("pods", "0", "{}", """{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable"}]}""", "NotReady", "Unschedulable")]
    [InlineData("pods", "0", "{}", """{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]}""", "Progressing", "ContainerCreating")]
    [InlineData("pods", "0", "{}", """{"phase":"Succeeded"}""", "Completed", "")]
    [InlineData("pods", "0", "{}", """{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"reason":"OOMKilled","exitCode":137}}}]}""", "Failed", "OOMKilled")]
    [InlineData("pods", "0", "{}", """{"phase":"Failed","reason":"Evicted"}""", "Failed", "Evicted")]
    [InlineData("nodes", "0", "{}", """{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown"}]}""", "NotReady", "NodeStatusUnknown")]
    [InlineData("nodes", "0", "{}", "{}", "Unknown", "NoReadyCondition")]
    [InlineData("persistentvolumeclaims", "0", "{}", """{"phase":"Pending"}""", "Progressing", "Pending")]
    [InlineData("persistentvolumeclaims", "0", "{}", """{"phase":"Lost"}""", "Failed", "Lost")]
    [InlineData("namespaces", "0", "{}", """{"phase":"Terminating"}""", "Progressing", "Terminating")]
    [InlineData("services", "0", """{"type":"ClusterIP"}""", "{}", "NotApplicable", "")]
    [InlineData("services", "0", """{"type":"LoadBalancer"}""", """{"loadBalancer":{}}""", "Progressing", "LoadBalancerPending")]
    [InlineData("services", "0", """{"type":"LoadBalancer"}""", """{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}""", "Ready", "")]
    [InlineData("widgets.example.com", "2", "{}", """{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True"}]}""", "Progressing", "SpecNotObserved")]
    [InlineData("widgets.example.com", "1", "{}", """{"conditions":[{"type":"Available","status":"False","reason":"NoBackend"}]}""", "NotReady", "NoBackend")]
    [InlineData("widgets.example.com", "1", "{}", "{}", "NotApplicable", "")]
    public void Readiness_ByKind_FollowsRolloutStatus(string resource, string generation, string spec, string status, string state, string reason)
    {
        string[] parts = resource.Split('.', 2);
        var type = new ResourceType(parts.Length > 1 ? parts[1] : "", "v1", parts[0], "X", Namespaced: true);
        byte[] json = Encoding.UTF8.GetBytes(
            $$"""{"metadata":{"name":"a","uid":"u","resourceVersion":"1","generation":{{generation}} },"spec":{{spec}},"status":{{status}} }""");
        ReadinessVerdict verdict = ReadinessRules.For(KindProfiles.For(type), new ObjectScanner(type).Scan(json));
        Assert.Equal((state, reason), (verdict.State.ToString(), Encoding.UTF8.GetString(verdict.Reason)));
    }
}
