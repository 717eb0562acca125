using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Seeding;

/// <summary>A value of a seeded pod that differs from pod to pod.</summary>
internal enum PodSlot
{
    Name, Namespace, Uid, Revision, Created, Started, Node, HostAddress, PodAddress, OwnerName, OwnerUid, App, Hash, Volume, FirstContainer, SecondContainer,
    Phase, Ready, ReadyText, Touched,
}

/// <summary>The text that all seeded pods share, cut at the places where they differ.</summary>
/// <remarks>A pod without managedFields has about 4.2 KB, with them about 8.3 KB, as pods with a sidecar of a busy cluster have.</remarks>
internal sealed class PodTemplate
{
    private const int PlainBytes = 4200;
    private const int ManagedBytes = 8300;

    // Cannot occur in the JSON of a pod otherwise.
    private const char Mark = '\u0001';

    private PodTemplate(byte[][] texts, PodSlot[] slots)
    {
        (Texts, Slots) = (texts, slots);
        Length = texts.Sum(t => t.Length) + slots.Length * 70;
    }

    /// <summary>One more than <see cref="Slots"/>.</summary>
    public byte[][] Texts { get; }

    public PodSlot[] Slots { get; }

    /// <summary>Upper bound of the bytes of one pod.</summary>
    public int Length { get; }

    /// <summary>Makes the template.</summary>
    /// <param name="managedFields">With managedFields.</param>
    public static PodTemplate Create(bool managedFields)
    {
        JsonObject pod = Pod();
        Pad(pod, PlainBytes);
        if (managedFields)
        {
            pod["metadata"]!["managedFields"] = ManagedFields();
            PadManaged(pod, ManagedBytes);
        }

        return Cut(Encoding.UTF8.GetString(JsonTree.ToUtf8(pod)));
    }

    private static string Slot(PodSlot slot) => $"{Mark}{(char)('A' + (int)slot)}";

    private static PodTemplate Cut(string json)
    {
        // The writer escapes the mark; flags stand without quotes.
        json = json.Replace("\\u0001", Mark.ToString(), StringComparison.Ordinal)
            .Replace($"\"{Slot(PodSlot.Ready)}\"", Slot(PodSlot.Ready), StringComparison.Ordinal);
        string[] parts = json.Split(Mark);
        return new PodTemplate(
            [Encoding.UTF8.GetBytes(parts[0]), .. parts[1..].Select(p => Encoding.UTF8.GetBytes(p[1..]))],
            [.. parts[1..].Select(p => (PodSlot)(p[0] - 'A'))]);
    }

    /// <summary>What a pod of this template will measure, with values of their usual length.</summary>
    private static int SizeOf(JsonObject pod)
    {
        PodTemplate cut = Cut(Encoding.UTF8.GetString(JsonTree.ToUtf8(pod)));
        return cut.Texts.Sum(t => t.Length) + cut.Slots.Sum(s => s switch
        {
            PodSlot.FirstContainer or PodSlot.SecondContainer => 64,
            PodSlot.Uid or PodSlot.OwnerUid => 36,
            PodSlot.Name => 26,
            PodSlot.OwnerName or PodSlot.Created or PodSlot.Started => 20,
            PodSlot.PodAddress or PodSlot.HostAddress => 13,
            PodSlot.Hash or PodSlot.App or PodSlot.Node => 9,
            PodSlot.Touched => 1,
            _ => 6,
        });
    }

    private static void Pad(JsonObject pod, int target)
    {
        // Environment variables, as real pods carry them, until the pod has its size.
        var variables = (JsonArray)pod["spec"]!["containers"]![0]!["env"]!;
        for (int i = 0; SizeOf(pod) < target - 30; i++)
        {
            variables.Add(new JsonObject { ["name"] = $"FEATURE_{i:00}_ENABLED", ["value"] = i % 3 == 0 ? "false" : "true" });
        }
    }

    private static void PadManaged(JsonObject pod, int target)
    {
        // The owner of the variables above, one key per variable, and settings of further managers.
        var entries = (JsonArray)pod["metadata"]!["managedFields"]!;
        JsonObject env = entries[0]!["fieldsV1"]!["f:spec"]!["f:containers"]!["k:{\"name\":\"app\"}"]!["f:env"]!.AsObject();
        foreach (JsonNode? variable in (JsonArray)pod["spec"]!["containers"]![0]!["env"]!)
        {
            env[$$"""k:{"name":"{{variable.Text("name")}}"}"""] = new JsonObject { ["."] = new JsonObject(), ["f:name"] = new JsonObject(), ["f:value"] = new JsonObject() };
        }

        JsonObject annotations = entries[0]!["fieldsV1"]!["f:metadata"]!.AsObject().Section("f:annotations");
        for (int i = 0; SizeOf(pod) < target - 20; i++)
        {
            annotations[$"f:policy.example.com/rule-{i:000}"] = new JsonObject();
        }
    }

    private static JsonObject Pod() => new()
    {
        ["metadata"] = new JsonObject
        {
            ["name"] = Slot(PodSlot.Name),
            ["generateName"] = Slot(PodSlot.OwnerName) + "-",
            ["namespace"] = Slot(PodSlot.Namespace),
            ["uid"] = Slot(PodSlot.Uid),
            ["resourceVersion"] = Slot(PodSlot.Revision),
            ["creationTimestamp"] = Slot(PodSlot.Created),
            ["labels"] = new JsonObject
            {
                ["app"] = Slot(PodSlot.App),
                ["app.kubernetes.io/managed-by"] = "seed",
                ["pod-template-hash"] = Slot(PodSlot.Hash),
                ["tier"] = "backend",
            },
            ["annotations"] = new JsonObject
            {
                ["prometheus.io/port"] = "9090",
                ["prometheus.io/scrape"] = "true",
                ["simulator/touched"] = Slot(PodSlot.Touched),
            },
            ["ownerReferences"] = new JsonArray(new JsonObject
            {
                ["apiVersion"] = "apps/v1",
                ["kind"] = "ReplicaSet",
                ["name"] = Slot(PodSlot.OwnerName),
                ["uid"] = Slot(PodSlot.OwnerUid),
                ["controller"] = true,
                ["blockOwnerDeletion"] = true,
            }),
        },
        ["spec"] = Spec(),
        ["status"] = Status(),
    };

    private static JsonObject Spec() => new()
    {
        ["volumes"] = new JsonArray(
            new JsonObject { ["name"] = "config", ["configMap"] = new JsonObject { ["name"] = Slot(PodSlot.App) + "-config", ["defaultMode"] = 420 } },
            JsonNode.Parse(TokenVolume.Replace("NAME", "kube-api-access-" + Slot(PodSlot.Volume), StringComparison.Ordinal).Replace("\u0001", "\\u0001", StringComparison.Ordinal))),
        ["containers"] = new JsonArray(
            Container("app", "registry.example.com/team/" + Slot(PodSlot.App) + ":1.14.2", "250m", "256Mi", 8080),
            Container("proxy", "registry.example.com/mesh/proxy:2.8.0", "100m", "128Mi", 15090)),
        ["restartPolicy"] = "Always",
        ["terminationGracePeriodSeconds"] = 30,
        ["dnsPolicy"] = "ClusterFirst",
        ["serviceAccountName"] = "default",
        ["serviceAccount"] = "default",
        ["nodeName"] = Slot(PodSlot.Node),
        ["securityContext"] = new JsonObject(),
        ["schedulerName"] = "default-scheduler",
        ["tolerations"] = new JsonArray(Toleration("not-ready"), Toleration("unreachable")),
        ["priority"] = 0,
        ["enableServiceLinks"] = true,
        ["preemptionPolicy"] = "PreemptLowerPriority",
    };

    private static JsonObject Container(string name, string image, string cpu, string memory, int port) => new()
    {
        ["name"] = name,
        ["image"] = image,
        ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["containerPort"] = port, ["protocol"] = "TCP" }),
        ["env"] = new JsonArray(new JsonObject { ["name"] = "LOG_LEVEL", ["value"] = "info" }),
        ["resources"] = new JsonObject
        {
            ["limits"] = new JsonObject { ["memory"] = memory },
            ["requests"] = new JsonObject { ["cpu"] = cpu, ["memory"] = memory },
        },
        ["volumeMounts"] = new JsonArray(new JsonObject
        {
            ["name"] = "kube-api-access-" + Slot(PodSlot.Volume),
            ["readOnly"] = true,
            ["mountPath"] = "/var/run/secrets/kubernetes.io/serviceaccount",
        }),
        ["terminationMessagePath"] = "/dev/termination-log",
        ["terminationMessagePolicy"] = "File",
        ["imagePullPolicy"] = "IfNotPresent",
    };

    private static JsonObject Status() => new()
    {
        ["phase"] = Slot(PodSlot.Phase),
        ["conditions"] = new JsonArray(
            Condition("Initialized", "True"), Condition("Ready", Slot(PodSlot.ReadyText)), Condition("ContainersReady", Slot(PodSlot.ReadyText)), Condition("PodScheduled", "True")),
        ["hostIP"] = Slot(PodSlot.HostAddress),
        ["podIP"] = Slot(PodSlot.PodAddress),
        ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = Slot(PodSlot.PodAddress) }),
        ["startTime"] = Slot(PodSlot.Created),
        ["containerStatuses"] = new JsonArray(
            ContainerStatus("app", "registry.example.com/team/" + Slot(PodSlot.App) + ":1.14.2", PodSlot.FirstContainer),
            ContainerStatus("proxy", "registry.example.com/mesh/proxy:2.8.0", PodSlot.SecondContainer)),
        ["qosClass"] = "Burstable",
    };

    private static JsonObject Condition(string type, string status) => new()
    {
        ["type"] = type,
        ["status"] = status,
        ["lastProbeTime"] = null,
        ["lastTransitionTime"] = Slot(PodSlot.Started),
    };

    private static JsonObject ContainerStatus(string name, string image, PodSlot id) => new()
    {
        ["name"] = name,
        ["state"] = new JsonObject { ["running"] = new JsonObject { ["startedAt"] = Slot(PodSlot.Started) } },
        ["lastState"] = new JsonObject(),
        ["ready"] = Slot(PodSlot.Ready),
        ["restartCount"] = 0,
        ["image"] = image,
        ["imageID"] = "registry.example.com/x@sha256:5e1b7a0c9d4f8e2b6a3c1d0f9e8b7a6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f00",
        ["containerID"] = "containerd://" + Slot(id),
        ["started"] = true,
    };

    private static JsonObject Toleration(string key) => new()
    {
        ["key"] = "node.kubernetes.io/" + key,
        ["operator"] = "Exists",
        ["effect"] = "NoExecute",
        ["tolerationSeconds"] = 300,
    };

    private static JsonArray ManagedFields() =>
    [
        new JsonObject
        {
            ["manager"] = "kube-controller-manager",
            ["operation"] = "Update",
            ["apiVersion"] = "v1",
            ["time"] = Slot(PodSlot.Created),
            ["fieldsType"] = "FieldsV1",
            ["fieldsV1"] = JsonNode.Parse(ControllerFields),
        },
        new JsonObject
        {
            ["manager"] = "kubelet",
            ["operation"] = "Update",
            ["apiVersion"] = "v1",
            ["time"] = Slot(PodSlot.Started),
            ["fieldsType"] = "FieldsV1",
            ["fieldsV1"] = JsonNode.Parse(KubeletFields),
            ["subresource"] = "status",
        },
    ];

    private const string TokenVolume =
        """
        {"name":"NAME","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
        {"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
        {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}
        """;

    private const string ControllerFields =
        """
        {"f:metadata":{"f:annotations":{".":{},"f:prometheus.io/port":{},"f:prometheus.io/scrape":{}},"f:generateName":{},
        "f:labels":{".":{},"f:app":{},"f:app.kubernetes.io/managed-by":{},"f:pod-template-hash":{},"f:tier":{}},"f:ownerReferences":{".":{}}},
        "f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:env":{".":{}},"f:image":{},"f:imagePullPolicy":{},"f:name":{},
        "f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},
        "f:resources":{".":{},"f:limits":{".":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}},
        "k:{\"name\":\"proxy\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{".":{},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}}}},
        "f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{},
        "f:volumes":{".":{},"k:{\"name\":\"config\"}":{".":{},"f:configMap":{".":{},"f:defaultMode":{},"f:name":{}},"f:name":{}}}}}
        """;

    private const string KubeletFields =
        """
        {"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},
        "k:{\"type\":\"Initialized\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},
        "k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},
        "f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.0.0.1\"}":{".":{},"f:ip":{}}},"f:startTime":{}}}
        """;
}
