using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>The defaults of pods and pod templates.</summary>
internal static class PodDefaults
{
    private const string TokenMount = "/var/run/secrets/kubernetes.io/serviceaccount";

    private const string TokenVolume =
        """
        {"name":"NAME","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
        {"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
        {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}
        """;

    /// <summary>Fills in a template below a workload's spec.</summary>
    public static void ApplyToTemplate(JsonObject workloadSpec)
    {
        JsonObject template = workloadSpec.Section("template");
        JsonObject metadata = template.Section("metadata");
        if (!metadata.ContainsKey("creationTimestamp"))
        {
            // The wire form of templates always shows it, and first.
            template["metadata"] = new JsonObject([new("creationTimestamp", null), .. metadata.Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone()))]);
        }

        ApplyToSpec(template.Section("spec"));
    }

    /// <summary>Fills in a pod; on creation also what admission adds: service account, tolerations, token volume.</summary>
    public static void ApplyToPod(AdmissionContext context, JsonObject tree, bool isCreate)
    {
        JsonObject spec = tree.Section("spec");
        ApplyToSpec(spec);
        spec.Default("enableServiceLinks", true);
        if (!isCreate)
        {
            return;
        }

        spec.Default("serviceAccountName", "default");
        spec.Default("serviceAccount", spec.Text("serviceAccountName"));
        MountToken(context, spec);
        AddTolerations(spec);
        spec.Default("priority", 0);
        spec.Default("preemptionPolicy", "PreemptLowerPriority");
        tree["status"] = new JsonObject { ["phase"] = "Pending", ["qosClass"] = QosOf(spec) };
    }

    private static void ApplyToSpec(JsonObject spec)
    {
        foreach (string list in (string[])["initContainers", "containers"])
        {
            foreach (JsonObject container in (spec[list] as JsonArray ?? []).OfType<JsonObject>())
            {
                container.Default("resources", new JsonObject());
                container.Default("terminationMessagePath", "/dev/termination-log");
                container.Default("terminationMessagePolicy", "File");
                container.Default("imagePullPolicy", PullPolicyOf(container.Text("image") ?? ""));
                foreach (JsonObject port in (container["ports"] as JsonArray ?? []).OfType<JsonObject>())
                {
                    port.Default("protocol", "TCP");
                }

                foreach (string probe in (string[])["livenessProbe", "readinessProbe", "startupProbe"])
                {
                    if (container[probe] is JsonObject settings)
                    {
                        Probe(settings);
                    }
                }

                if (container.At("resources", "limits") is JsonObject limits)
                {
                    // A limit without a request is a request too.
                    JsonObject requests = container["resources"]!.AsObject().Section("requests");
                    foreach ((string key, JsonNode? value) in limits)
                    {
                        requests.Default(key, value?.DeepClone());
                    }
                }
            }
        }

        spec.Default("restartPolicy", "Always");
        spec.Default("terminationGracePeriodSeconds", 30);
        spec.Default("dnsPolicy", "ClusterFirst");
        spec.Default("securityContext", new JsonObject());
        spec.Default("schedulerName", "default-scheduler");
    }

    private static void Probe(JsonObject probe)
    {
        probe.Default("timeoutSeconds", 1);
        probe.Default("periodSeconds", 10);
        probe.Default("successThreshold", 1);
        probe.Default("failureThreshold", 3);
        if (probe["httpGet"] is JsonObject get)
        {
            get.Default("path", "/");
            get.Default("scheme", "HTTP");
        }
    }

    /// <summary>Latest, or no tag at all, is always pulled.</summary>
    private static string PullPolicyOf(string image)
    {
        int colon = image.LastIndexOf(':');
        bool tagged = colon > image.LastIndexOf('/') || image.Contains('@');
        return !tagged || image.EndsWith(":latest", StringComparison.Ordinal) ? "Always" : "IfNotPresent";
    }

    private static void MountToken(AdmissionContext context, JsonObject spec)
    {
        if (spec["automountServiceAccountToken"] is JsonValue automount && automount.TryGetValue(out bool wanted) && !wanted)
        {
            return;
        }

        JsonArray volumes = spec["volumes"] as JsonArray ?? [];
        if (volumes.Any(v => v.Text("name")?.StartsWith("kube-api-access-", StringComparison.Ordinal) == true))
        {
            return;
        }

        string name = "kube-api-access-" + context.Registry.Ids.Suffix();
        volumes.Add(JsonNode.Parse(TokenVolume.Replace("NAME", name, StringComparison.Ordinal)));
        spec["volumes"] = volumes.Parent is null ? volumes : volumes.DeepClone();
        foreach (string list in (string[])["initContainers", "containers"])
        {
            foreach (JsonObject container in (spec[list] as JsonArray ?? []).OfType<JsonObject>())
            {
                JsonArray mounts = container["volumeMounts"] as JsonArray ?? [];
                if (!mounts.Any(m => m.Text("mountPath") == TokenMount))
                {
                    mounts.Add(new JsonObject { ["name"] = name, ["readOnly"] = true, ["mountPath"] = TokenMount });
                    container["volumeMounts"] = mounts.Parent is null ? mounts : mounts.DeepClone();
                }
            }
        }
    }

    private static void AddTolerations(JsonObject spec)
    {
        JsonArray tolerations = spec["tolerations"] as JsonArray ?? [];
        foreach (string key in (string[])["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"])
        {
            if (!tolerations.Any(t => t.Text("key") == key || (t.Text("key") is null && t.Text("operator") == "Exists")))
            {
                tolerations.Add(new JsonObject
                {
                    ["key"] = key,
                    ["operator"] = "Exists",
                    ["effect"] = "NoExecute",
                    ["tolerationSeconds"] = 300,
                });
            }
        }

        spec["tolerations"] = tolerations.Parent is null ? tolerations : tolerations.DeepClone();
    }

    private static string QosOf(JsonObject spec)
    {
        JsonObject[] containers = [.. (spec["containers"] as JsonArray ?? []).OfType<JsonObject>()];
        bool any = containers.Any(c => c.At("resources", "requests") is JsonObject { Count: > 0 } || c.At("resources", "limits") is JsonObject { Count: > 0 });
        if (!any)
        {
            return "BestEffort";
        }

        bool all = containers.All(c => c.At("resources", "limits") is JsonObject limits && limits["cpu"] is not null && limits["memory"] is not null
            && JsonTree.Same(limits["cpu"], c.At("resources", "requests", "cpu")) && JsonTree.Same(limits["memory"], c.At("resources", "requests", "memory")));
        return all ? "Guaranteed" : "Burstable";
    }
}
