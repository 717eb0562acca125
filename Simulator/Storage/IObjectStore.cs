using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Storage;

/// <summary>Names one resource as it is stored: <c>("apps", "deployments")</c>, <c>("", "pods")</c>.</summary>
/// <param name="Group">API group; empty for the core group.</param>
/// <param name="Plural">Name in the URL.</param>
internal readonly record struct ResourceName(string Group, string Plural)
{
    /// <summary><c>deployments.apps</c>, or <c>pods</c> in the core group, as messages of the API server say it.</summary>
    public override string ToString() => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    public static readonly ResourceName Pods = new("", "pods");
    public static readonly ResourceName Nodes = new("", "nodes");
    public static readonly ResourceName Namespaces = new("", "namespaces");
    public static readonly ResourceName Events = new("", "events");
    public static readonly ResourceName ServiceAccounts = new("", "serviceaccounts");
    public static readonly ResourceName ConfigMaps = new("", "configmaps");
    public static readonly ResourceName Services = new("", "services");
    public static readonly ResourceName Endpoints = new("", "endpoints");
    public static readonly ResourceName Deployments = new("apps", "deployments");
    public static readonly ResourceName ReplicaSets = new("apps", "replicasets");
    public static readonly ResourceName StatefulSets = new("apps", "statefulsets");
    public static readonly ResourceName DaemonSets = new("apps", "daemonsets");
    public static readonly ResourceName Jobs = new("batch", "jobs");
    public static readonly ResourceName CronJobs = new("batch", "cronjobs");
    public static readonly ResourceName Leases = new("coordination.k8s.io", "leases");
    public static readonly ResourceName PodDisruptionBudgets = new("policy", "poddisruptionbudgets");
    public static readonly ResourceName CustomResourceDefinitions = new("apiextensions.k8s.io", "customresourcedefinitions");
}

/// <summary>What happened to an object.</summary>
internal enum ObjectChange { Added, Modified, Deleted }

/// <summary>One change of one object; <see cref="Object"/> is a fresh copy that the receiver may edit.</summary>
internal readonly record struct ObjectEvent(ObjectChange Change, JsonObject Object);

/// <summary>The store of one simulated cluster as its controllers see it: the same rules as over HTTP, without HTTP.</summary>
/// <remarks>
/// Thread-safe; every call is atomic and none blocks. Objects always carry <c>kind</c> and <c>apiVersion</c>, are in the storage
/// version, and every returned one is a copy. Refusals are thrown as <see cref="StatusException"/> exactly as a client would see
/// them (404, 409 on a stale <c>metadata.resourceVersion</c>, 422 …). Writes that change nothing make no revision and no event.
/// Objects that were seeded in bulk and never changed since are left out of <see cref="List"/> and of the first events of
/// <see cref="WatchAsync"/>: a hundred thousand of them are scenery, and controllers have nothing to do for them.
/// </remarks>
internal interface IObjectStore
{
    /// <summary>The clock of the cluster; controllers take time from nowhere else.</summary>
    TimeProvider Time { get; }

    /// <summary>The object, or null.</summary>
    JsonObject? Get(ResourceName resource, string? ns, string name);

    /// <summary>All objects in key order.</summary>
    /// <param name="resource">What to list.</param>
    /// <param name="ns">Namespace; null for all.</param>
    /// <param name="labelSelector">In the form of the URL parameter; null for all.</param>
    IReadOnlyList<JsonObject> List(ResourceName resource, string? ns = null, string? labelSelector = null);

    /// <summary>Creates it (defaults, validation, namespace check as over HTTP) and returns what was stored.</summary>
    /// <param name="resource">What to create.</param>
    /// <param name="obj">The object; namespace and name (or generateName) from its metadata.</param>
    /// <param name="manager">Field manager for managedFields.</param>
    JsonObject Create(ResourceName resource, JsonObject obj, string manager = "kube-controller-manager");

    /// <summary>Replaces it; conflicts when <c>metadata.resourceVersion</c> is given and stale.</summary>
    /// <param name="resource">What to update.</param>
    /// <param name="obj">The whole new object.</param>
    /// <param name="subresource"><c>status</c> to change only the status, empty for everything else.</param>
    /// <param name="manager">Field manager for managedFields.</param>
    JsonObject Update(ResourceName resource, JsonObject obj, string subresource = "", string manager = "kube-controller-manager");

    /// <summary>Binds a pod to a node, as the binding subresource does: without a trace in managedFields.</summary>
    /// <param name="ns">Namespace of the pod.</param>
    /// <param name="pod">Name of the pod.</param>
    /// <param name="node">Name of the node.</param>
    /// <exception cref="StatusException">404, or 409 when it is bound already.</exception>
    JsonObject Bind(string ns, string pod, string node);

    /// <summary>Deletes it; returns false when there is none.</summary>
    /// <param name="resource">What to delete.</param>
    /// <param name="ns">Namespace; null for cluster scope.</param>
    /// <param name="name">Name.</param>
    /// <param name="gracePeriodSeconds">0 ends a bound pod at once, as its kubelet would; null for the default.</param>
    bool Delete(ResourceName resource, string? ns, string name, int? gracePeriodSeconds = null);

    /// <summary>Everything there is as <see cref="ObjectChange.Added"/>, then every change in order, until cancelled.</summary>
    /// <remarks>A reader that falls behind the kept history starts again with everything there is.</remarks>
    /// <param name="resource">What to watch.</param>
    /// <param name="waits">Told each time all that was written has been handed out, with what completes at the next change.</param>
    /// <param name="stop">Ends it.</param>
    IAsyncEnumerable<ObjectEvent> WatchAsync(ResourceName resource, Action<Task> waits, CancellationToken stop);
}
