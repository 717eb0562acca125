using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Tables;

/// <summary>The columns of the built-in kinds.</summary>
internal static class TableLayouts
{
    /// <summary>Name and age, for every kind without columns of its own.</summary>
    public static TableLayout Default { get; } = TableLayout.Of("Name,Age", (o, now) => [Name(o), Age(o, now)]);

    private static readonly FrozenDictionary<(string, string), TableLayout> Layouts = new Dictionary<(string, string), TableLayout>
    {
        [("", "Pod")] = TableLayout.Of("Name,Ready,Status,Restarts,Age,+IP,+Node,+Nominated Node,+Readiness Gates", PodCells.For),
        [("apps", "Deployment")] = TableLayout.Of("Name,Ready,Up-to-date,Available,Age,+Containers,+Images,+Selector", (o, now) =>
            [Name(o), Ready(o), o.NumberAt("status", "updatedReplicas"), o.NumberAt("status", "availableReplicas"), Age(o, now), .. Template(o), Selector(o)]),
        [("apps", "ReplicaSet")] = TableLayout.Of("Name,#Desired,#Current,#Ready,Age,+Containers,+Images,+Selector", Replicas),
        [("", "ReplicationController")] = TableLayout.Of("Name,#Desired,#Current,#Ready,Age,+Containers,+Images,+Selector", Replicas),
        [("apps", "StatefulSet")] = TableLayout.Of("Name,Ready,Age,+Containers,+Images", (o, now) => [Name(o), Ready(o), Age(o, now), .. Template(o)]),
        [("apps", "DaemonSet")] = TableLayout.Of(
            "Name,#Desired,#Current,#Ready,#Up-to-date,#Available,Node Selector,Age,+Containers,+Images,+Selector", (o, now) =>
            [
                Name(o), o.NumberAt("status", "desiredNumberScheduled"), o.NumberAt("status", "currentNumberScheduled"), o.NumberAt("status", "numberReady"),
                o.NumberAt("status", "updatedNumberScheduled"), o.NumberAt("status", "numberAvailable"),
                OrNone(Labels(o.At("spec", "template", "spec", "nodeSelector"))), Age(o, now), .. Template(o), Selector(o),
            ]),
        [("apps", "ControllerRevision")] = TableLayout.Of("Name,Controller,Revision,Age", (o, now) =>
            [Name(o), OrNone(Controller(o)), o.NumberAt("revision"), Age(o, now)]),
        [("batch", "Job")] = TableLayout.Of("Name,Status,Completions,Duration,Age,+Containers,+Images,+Selector", JobCells),
        [("batch", "CronJob")] = TableLayout.Of("Name,Schedule,Timezone,Suspend,#Active,Last Schedule,Age,+Containers,+Images,+Selector", (o, now) =>
            [
                Name(o), o.TextAt("spec", "schedule"), OrNone(o.TextAt("spec", "timeZone")), o.Flag("spec", "suspend") ? "True" : "False",
                o.Items("status", "active").Count(), o.At("status", "lastScheduleTime") is { } last ? Durations.Since(last, now) : "<none>", Age(o, now),
                .. Template(o.At("spec", "jobTemplate")), "<none>",
            ]),
        [("", "Node")] = TableLayout.Of(
            "Name,Status,Roles,Age,Version,+Internal-IP,+External-IP,+OS-Image,+Kernel-Version,+Container-Runtime", NodeCells),
        [("", "Service")] = TableLayout.Of("Name,Type,Cluster-IP,External-IP,Port(s),Age,+Selector", ServiceCells),
        [("", "ConfigMap")] = TableLayout.Of("Name,Data,Age", (o, now) => [Name(o), Count(o["data"]) + Count(o["binaryData"]), Age(o, now)]),
        [("", "Secret")] = TableLayout.Of("Name,Type,Data,Age", (o, now) => [Name(o), o.TextAt("type"), Count(o["data"]), Age(o, now)]),
        [("", "Namespace")] = TableLayout.Of("Name,Status,Age", (o, now) => [Name(o), o.TextAt("status", "phase"), Age(o, now)]),
        [("", "ServiceAccount")] = TableLayout.Of("Name,Secrets,Age", (o, now) => [Name(o), o.Items("secrets").Count(), Age(o, now)]),
        [("", "Event")] = TableLayout.Of("Last Seen,Type,Reason,Object,+Subobject,+Source,Message,+First Seen,+#Count,+Name", EventCells),
        [("events.k8s.io", "Event")] = TableLayout.Of("Last Seen,Type,Reason,Object,+Subobject,+Source,Message,+First Seen,+#Count,+Name", EventCells),
        [("", "Endpoints")] = TableLayout.Of("Name,Endpoints,Age", (o, now) => [Name(o), EndpointsOf(o), Age(o, now)]),
        [("discovery.k8s.io", "EndpointSlice")] = TableLayout.Of("Name,AddressType,Ports,Endpoints,Age", (o, now) =>
            [
                Name(o), o.TextAt("addressType"), Shorten(o.Items("ports").Select(p => p.TextAt("port"))),
                Shorten(o.Items("endpoints").SelectMany(e => e.Texts("addresses"))), Age(o, now),
            ]),
        [("networking.k8s.io", "Ingress")] = TableLayout.Of("Name,Class,Hosts,Address,Ports,Age", (o, now) =>
            [
                Name(o), OrNone(o.TextAt("spec", "ingressClassName")), Hosts(o),
                string.Join(",", o.Items("status", "loadBalancer", "ingress").Select(i => i.TextAt("ip") is { Length: > 0 } ip ? ip : i.TextAt("hostname"))),
                o.Items("spec", "tls").Any() ? "80, 443" : "80", Age(o, now),
            ]),
        [("networking.k8s.io", "IngressClass")] = TableLayout.Of("Name,Controller,Parameters,Age", (o, now) =>
            [Name(o), o.TextAt("spec", "controller"), OrNone(o.TextAt("spec", "parameters", "name")), Age(o, now)]),
        [("networking.k8s.io", "NetworkPolicy")] = TableLayout.Of("Name,Pod-Selector,Age", (o, now) =>
            [Name(o), OrNone(LabelSelector(o.At("spec", "podSelector"))), Age(o, now)]),
        [("", "PersistentVolume")] = TableLayout.Of(
            "Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,VolumeAttributesClass,Reason,Age,+VolumeMode", (o, now) =>
            [
                Name(o), o.TextAt("spec", "capacity", "storage"), Modes(o.Texts("spec", "accessModes")), o.TextAt("spec", "persistentVolumeReclaimPolicy"), Phase(o),
                o.At("spec", "claimRef") is { } claim ? $"{claim.TextAt("namespace")}/{claim.TextAt("name")}" : "", o.TextAt("spec", "storageClassName"),
                Unset(o.TextAt("spec", "volumeAttributesClassName")), o.TextAt("status", "reason"), Age(o, now), Unset(o.TextAt("spec", "volumeMode")),
            ]),
        [("", "PersistentVolumeClaim")] = TableLayout.Of(
            "Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age,+VolumeMode", (o, now) =>
            [
                Name(o), Phase(o), o.TextAt("spec", "volumeName"), o.TextAt("status", "capacity", "storage"), Modes(o.Texts("status", "accessModes")),
                o.TextAt("spec", "storageClassName"), Unset(o.TextAt("spec", "volumeAttributesClassName")), Age(o, now), Unset(o.TextAt("spec", "volumeMode")),
            ]),
        [("storage.k8s.io", "StorageClass")] = TableLayout.Of("Name,Provisioner,ReclaimPolicy,VolumeBindingMode,AllowVolumeExpansion,Age", (o, now) =>
            [
                Name(o), o.TextAt("provisioner"), o.TextAt("reclaimPolicy") is { Length: > 0 } policy ? policy : "Delete",
                o.TextAt("volumeBindingMode") is { Length: > 0 } mode ? mode : "Immediate", o.Flag("allowVolumeExpansion"), Age(o, now),
            ]),
        [("scheduling.k8s.io", "PriorityClass")] = TableLayout.Of("Name,Value,Global-Default,Age,+PreemptionPolicy", (o, now) =>
            [Name(o), o.NumberAt("value"), o.Flag("globalDefault"), Age(o, now), o.TextAt("preemptionPolicy")]),
        [("autoscaling", "HorizontalPodAutoscaler")] = TableLayout.Of("Name,Reference,Targets,MinPods,MaxPods,Replicas,Age", (o, now) =>
            [
                Name(o), $"{o.TextAt("spec", "scaleTargetRef", "kind")}/{o.TextAt("spec", "scaleTargetRef", "name")}", Targets(o),
                o.At("spec", "minReplicas") is null ? Unset("") : o.TextAt("spec", "minReplicas"), o.NumberAt("spec", "maxReplicas"),
                o.NumberAt("status", "currentReplicas"), Age(o, now),
            ]),
        [("policy", "PodDisruptionBudget")] = TableLayout.Of("Name,Min Available,Max Unavailable,#Allowed Disruptions,Age", (o, now) =>
            [
                Name(o), OrMissing(o.TextAt("spec", "minAvailable")), OrMissing(o.TextAt("spec", "maxUnavailable")),
                o.NumberAt("status", "disruptionsAllowed"), Age(o, now),
            ]),
        [("apiextensions.k8s.io", "CustomResourceDefinition")] = Created(),
        [("rbac.authorization.k8s.io", "Role")] = Created(),
        [("rbac.authorization.k8s.io", "ClusterRole")] = Created(),
        [("rbac.authorization.k8s.io", "RoleBinding")] = TableLayout.Of("Name,Role,Age,+Users,+Groups,+ServiceAccounts", BindingCells),
        [("rbac.authorization.k8s.io", "ClusterRoleBinding")] = TableLayout.Of("Name,Role,Age,+Users,+Groups,+ServiceAccounts", BindingCells),
        [("coordination.k8s.io", "Lease")] = TableLayout.Of("Name,Holder,Age", (o, now) => [Name(o), o.TextAt("spec", "holderIdentity"), Age(o, now)]),
        [("", "LimitRange")] = Created(),
        [("", "ResourceQuota")] = TableLayout.Of("Name,Age,Request,Limit", (o, now) =>
            [Name(o), Age(o, now), Quota(o, limits: false), Quota(o, limits: true)]),
    }.ToFrozenDictionary();

    public static TableLayout For(string group, string kind) => Layouts.GetValueOrDefault((group, kind), Default);

    private static string Name(JsonObject o) => o.TextAt("metadata", "name");

    private static string Age(JsonObject o, DateTimeOffset now) => Durations.Since(o.At("metadata", "creationTimestamp"), now);

    private static string OrNone(string text) => text.Length == 0 ? "<none>" : text;

    private static string OrMissing(string text) => text.Length == 0 ? "N/A" : text;

    private static string Unset(string text) => text.Length == 0 ? "<unset>" : text;

    private static string Phase(JsonObject o) => o.At("metadata", "deletionTimestamp") is null ? o.TextAt("status", "phase") : "Terminating";

    private static int Count(JsonNode? map) => map is JsonObject o ? o.Count : 0;

    private static TableLayout Created() => TableLayout.Of("Name,Created At", (o, _) => [Name(o), o.TextAt("metadata", "creationTimestamp")]);

    private static string Ready(JsonObject o) =>
        $"{o.NumberAt("status", "readyReplicas")}/{(o.At("spec", "replicas") is null ? 0 : o.NumberAt("spec", "replicas"))}";

    private static JsonNode?[] Replicas(JsonObject o, DateTimeOffset now) =>
        [Name(o), o.NumberAt("spec", "replicas"), o.NumberAt("status", "replicas"), o.NumberAt("status", "readyReplicas"), Age(o, now), .. Template(o), Selector(o)];

    private static JsonNode?[] Template(JsonNode? o)
    {
        JsonObject[] containers = [.. o.Items("spec", "template", "spec", "containers")];
        return [string.Join(",", containers.Select(c => c.TextAt("name"))), string.Join(",", containers.Select(c => c.TextAt("image")))];
    }

    private static string Selector(JsonObject o) =>
        o.At("spec", "selector", "matchLabels") is not null || o.At("spec", "selector", "matchExpressions") is not null
            ? LabelSelector(o.At("spec", "selector")) : OrNone(Labels(o.At("spec", "selector")));

    private static string Labels(JsonNode? map) =>
        map is JsonObject o ? string.Join(",", o.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"{p.Key}={p.Value.TextAt()}")) : "";

    private static string LabelSelector(JsonNode? selector)
    {
        IEnumerable<string> terms = selector.Items("matchExpressions").Select(e => e.TextAt("operator") switch
        {
            "In" => $"{e.TextAt("key")} in ({string.Join(",", e.Texts("values").Order(StringComparer.Ordinal))})",
            "NotIn" => $"{e.TextAt("key")} notin ({string.Join(",", e.Texts("values").Order(StringComparer.Ordinal))})",
            "DoesNotExist" => "!" + e.TextAt("key"),
            _ => e.TextAt("key"),
        });
        string labels = Labels(selector.At("matchLabels"));
        return string.Join(",", (labels.Length == 0 ? [] : new[] { labels }).Concat(terms));
    }

    private static string Controller(JsonObject o)
    {
        JsonObject? owner = o.Items("metadata", "ownerReferences").FirstOrDefault(r => r.Flag("controller"));
        return owner is null ? "" : $"{owner.TextAt("kind").ToLowerInvariant()}.{owner.TextAt("apiVersion").Split('/')[0]}/{owner.TextAt("name")}";
    }

    private static JsonNode?[] JobCells(JsonObject o, DateTimeOffset now)
    {
        string Condition(string type) => o.Items("status", "conditions").FirstOrDefault(c => c.TextAt("type") == type).TextAt("status");
        string state = Condition("Complete") == "True" ? "Complete"
            : Condition("Failed") == "True" ? "Failed"
            : o.At("metadata", "deletionTimestamp") is not null ? "Terminating"
            : Condition("Suspended") == "True" ? "Suspended"
            : Condition("FailureTarget") == "True" ? "FailureTarget"
            : Condition("SuccessCriteriaMet") == "True" ? "SuccessCriteriaMet" : "Running";
        string wanted = o.At("spec", "completions") is not null ? o.TextAt("spec", "completions")
            : o.NumberAt("spec", "parallelism") > 1 ? $"1 of {o.NumberAt("spec", "parallelism")}" : "1";
        string duration = !Durations.TryParse(o.At("status", "startTime"), out DateTimeOffset start) ? ""
            : Durations.TryParse(o.At("status", "completionTime"), out DateTimeOffset end) ? Durations.Human(end - start) : Durations.Human(now - start);
        return [Name(o), state, $"{o.NumberAt("status", "succeeded")}/{wanted}", duration, Age(o, now), .. Template(o), Selector(o)];
    }

    private static JsonNode?[] NodeCells(JsonObject o, DateTimeOffset now)
    {
        JsonObject? ready = o.Items("status", "conditions").FirstOrDefault(c => c.TextAt("type") == "Ready");
        string status = ready is null ? "Unknown" : ready.TextAt("status") == "True" ? "Ready" : "NotReady";
        status = o.Flag("spec", "unschedulable") ? status + ",SchedulingDisabled" : status;
        const string RolePrefix = "node-role.kubernetes.io/";
        IEnumerable<string> roles = (o.At("metadata", "labels") as JsonObject ?? [])
            .Select(l => l.Key.StartsWith(RolePrefix, StringComparison.Ordinal) ? l.Key[RolePrefix.Length..] : l.Key == "kubernetes.io/role" ? l.Value.TextAt() : "")
            .Where(r => r.Length > 0).Order(StringComparer.Ordinal);
        string Address(string type) => OrNone(o.Items("status", "addresses").FirstOrDefault(a => a.TextAt("type") == type).TextAt("address"));
        string Info(string field) => o.TextAt("status", "nodeInfo", field) is { Length: > 0 } text ? text : "<unknown>";
        return
        [
            Name(o), status, OrNone(string.Join(",", roles)), Age(o, now), o.TextAt("status", "nodeInfo", "kubeletVersion"), Address("InternalIP"),
            Address("ExternalIP"), Info("osImage"), Info("kernelVersion"), Info("containerRuntimeVersion"),
        ];
    }

    private static JsonNode?[] ServiceCells(JsonObject o, DateTimeOffset now)
    {
        string type = o.TextAt("spec", "type");
        string balancer = string.Join(",", o.Items("status", "loadBalancer", "ingress").Select(i => i.TextAt("ip") is { Length: > 0 } ip ? ip : i.TextAt("hostname")));
        string own = string.Join(",", o.Texts("spec", "externalIPs"));
        string external = type switch
        {
            "LoadBalancer" => own.Length > 0 ? (balancer.Length > 0 ? $"{balancer},{own}" : own) : balancer.Length > 0 ? balancer : "<pending>",
            "ExternalName" => o.TextAt("spec", "externalName"),
            _ => OrNone(own),
        };
        string ports = string.Join(",", o.Items("spec", "ports").Select(p => p.NumberAt("nodePort") > 0
            ? $"{p.NumberAt("port")}:{p.NumberAt("nodePort")}/{p.TextAt("protocol")}" : $"{p.NumberAt("port")}/{p.TextAt("protocol")}"));
        return [Name(o), type, OrNone(o.TextAt("spec", "clusterIP")), external, OrNone(ports), Age(o, now), OrNone(Labels(o.At("spec", "selector")))];
    }

    private static JsonNode?[] EventCells(JsonObject o, DateTimeOffset now)
    {
        JsonNode? about = o["involvedObject"] ?? o["regarding"];
        JsonNode? first = o["firstTimestamp"] ?? o["deprecatedFirstTimestamp"] ?? o["eventTime"];
        JsonNode? last = o.At("series", "lastObservedTime") ?? o["lastTimestamp"] ?? o["deprecatedLastTimestamp"] ?? first;
        JsonNode? source = o["source"] ?? o["deprecatedSource"];
        string reporter = source.TextAt("component") is { Length: > 0 } component ? component : o.TextAt("reportingComponent") + o.TextAt("reportingController");
        string where = source.TextAt("host") is { Length: > 0 } host ? $"{reporter}, {host}" : reporter;
        long count = Math.Max(1, Math.Max(o.NumberAt("series", "count"), o.NumberAt("count") + o.NumberAt("deprecatedCount")));
        string message = o.TextAt("message") + o.TextAt("note");
        return
        [
            Durations.Since(last, now), o.TextAt("type"), o.TextAt("reason"), $"{about.TextAt("kind").ToLowerInvariant()}/{about.TextAt("name")}",
            about.TextAt("fieldPath"), where, message.Trim(), Durations.Since(first, now), count, Name(o),
        ];
    }

    private static string EndpointsOf(JsonObject o) => Shorten(o.Items("subsets").SelectMany(s => s.Items("addresses").SelectMany(a =>
        s.Items("ports").Any() ? s.Items("ports").Select(p => $"{a.TextAt("ip")}:{p.TextAt("port")}") : [a.TextAt("ip")])));

    private static string Shorten(IEnumerable<string> texts)
    {
        string[] all = [.. texts];
        return all.Length == 0 ? "<none>" : all.Length <= 3 ? string.Join(",", all) : $"{string.Join(",", all[..3])} + {all.Length - 3} more...";
    }

    private static string Hosts(JsonObject o)
    {
        string[] hosts = [.. o.Items("spec", "rules").Select(r => r.TextAt("host")).Where(h => h.Length > 0)];
        return hosts.Length == 0 ? "*" : hosts.Length <= 3 ? string.Join(",", hosts) : $"{string.Join(",", hosts[..3])} + {hosts.Length - 3} more...";
    }

    private static string Modes(IEnumerable<string> modes) => string.Join(",", modes.Select(m => m switch
    {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => m,
    }));

    private static string Targets(JsonObject o)
    {
        JsonObject[] current = [.. o.Items("status", "currentMetrics")];
        IEnumerable<string> targets = o.Items("spec", "metrics").Select((metric, i) =>
        {
            string source = metric.TextAt("type") is "Resource" ? "resource" : metric.TextAt("type").ToLowerInvariant();
            JsonNode? wanted = metric.At(source, "target");
            JsonNode? seen = i < current.Length ? current[i].At(source, "current") : null;
            return wanted.At("averageUtilization") is not null
                ? $"{metric.TextAt(source, "name")}: {(seen.At("averageUtilization") is null ? "<unknown>" : seen.TextAt("averageUtilization") + "%")}/{wanted.TextAt("averageUtilization")}%"
                : $"{metric.TextAt(source, "name")}: {(seen is null ? "<unknown>" : seen.TextAt("averageValue"))}/{wanted.TextAt("averageValue")}";
        });
        return string.Join(", ", targets) is { Length: > 0 } text ? text : "<none>";
    }

    private static JsonNode?[] BindingCells(JsonObject o, DateTimeOffset now)
    {
        string Of(string kind) => string.Join(", ", o.Items("subjects").Where(s => s.TextAt("kind") == kind)
            .Select(s => kind == "ServiceAccount" ? $"{s.TextAt("namespace")}/{s.TextAt("name")}" : s.TextAt("name")));
        return [Name(o), $"{o.TextAt("roleRef", "kind")}/{o.TextAt("roleRef", "name")}", Age(o, now), Of("User"), Of("Group"), Of("ServiceAccount")];
    }

    private static string Quota(JsonObject o, bool limits) => string.Join(", ", (o.At("status", "hard") as JsonObject ?? [])
        .Where(h => h.Key.StartsWith("limits.", StringComparison.Ordinal) == limits)
        .OrderBy(h => h.Key, StringComparer.Ordinal)
        .Select(h => string.Create(CultureInfo.InvariantCulture, $"{h.Key}: {(o.TextAt("status", "used", h.Key) is { Length: > 0 } used ? used : "0")}/{h.Value.TextAt()}")));
}
