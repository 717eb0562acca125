using MultiCluster.Kubernetes.Discovery;

namespace MultiCluster.Kubernetes.Json;

/// <summary>Which fields beyond the metadata a kind has that are worth finding.</summary>
public enum KindProfile
{
    /// <summary>Any kind: <c>status.phase</c>, <c>status.conditions</c> and <c>observedGeneration</c>, if they look as usual.</summary>
    Other,
    Pod,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Node,
    PersistentVolumeClaim,
    Namespace,
    Service,
}

/// <summary>Finds the profile of a resource.</summary>
public static class KindProfiles
{
    /// <summary>The profile of <paramref name="type"/>, whatever its version.</summary>
    public static KindProfile For(ResourceType type)
    {
        ArgumentNullException.ThrowIfNull(type);
        return type.GroupResource switch
        {
            "pods" => KindProfile.Pod,
            "nodes" => KindProfile.Node,
            "namespaces" => KindProfile.Namespace,
            "services" => KindProfile.Service,
            "persistentvolumeclaims" => KindProfile.PersistentVolumeClaim,
            "deployments.apps" => KindProfile.Deployment,
            "replicasets.apps" or "replicationcontrollers" => KindProfile.ReplicaSet,
            "statefulsets.apps" => KindProfile.StatefulSet,
            "daemonsets.apps" => KindProfile.DaemonSet,
            "jobs.batch" => KindProfile.Job,
            "cronjobs.batch" => KindProfile.CronJob,
            _ => KindProfile.Other,
        };
    }
}
