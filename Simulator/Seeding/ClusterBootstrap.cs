using System.Text.Json.Nodes;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Seeding;

/// <summary>What every fresh cluster holds: its namespaces, the bootstrap roles, the <c>kubernetes</c> service.</summary>
internal static class ClusterBootstrap
{
    private const string Manager = "kube-apiserver";

    private static readonly string[] ReadVerbs = ["get", "list", "watch"];

    private static readonly string[] AllVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

    private static readonly (string Group, string[] Resources)[] Viewable =
    [
        ("", ["configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods", "replicationcontrollers",
            "replicationcontrollers/scale", "serviceaccounts", "services", "services/status"]),
        ("", ["bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status", "replicationcontrollers/status", "resourcequotas",
            "resourcequotas/status"]),
        ("", ["namespaces"]),
        ("discovery.k8s.io", ["endpointslices"]),
        ("apps", ["controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "replicasets",
            "replicasets/scale", "replicasets/status", "statefulsets", "statefulsets/scale", "statefulsets/status"]),
        ("autoscaling", ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
        ("batch", ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
        ("extensions", ["daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "ingresses", "ingresses/status",
            "networkpolicies", "replicasets", "replicasets/scale", "replicasets/status", "replicationcontrollers/scale"]),
        ("policy", ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
        ("networking.k8s.io", ["ingresses", "ingresses/status", "networkpolicies"]),
    ];

    public static void Run(ObjectRegistry registry, bool withAccounts)
    {
        foreach (string ns in (string[])["default", "kube-node-lease", "kube-public", "kube-system"])
        {
            Create(registry, ResourceName.Namespaces, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = ns } });
            if (withAccounts)
            {
                // Housekeeping would make it a moment later; whoever seeds pods right after the start must not race it.
                Create(registry, ResourceName.ServiceAccounts, ns, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "default", ["namespace"] = ns } });
            }
        }

        CreateRoles(registry);
        CreateBindings(registry);
        Create(registry, ResourceName.Services, "default", new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = "kubernetes",
                ["labels"] = new JsonObject { ["component"] = "apiserver", ["provider"] = "kubernetes" },
            },
            ["spec"] = new JsonObject
            {
                ["clusterIP"] = "10.96.0.1",
                ["ports"] = new JsonArray(new JsonObject { ["name"] = "https", ["port"] = 443, ["targetPort"] = 6443 }),
            },
        });
    }

    private static void CreateRoles(ObjectRegistry registry)
    {
        Role(registry, "cluster-admin", Rule(["*"], "*", ["*"]), Paths(["*"], "*"));
        JsonObject[] view = [.. Viewable.Select(v => Rule(ReadVerbs, v.Group, v.Resources))];
        JsonObject[] edit =
        [
            .. Viewable.Select(v => Rule(AllVerbs, v.Group, [.. v.Resources.Where(r => r is not ("namespaces" or "bindings") && !r.EndsWith("/status", StringComparison.Ordinal))])),
            Rule(AllVerbs, "", ["secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/eviction", "pods/proxy", "services/proxy", "serviceaccounts/token"]),
            Rule(ReadVerbs, "", ["namespaces"]),
        ];
        Role(registry, "view", [.. view.Select(r => (JsonObject)r.DeepClone())]);
        Role(registry, "edit", [.. edit.Select(r => (JsonObject)r.DeepClone()), .. view.Select(r => (JsonObject)r.DeepClone())]);
        Role(registry, "admin", [.. edit, .. view, Rule(AllVerbs, "rbac.authorization.k8s.io", ["roles", "rolebindings"]), Rule(["create"], "authorization.k8s.io", ["localsubjectaccessreviews"])]);
        Role(registry, "nodes-view", Rule(ReadVerbs, "", ["nodes"]));
        Role(
            registry, "system:basic-user",
            Rule(["create"], "authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]), Rule(["create"], "authentication.k8s.io", ["selfsubjectreviews"]));
        Role(registry, "system:discovery", Paths(
            ["get"], "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"));
        Role(registry, "system:public-info-viewer", Paths(["get"], "/healthz", "/livez", "/readyz", "/version", "/version/"));
    }

    private static void CreateBindings(ObjectRegistry registry)
    {
        Bind(registry, "cluster-admin", "cluster-admin", "system:masters");
        Bind(registry, "nodes-view", "nodes-view", "readers");
        Bind(registry, "readers-view", "view", "readers");
        Bind(registry, "system:basic-user", "system:basic-user", "system:authenticated");
        Bind(registry, "system:discovery", "system:discovery", "system:authenticated");
        Bind(registry, "system:public-info-viewer", "system:public-info-viewer", "system:authenticated", "system:unauthenticated");
    }

    private static void Role(ObjectRegistry registry, string name, params JsonObject[] rules) =>
        Create(registry, new ResourceName("rbac.authorization.k8s.io", "clusterroles"), "", new JsonObject
        {
            ["metadata"] = Bootstrapping(name),
            ["rules"] = new JsonArray([.. rules]),
        });

    private static void Bind(ObjectRegistry registry, string name, string role, params string[] groups) =>
        Create(registry, new ResourceName("rbac.authorization.k8s.io", "clusterrolebindings"), "", new JsonObject
        {
            ["metadata"] = Bootstrapping(name),
            ["subjects"] = new JsonArray([.. groups.Select(g => (JsonNode)new JsonObject
            {
                ["kind"] = "Group",
                ["apiGroup"] = "rbac.authorization.k8s.io",
                ["name"] = g,
            })]),
            ["roleRef"] = new JsonObject { ["apiGroup"] = "rbac.authorization.k8s.io", ["kind"] = "ClusterRole", ["name"] = role },
        });

    private static JsonObject Bootstrapping(string name) => new()
    {
        ["name"] = name,
        ["labels"] = new JsonObject { ["kubernetes.io/bootstrapping"] = "rbac-defaults" },
    };

    private static JsonObject Rule(string[] verbs, string group, string[] resources) => new()
    {
        ["verbs"] = Texts(verbs),
        ["apiGroups"] = Texts([group]),
        ["resources"] = Texts(resources),
    };

    private static JsonObject Paths(string[] verbs, params string[] paths) => new() { ["verbs"] = Texts(verbs), ["nonResourceURLs"] = Texts(paths) };

    private static JsonArray Texts(string[] texts) => new([.. texts.Select(t => (JsonNode)t)]);

    private static void Create(ObjectRegistry registry, ResourceName resource, string ns, JsonObject tree) =>
        registry.Create(registry.Catalog.Stored(resource)!, ns, tree, new WriteOptions(Manager));
}
