using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Admission;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Patching;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Storage;

/// <summary>The rules of writing: names, defaults, validation, conflicts, bookkeeping in metadata, deletion.</summary>
/// <remarks>
/// Thread-safe; every call is one transaction of the store. Trees that come in and go out are in the storage version and without
/// kind and apiVersion; those that come in are consumed.
/// </remarks>
internal sealed partial class ObjectRegistry(ClusterStore store, TimeProvider time, IdSource ids, IFieldTracker tracker)
{
    private static readonly string[] KeptFromLive = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"];

    private volatile ApiCatalog _catalog = ApiCatalog.BuiltIn;

    /// <summary>What is served now.</summary>
    public ApiCatalog Catalog
    {
        get => _catalog;
        set => _catalog = value;
    }

    public ClusterStore Store => store;

    public TimeProvider Time => time;

    public IdSource Ids => ids;

    /// <summary>The time as metadata has it: whole seconds, UTC.</summary>
    public string Now => Timestamp(time.GetUtcNow());

    public static string Timestamp(DateTimeOffset moment) => moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>The object.</summary>
    /// <exception cref="StatusException">404.</exception>
    public StoredObject Get(ApiResource resource, string ns, string name) =>
        store.Find(resource.Storage, ns, name) ?? throw Refusal.NotFound(resource, name);

    /// <summary>Creates an object and returns what was stored.</summary>
    public JsonObject Create(ApiResource resource, string ns, JsonObject tree, WriteOptions options) => store.Transaction(() =>
    {
        JsonObject metadata = tree.Section("metadata");
        CheckNamespaceOfBody(resource, ns, metadata);
        if (resource.Namespaced)
        {
            metadata["namespace"] = ns;
        }

        if (!string.IsNullOrEmpty(metadata.Text("resourceVersion")))
        {
            throw new StatusException(500, null, "resourceVersion should not be set on objects to be created");
        }

        string name = NameFor(resource, metadata);
        CheckNamespaceLives(resource, ns, name);
        foreach (string key in (string[])["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"])
        {
            metadata.Remove(key);
        }

        metadata["uid"] = ids.Uid();
        metadata["creationTimestamp"] = Now;
        var sent = (JsonObject)tree.DeepClone();
        var context = new AdmissionContext(resource, this, options.Warn);
        if (resource.Custom is null ? KindRules.HasGeneration(resource.Storage) : true)
        {
            metadata["generation"] = 1;
        }

        KindRules.PrepareForCreate(context, tree);
        tree = InStoredOrder(resource, tree);
        KindRules.Validate(context, tree, null);
        if (store.Find(resource.Storage, ns, name) is not null)
        {
            throw Refusal.AlreadyExists(resource, name);
        }

        if (!options.IsApply)
        {
            JsonObject owned = ServerAssigned.Without(resource, tree, sent);
            tracker.Track(resource, null, owned, options.Manager, options.Subresource, Now);
            if (owned.At("metadata", "managedFields") is { } managed)
            {
                tree.Section("metadata")["managedFields"] = managed.DeepClone();
            }
        }

        if (options.DryRun)
        {
            return tree;
        }

        return store.Put(resource.Storage, InStoredOrder(resource, tree)).ToTree();
    });

    /// <summary>Replaces an object and returns what is stored then.</summary>
    /// <param name="resource">What it is.</param>
    /// <param name="ns">Namespace; empty for cluster scope.</param>
    /// <param name="name">Name.</param>
    /// <param name="change">Makes the new object from a copy of the stored one, inside the transaction.</param>
    /// <param name="options">How.</param>
    public JsonObject Update(ApiResource resource, string ns, string name, Func<JsonObject, JsonObject> change, WriteOptions options) => store.Transaction(() =>
    {
        StoredObject stored = Get(resource, ns, name);
        JsonObject live = stored.ToTree();
        JsonObject tree = change((JsonObject)live.DeepClone());
        JsonObject metadata = tree.Section("metadata");
        CheckNamespaceOfBody(resource, ns, metadata);
        CheckIdentity(resource, name, live, metadata, options);
        if (resource.Namespaced)
        {
            metadata["namespace"] = ns;
        }

        CarryOver(resource, live, tree, options);
        metadata = tree.Section("metadata");
        var context = new AdmissionContext(resource, this, options.Warn);
        KindRules.PrepareForUpdate(context, tree, live, options.Subresource);
        tree = InStoredOrder(resource, tree);
        metadata = tree.Section("metadata");
        CheckFinalizers(resource, name, live, metadata);
        KindRules.Validate(context, tree, live);
        if (SpecChanged(resource, live, tree, options))
        {
            metadata["generation"] = (live.Number("metadata", "generation") ?? 0) + 1;
        }

        // Before ownership is looked at: what tracking would only write in another order is no change.
        metadata["resourceVersion"] = live.Text("metadata", "resourceVersion");
        if (SameButForTimes(tree, live))
        {
            return live;
        }

        if (!options.IsApply)
        {
            tracker.Track(resource, live, tree, options.Manager, options.Subresource, Now);
        }

        metadata["resourceVersion"] = live.Text("metadata", "resourceVersion");
        tree = InStoredOrder(resource, tree);
        if (SameButForTimes(tree, live))
        {
            return live;
        }

        if (options.DryRun)
        {
            return tree;
        }

        return FinishIfUnheld(resource, stored, live, tree) ? tree : store.Put(resource.Storage, tree).ToTree();
    });

    /// <summary>Checks the faults of a namespace in a body against that of the request.</summary>
    private static void CheckNamespaceOfBody(ApiResource resource, string ns, JsonObject metadata)
    {
        string? given = metadata.Text("namespace");
        if (!resource.Namespaced)
        {
            metadata.Remove("namespace");
        }

        if (!string.IsNullOrEmpty(given) && given != ns && resource.Namespaced)
        {
            throw Refusal.BadRequest("the namespace of the provided object does not match the namespace sent on the request");
        }
    }

    private string NameFor(ApiResource resource, JsonObject metadata)
    {
        string? name = metadata.Text("name");
        if (string.IsNullOrEmpty(name))
        {
            string? prefix = metadata.Text("generateName");
            if (string.IsNullOrEmpty(prefix))
            {
                throw Refusal.Invalid(resource, "", FieldCause.Required("metadata.name", "name or generateName is required"));
            }

            name = prefix + ids.Suffix();
            metadata["name"] = name;
        }

        if (KindRules.NameFault(resource, name) is { } fault)
        {
            throw Refusal.Invalid(resource, name, FieldCause.Invalid("metadata.name", $"\"{name}\"", fault));
        }

        return name;
    }

    private void CheckNamespaceLives(ApiResource resource, string ns, string name)
    {
        if (!resource.Namespaced)
        {
            return;
        }

        ApiResource namespaces = _catalog.Stored(ResourceName.Namespaces)!;
        StoredObject owner = store.Find(ResourceName.Namespaces, "", ns) ?? throw Refusal.NotFound(namespaces, ns);
        if (owner.Field(["status", "phase"]) == "Terminating")
        {
            throw Refusal.Forbidden(resource, name, $"unable to create new content in namespace {ns} because it is being terminated", [new JsonObject
            {
                ["reason"] = "NamespaceTerminating",
                ["message"] = $"namespace {ns} is being terminated",
                ["field"] = "metadata.namespace",
            }]);
        }
    }

    private static void CheckIdentity(ApiResource resource, string name, JsonObject live, JsonObject metadata, WriteOptions options)
    {
        string? given = metadata.Text("name");
        if (string.IsNullOrEmpty(given))
        {
            metadata["name"] = given = name;
        }

        if (given != name)
        {
            throw Refusal.BadRequest($"the name of the object ({given}) does not match the name on the URL ({name})");
        }

        string revision = live.Text("metadata", "resourceVersion")!;
        string? asked = metadata.Text("resourceVersion");
        if (string.IsNullOrEmpty(asked) || asked == "0")
        {
            if (resource.Custom is not null && !options.IsPatch)
            {
                throw Refusal.Invalid(resource.Group, resource.Plural, name, FieldCause.Invalid("metadata.resourceVersion", "0x0", "must be specified for an update"));
            }
        }

        string uid = live.Text("metadata", "uid")!;
        if (metadata.Text("uid") is { Length: > 0 } askedUid && askedUid != uid)
        {
            string key = $"/registry/{resource.Plural}/{(resource.Namespaced ? live.Text("metadata", "namespace") + "/" : "")}{name}";
            throw Refusal.Conflict(
                resource, name,
                $"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
                + $"UID in precondition: {askedUid}, UID in object meta: {uid}");
        }

        if (!string.IsNullOrEmpty(asked) && asked != "0" && asked != revision)
        {
            throw Refusal.Modified(resource, name);
        }
    }

    /// <summary>Keeps what a client cannot change, and what this endpoint does not write.</summary>
    private static void CarryOver(ApiResource resource, JsonObject live, JsonObject tree, WriteOptions options)
    {
        JsonObject liveMetadata = live["metadata"]!.AsObject();
        JsonObject metadata = tree.Section("metadata");
        foreach (string key in KeptFromLive)
        {
            metadata.Remove(key);
            if (liveMetadata[key] is { } value)
            {
                metadata[key] = value.DeepClone();
            }
        }

        if (metadata["managedFields"] is null && liveMetadata["managedFields"] is { } managed)
        {
            metadata["managedFields"] = managed.DeepClone();
        }

        bool statusApart = resource.Custom?.HasStatus ?? resource.Subresources.Any(s => s.Name == "status");
        if (options.Subresource == "status")
        {
            JsonNode? managedNow = metadata["managedFields"]?.DeepClone();

            // The deployment controller writes the revision annotation together with the status, and the real server lets it.
            JsonNode? annotations = resource.Storage == ResourceName.Deployments ? metadata["annotations"]?.DeepClone() : null;
            foreach (string key in tree.Select(p => p.Key).Where(k => k != "status").ToArray())
            {
                tree.Remove(key);
            }

            foreach ((string key, JsonNode? value) in live)
            {
                if (key != "status")
                {
                    tree[key] = value?.DeepClone();
                }
            }

            tree.Section("metadata")["managedFields"] = managedNow;
            if (annotations is not null)
            {
                tree.Section("metadata")["annotations"] = annotations;
            }
        }
        else if (statusApart && options.Subresource is "")
        {
            tree.Remove("status");
            if (live["status"] is { } status)
            {
                tree["status"] = status.DeepClone();
            }
        }
    }

    private static void CheckFinalizers(ApiResource resource, string name, JsonObject live, JsonObject metadata)
    {
        if (live.At("metadata", "deletionTimestamp") is null)
        {
            return;
        }

        string[] before = Texts(live.At("metadata", "finalizers"));
        string[] added = [.. Texts(metadata["finalizers"]).Except(before, StringComparer.Ordinal)];
        if (added.Length > 0)
        {
            FieldCause cause = FieldCause.Forbidden(
                "metadata.finalizers",
                $"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{string.Join(", ", added.Select(a => $"\"{a}\""))}}}");

            // The real server validates metadata twice and says it twice.
            throw Refusal.Invalid(resource, name, cause, cause);
        }
    }

    private static bool SpecChanged(ApiResource resource, JsonObject live, JsonObject tree, WriteOptions options)
    {
        if (options.Subresource == "status")
        {
            return false;
        }

        if (resource.Custom is { } custom)
        {
            return tree.Select(p => p.Key).Union(live.Select(p => p.Key), StringComparer.Ordinal)
                .Where(k => k != "metadata" && (k != "status" || !custom.HasStatus))
                .Any(k => !JsonTree.Same(tree[k], live[k]));
        }

        return KindRules.HasGeneration(resource.Storage) && !JsonTree.Same(tree["spec"], live["spec"]);
    }

    /// <summary>Removes an object whose deletion waited for nothing but this update.</summary>
    private bool FinishIfUnheld(ApiResource resource, StoredObject stored, JsonObject live, JsonObject tree)
    {
        bool held = tree.At("metadata", "deletionTimestamp") is null
            || tree.At("metadata", "finalizers") is JsonArray { Count: > 0 }
            || tree.At("spec", "finalizers") is JsonArray { Count: > 0 } && resource.Storage == ResourceName.Namespaces
            || (live.Number("metadata", "deletionGracePeriodSeconds") ?? 0) > 0;
        if (!held)
        {
            store.Remove(resource.Storage, stored);
        }

        return !held;
    }

    /// <summary>Whether two states differ in nothing but the times in managedFields.</summary>
    private static bool SameButForTimes(JsonObject tree, JsonObject live)
    {
        return JsonTree.Same(Without(tree), Without(live));

        static JsonObject Without(JsonObject obj)
        {
            var copy = (JsonObject)obj.DeepClone();
            foreach (JsonObject entry in (copy.At("metadata", "managedFields") as JsonArray ?? []).OfType<JsonObject>())
            {
                entry.Remove("time");
            }

            return copy;
        }
    }

    private static JsonObject InStoredOrder(ApiResource resource, JsonObject tree)
    {
        tree.Remove("kind");
        tree.Remove("apiVersion");
        if (resource.Custom is not null)
        {
            return (JsonObject)JsonTree.Sorted(tree)!;
        }

        tree = JsonTree.InBuiltInOrder(tree);
        if (SchemaCatalog.BuiltIn.TryFind(resource.Group, resource.Kind, out SchemaNode? schema))
        {
            FieldWalker.FillZero(tree, schema);
        }

        return tree;
    }

    private static string[] Texts(JsonNode? node) => node is JsonArray array ? [.. array.Select(n => n!.GetValue<string>())] : [];

}
