using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>The defaults of built-in kinds, as far as clients and controllers look at them.</summary>
internal static class BuiltInDefaults
{
    /// <summary>Fills in what is missing.</summary>
    public static void Apply(AdmissionContext context, JsonObject tree, bool isCreate)
    {
        JsonObject metadata = tree.Section("metadata");
        switch (context.Resource.Storage.Plural)
        {
            case "namespaces":
                metadata.Section("labels")["kubernetes.io/metadata.name"] = metadata.Text("name");
                if (isCreate)
                {
                    tree["spec"] = new JsonObject { ["finalizers"] = new JsonArray("kubernetes") };
                    tree["status"] = new JsonObject { ["phase"] = "Active" };
                }

                break;
            case "pods":
                PodDefaults.ApplyToPod(context, tree, isCreate);
                break;
            case "deployments":
                Deployment(tree, isCreate);
                break;
            case "replicasets" or "replicationcontrollers":
                tree.Section("spec").Default("replicas", 1);
                PodDefaults.ApplyToTemplate(tree.Section("spec"));
                ResetStatus(tree, isCreate, new JsonObject { ["replicas"] = 0 });
                break;
            case "statefulsets":
                StatefulSet(tree, isCreate);
                break;
            case "daemonsets":
                DaemonSet(tree, isCreate);
                break;
            case "jobs":
                Job(tree, isCreate);
                break;
            case "cronjobs":
                CronJob(tree, isCreate);
                break;
            case "services":
                ServiceDefaults.Apply(context, tree, isCreate);
                break;
            case "secrets":
                Secret(tree);
                break;
            case "nodes":
                Node(tree, isCreate);
                break;
            case "events":
                Event(tree);
                break;
            case "customresourcedefinitions":
                Definition(tree, isCreate);
                break;
            case "persistentvolumeclaims":
                tree.Section("spec").Default("volumeMode", "Filesystem");
                ResetStatus(tree, isCreate, new JsonObject { ["phase"] = "Pending" });
                break;
            case "poddisruptionbudgets":
                ResetStatus(tree, isCreate, new JsonObject { ["disruptionsAllowed"] = 0, ["currentHealthy"] = 0, ["desiredHealthy"] = 0, ["expectedPods"] = 0 });
                break;
            case "horizontalpodautoscalers":
                tree.Section("spec").Default("minReplicas", 1);
                ResetStatus(tree, isCreate, new JsonObject { ["desiredReplicas"] = 0, ["currentMetrics"] = null });
                break;
            case "ingresses":
                ResetStatus(tree, isCreate, new JsonObject { ["loadBalancer"] = new JsonObject() });
                break;
            case "resourcequotas":
                ResetStatus(tree, isCreate, []);
                break;
        }
    }

    /// <summary>Keeps what a replacement leaves out and nobody can take away.</summary>
    public static void CarryOver(ResourceName resource, JsonObject tree, JsonObject live)
    {
        switch (resource.Plural)
        {
            case "namespaces" when tree.At("spec", "finalizers") is null && live.At("spec") is { } spec:
                tree["spec"] = spec.DeepClone();
                break;
            case "services":
                foreach (string key in (string[])["clusterIP", "clusterIPs"])
                {
                    if (live.At("spec", key) is { } value && tree.At("spec", key) is null && tree.Text("spec", "type") != "ExternalName")
                    {
                        tree.Section("spec")[key] = value.DeepClone();
                    }
                }

                break;
        }
    }

    private static void Deployment(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        spec.Default("replicas", 1);
        PodDefaults.ApplyToTemplate(spec);
        JsonObject strategy = spec.Section("strategy");
        strategy.Default("type", "RollingUpdate");
        if (strategy.Text("type") == "RollingUpdate")
        {
            JsonObject rolling = strategy.Section("rollingUpdate");
            rolling.Default("maxUnavailable", "25%");
            rolling.Default("maxSurge", "25%");
        }

        spec.Default("revisionHistoryLimit", 10);
        spec.Default("progressDeadlineSeconds", 600);
        ResetStatus(tree, isCreate, []);
    }

    private static void StatefulSet(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        spec.Default("replicas", 1);
        PodDefaults.ApplyToTemplate(spec);
        spec.Default("serviceName", "");
        spec.Default("podManagementPolicy", "OrderedReady");
        JsonObject strategy = spec.Section("updateStrategy");
        strategy.Default("type", "RollingUpdate");
        if (strategy.Text("type") == "RollingUpdate")
        {
            strategy.Section("rollingUpdate").Default("partition", 0);
        }

        spec.Default("revisionHistoryLimit", 10);
        spec.Default("persistentVolumeClaimRetentionPolicy", new JsonObject { ["whenDeleted"] = "Retain", ["whenScaled"] = "Retain" });
        ResetStatus(tree, isCreate, new JsonObject { ["replicas"] = 0, ["availableReplicas"] = 0 });
    }

    private static void DaemonSet(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        PodDefaults.ApplyToTemplate(spec);
        JsonObject strategy = spec.Section("updateStrategy");
        strategy.Default("type", "RollingUpdate");
        if (strategy.Text("type") == "RollingUpdate")
        {
            JsonObject rolling = strategy.Section("rollingUpdate");
            rolling.Default("maxUnavailable", 1);
            rolling.Default("maxSurge", 0);
        }

        spec.Default("revisionHistoryLimit", 10);
        ResetStatus(tree, isCreate, new JsonObject
        {
            ["currentNumberScheduled"] = 0,
            ["numberMisscheduled"] = 0,
            ["desiredNumberScheduled"] = 0,
            ["numberReady"] = 0,
        });
    }

    private static void Job(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        JobSpec(spec);
        if (isCreate && !spec.Flag("manualSelector"))
        {
            string uid = tree.Text("metadata", "uid")!;
            JsonObject labels = spec.Section("template").Section("metadata").Section("labels");
            foreach (string prefix in (string[])["batch.kubernetes.io/", ""])
            {
                labels[prefix + "controller-uid"] = uid;
                labels[prefix + "job-name"] = tree.Text("metadata", "name");
            }

            spec.Section("selector").Section("matchLabels")["batch.kubernetes.io/controller-uid"] = uid;
        }

        PodDefaults.ApplyToTemplate(spec);
        ResetStatus(tree, isCreate, []);
    }

    private static void JobSpec(JsonObject spec)
    {
        if (spec["completions"] is null && spec["parallelism"] is null)
        {
            spec["completions"] = 1;
        }

        spec.Default("parallelism", 1);
        spec.Default("backoffLimit", 6);
        spec.Default("completionMode", "NonIndexed");
        spec.Default("suspend", false);
        spec.Default("podReplacementPolicy", "TerminatingOrFailed");
    }

    private static void CronJob(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        spec.Default("concurrencyPolicy", "Allow");
        spec.Default("suspend", false);
        spec.Default("successfulJobsHistoryLimit", 3);
        spec.Default("failedJobsHistoryLimit", 1);
        PodDefaults.ApplyToTemplate(spec.Section("jobTemplate").Section("spec"));
        ResetStatus(tree, isCreate, []);
    }

    private static void Secret(JsonObject tree)
    {
        tree.Default("type", "Opaque");
        if (tree["stringData"] is JsonObject plain)
        {
            JsonObject data = tree.Section("data");
            foreach ((string key, JsonNode? value) in plain)
            {
                data[key] = Convert.ToBase64String(Encoding.UTF8.GetBytes(value?.GetValue<string>() ?? ""));
            }

            tree.Remove("stringData");
        }

        // Go's field order: data before type.
        JsonNode? type = tree["type"];
        tree.Remove("type");
        tree["type"] = type;
    }

    private static void Node(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        if (isCreate)
        {
            // Admission keeps pods away until somebody says that the node is ready.
            JsonArray taints = spec["taints"] as JsonArray ?? [];
            if (!taints.Any(t => t.Text("key") == "node.kubernetes.io/not-ready"))
            {
                taints.Add(new JsonObject { ["key"] = "node.kubernetes.io/not-ready", ["effect"] = "NoSchedule" });
            }

            spec["taints"] = taints.DeepClone();
        }

        JsonObject status = tree.Section("status");
        status.Section("daemonEndpoints").Section("kubeletEndpoint").Default("Port", 0);
        JsonObject info = status.Section("nodeInfo");
        foreach (string key in (string[])
        [
            "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion",
            "operatingSystem", "architecture",
        ])
        {
            info.Default(key, "");
        }
    }

    private static void Event(JsonObject tree)
    {
        tree.Section("involvedObject");
        tree.Section("source");
        foreach (string key in (string[])["firstTimestamp", "lastTimestamp", "eventTime"])
        {
            tree.TryAdd(key, null);
        }

        tree.Default("reportingComponent", "");
        tree.Default("reportingInstance", "");
    }

    private static void Definition(JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        JsonObject names = spec.Section("names");
        string kind = names.Text("kind") ?? "";
        names.Default("singular", kind.ToLowerInvariant());
        names.Default("listKind", kind + "List");
        spec.Section("conversion").Default("strategy", "None");
        if (isCreate)
        {
            JsonNode? storage = (spec["versions"] as JsonArray ?? []).FirstOrDefault(v => v.Flag("storage"));
            tree["status"] = new JsonObject
            {
                ["conditions"] = null,
                ["acceptedNames"] = new JsonObject { ["plural"] = "", ["kind"] = "" },
                ["storedVersions"] = new JsonArray(storage.Text("name") ?? ""),
            };
        }
    }

    private static void ResetStatus(JsonObject tree, bool isCreate, JsonObject status)
    {
        if (isCreate)
        {
            tree["status"] = status;
        }
    }
}
