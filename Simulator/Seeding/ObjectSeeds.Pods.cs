using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Seeding;

/// <summary>Which pods to seed in bulk. The same numbers make the same pods.</summary>
/// <param name="Count">How many, from 1.</param>
public sealed record PodSeed(int Count)
{
    /// <summary>Namespaces over which the owners are spread; made when missing.</summary>
    /// <value>Default 10, named team-000 and so on.</value>
    public int Namespaces { get; init; } = 10;

    /// <summary>Beginning of the names of the namespaces.</summary>
    public string NamespacePrefix { get; init; } = "team-";

    /// <summary>Pods that share a ReplicaSet, and with it labels, images and settings.</summary>
    /// <value>Default 10.</value>
    public int PodsPerOwner { get; init; } = 10;

    /// <summary>Nodes that the pods are bound to, named node-0000 and so on; see <see cref="ObjectSeeds.SeedNodes"/>.</summary>
    /// <value>Default 100.</value>
    public int Nodes { get; init; } = 100;

    /// <summary>True for 8.3 KB per pod with managedFields, false for 4.2 KB without.</summary>
    /// <value>Default true, as real pods come.</value>
    public bool ManagedFields { get; init; } = true;

    /// <summary>About one pod in so many is Pending and not ready; 0 for none.</summary>
    /// <value>Default 0.</value>
    public int NotReadyEvery { get; init; }
}

/// <content>Objects in bulk.</content>
public sealed partial class ObjectSeeds
{
    private readonly Lock _seeding = new();
    private int _owners;
    private int _nextTouched;

    /// <summary>Adds many pods at some 50 bytes each: they are made anew whenever somebody reads them.</summary>
    /// <remarks>
    /// Each gets its own resourceVersion. Open watches of pods end, as after a restart, since no history is kept of the seeding. No controller
    /// looks after such pods until somebody writes to them; ReplicaSets and Deployments for them are not made.
    /// </remarks>
    public void SeedPods(PodSeed seed)
    {
        ArgumentNullException.ThrowIfNull(seed);
        ArgumentOutOfRangeException.ThrowIfLessThan(seed.Count, 1, nameof(seed));
        PodTemplate template = PodTemplate.Create(seed.ManagedFields);
        lock (_seeding)
        {
            string[] namespaces = [.. Enumerable.Range(0, seed.Namespaces).Select(i => $"{seed.NamespacePrefix}{i:000}")];
            foreach (string ns in namespaces)
            {
                Guard(() =>
                {
                    EnsureNamespace(ns);
                    return 0;
                });
            }

            int firstOwner = _owners;
            _owners += (seed.Count + seed.PodsPerOwner - 1) / seed.PodsPerOwner;
            SeededOwner[] owners = [.. Enumerable.Range(firstOwner, _owners - firstOwner).Select(i => Owner(template, seed, i, namespaces[i % namespaces.Length]))];
            _registry.Store.Seed(ResourceName.Pods, seed.Count, revision => Enumerable.Range(0, seed.Count).Select(i =>
                (StoredObject)new SeededPod(owners[i / seed.PodsPerOwner], i % seed.PodsPerOwner, revision + i)));
        }
    }

    /// <summary>Changes seeded pods, one after the other, so that each makes a MODIFIED event.</summary>
    /// <param name="count">How many changes; goes round and round over the pods.</param>
    public void TouchPods(int count)
    {
        lock (_seeding)
        {
            (OrderedObjects objects, _) = _registry.Store.Snapshot(ResourceName.Pods);
            StoredObject[] pods = [.. objects.Range(null).OfType<SeededPod>()];
            for (int i = 0; i < count && pods.Length > 0; i++)
            {
                StoredObject next = pods[_nextTouched++ % pods.Length];
                _registry.Store.Transaction(() =>
                {
                    if (_registry.Store.Find(ResourceName.Pods, next.Namespace, next.Name) is SeededPod pod)
                    {
                        _registry.Store.Put(ResourceName.Pods, revision => pod.Touch(revision));
                    }

                    return 0;
                });
            }
        }
    }

    /// <summary>Makes nodes that are ready, named node-0000 and so on; those that exist stay.</summary>
    /// <param name="count">How many.</param>
    /// <param name="cpu">Capacity of each, such as <c>16</c>.</param>
    /// <param name="memory">Capacity of each, such as <c>64Gi</c>.</param>
    /// <param name="region">Label topology.kubernetes.io/region; zones are region-a to region-c.</param>
    public void SeedNodes(int count, string cpu = "16", string memory = "64Gi", string region = "region-1")
    {
        Discovery.ApiResource nodes = _registry.Catalog.Stored(ResourceName.Nodes)!;
        for (int i = 0; i < count; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"node-{i:0000}");
            if (_registry.Store.Find(ResourceName.Nodes, "", name) is not null)
            {
                continue;
            }

            int number = i;
            Guard(() =>
            {
                _registry.Create(nodes, "", Node(name, region, number), new WriteOptions("kubelet"));
                _registry.Update(
                    nodes, "", name,
                    live =>
                    {
                        live.Section("spec").Remove("taints");
                        live["spec"]!["podCIDR"] = $"10.{128 + number / 256 % 64}.{number % 256}.0/24";
                        return live;
                    },
                    new WriteOptions("kube-controller-manager") { IsPatch = true });
                return _registry.Update(
                    nodes, "", name,
                    live =>
                    {
                        FillStatus(live.Section("status"), name, number, cpu, memory, _registry.Now);
                        return live;
                    },
                    new WriteOptions("kubelet") { Subresource = "status", IsPatch = true });
            });
        }
    }

    private SeededOwner Owner(PodTemplate template, PodSeed seed, int number, string ns)
    {
        ulong salt = IdSource.Mix((ulong)number + ((ulong)_seed << 40));
        Span<byte> hash = stackalloc byte[10];
        IdSource.WriteSuffix(salt, hash);
        string app = string.Create(CultureInfo.InvariantCulture, $"app-{number:00000}");
        string hashText = System.Text.Encoding.ASCII.GetString(hash);
        return new SeededOwner
        {
            Template = template,
            Namespace = ns,
            Name = $"{app}-{hashText}",
            Uid = IdSource.UidOf(salt, ulong.MaxValue),
            App = app,
            Hash = hashText,
            Salt = salt,
            Nodes = seed.Nodes,
            NotReadyEvery = seed.NotReadyEvery,
            Created = _registry.Time.GetUtcNow().AddHours(-2 - number % 500),
        };
    }

    private static JsonObject Node(string name, string region, int number) => new()
    {
        ["metadata"] = new JsonObject
        {
            ["name"] = name,
            ["labels"] = new JsonObject
            {
                ["kubernetes.io/arch"] = "amd64",
                ["kubernetes.io/hostname"] = name,
                ["kubernetes.io/os"] = "linux",
                ["topology.kubernetes.io/region"] = region,
                ["topology.kubernetes.io/zone"] = $"{region}-{(char)('a' + number % 3)}",
            },
        },
    };

    private static void FillStatus(JsonObject status, string name, int number, string cpu, string memory, string now)
    {
        status["capacity"] = new JsonObject { ["cpu"] = cpu, ["ephemeral-storage"] = "200Gi", ["memory"] = memory, ["pods"] = "110" };
        status["allocatable"] = new JsonObject { ["cpu"] = cpu, ["ephemeral-storage"] = "180Gi", ["memory"] = memory, ["pods"] = "110" };
        status["conditions"] = new JsonArray(
            Condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", now),
            Condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now),
            Condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available", now),
            Condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now));
        status["addresses"] = new JsonArray(
            new JsonObject { ["type"] = "InternalIP", ["address"] = $"172.18.{number / 256}.{number % 256}" },
            new JsonObject { ["type"] = "Hostname", ["address"] = name });
        JsonObject info = status.Section("nodeInfo");
        info["kernelVersion"] = "6.1.0";
        info["osImage"] = "Simulated Linux 1";
        info["containerRuntimeVersion"] = "containerd://2.0.0";
        info["kubeletVersion"] = "v1.32.13";
        info["operatingSystem"] = "linux";
        info["architecture"] = "amd64";
    }

    private static JsonObject Condition(string type, string status, string reason, string message, string now) => new()
    {
        ["type"] = type,
        ["status"] = status,
        ["lastHeartbeatTime"] = now,
        ["lastTransitionTime"] = now,
        ["reason"] = reason,
        ["message"] = message,
    };
}
