using System.Text.Json.Nodes;
using MultiCluster.Simulator.Admission;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Storage;

/// <summary>What a delete did.</summary>
/// <param name="Object">The object as it is now, or as it was.</param>
/// <param name="Gone">It is gone for good.</param>
internal readonly record struct Deletion(JsonObject Object, bool Gone);

/// <content>Deletion: preconditions, finalizers, grace periods, namespaces.</content>
internal sealed partial class ObjectRegistry
{
    private const string ForegroundFinalizer = "foregroundDeletion";
    private const string OrphanFinalizer = "orphan";
    private const string CleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

    /// <summary>Deletes an object, or marks it where something still holds it.</summary>
    public Deletion Delete(ApiResource resource, string ns, string name, DeleteRequest request) => store.Transaction(() =>
    {
        StoredObject stored = Get(resource, ns, name);
        JsonObject tree = stored.ToTree();
        CheckPreconditions(resource, name, tree, request);
        KindRules.CheckDeletion(resource, name);
        if (resource.Storage == ResourceName.Namespaces)
        {
            return DeleteNamespace(resource, stored, tree, request);
        }

        JsonObject metadata = tree["metadata"]!.AsObject();
        bool deleting = metadata["deletionTimestamp"] is not null;
        long grace = GraceOf(resource, tree, request);
        bool changed = AddFinalizer(resource, tree, request);
        bool held = metadata["finalizers"] is JsonArray { Count: > 0 } || grace > 0;
        if (!held)
        {
            if (resource.Storage == ResourceName.Pods)
            {
                metadata["deletionTimestamp"] = Now;
                metadata["deletionGracePeriodSeconds"] = 0;
                tree = InStoredOrder(resource, tree);
            }

            if (!request.DryRun)
            {
                store.Remove(resource.Storage, stored);
            }

            return new Deletion(tree, true);
        }

        long before = metadata.Number("deletionGracePeriodSeconds") ?? long.MaxValue;
        if (!deleting || (resource.Storage == ResourceName.Pods && grace < before))
        {
            metadata["deletionTimestamp"] = Timestamp(time.GetUtcNow().AddSeconds(grace));

            // CRDs wait for their finalizer through an older path that sets no grace period and counts no generation.
            if (resource.Storage == ResourceName.CustomResourceDefinitions)
            {
                MarkTerminating(tree);
            }
            else
            {
                metadata["deletionGracePeriodSeconds"] = grace;
                if (metadata.Number("generation") is { } generation)
                {
                    metadata["generation"] = generation + 1;
                }
            }

            changed = true;
        }

        if (changed && !request.DryRun)
        {
            tree = store.Put(resource.Storage, InStoredOrder(resource, tree)).ToTree();
        }

        return new Deletion(tree, false);
    });

    private void MarkTerminating(JsonObject definition)
    {
        JsonObject status = definition.Section("status");
        JsonArray conditions = [.. (status["conditions"] as JsonArray ?? []).Where(c => c.Text("type") != "Terminating").Select(c => c!.DeepClone())];
        conditions.Add(new JsonObject
        {
            ["type"] = "Terminating",
            ["status"] = "True",
            ["lastTransitionTime"] = Now,
            ["reason"] = "InstanceDeletionPending",
            ["message"] = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        });
        status["conditions"] = conditions;
    }

    /// <summary>Takes a finalizer off and removes the object when it was the last thing that held it.</summary>
    public void RemoveFinalizer(ApiResource resource, string ns, string name, string finalizer) => store.Transaction(() =>
    {
        if (store.Find(resource.Storage, ns, name) is { } stored)
        {
            JsonObject live = stored.ToTree();
            var tree = (JsonObject)live.DeepClone();
            JsonObject metadata = tree.Section("metadata");
            string[] left = [.. Texts(metadata["finalizers"]).Where(f => f != finalizer)];
            metadata.Remove("finalizers");
            if (left.Length > 0)
            {
                metadata["finalizers"] = new JsonArray([.. left.Select(f => (JsonNode)f)]);
            }

            tree = InStoredOrder(resource, tree);
            if (!FinishIfUnheld(resource, stored, live, tree) && !JsonTree.Same(tree, live))
            {
                store.Put(resource.Storage, tree);
            }
        }

        return 0;
    });

    private static void CheckPreconditions(ApiResource resource, string name, JsonObject tree, DeleteRequest request)
    {
        string uid = tree.Text("metadata", "uid") ?? "";
        if (request.RequiredUid is { } wantedUid && wantedUid != uid)
        {
            throw Refusal.ConflictOf(
                resource.Kind, name,
                $"the UID in the precondition ({wantedUid}) does not match the UID in record ({uid}). The object might have been deleted and then recreated");
        }

        string revision = tree.Text("metadata", "resourceVersion") ?? "";
        if (request.RequiredRevision is { } wanted && wanted != revision)
        {
            throw Refusal.ConflictOf(
                resource.Kind, name,
                $"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({revision}). The object might have been modified");
        }
    }

    private Deletion DeleteNamespace(ApiResource resource, StoredObject stored, JsonObject tree, DeleteRequest request)
    {
        JsonObject metadata = tree["metadata"]!.AsObject();
        if (metadata["deletionTimestamp"] is not null)
        {
            return new Deletion(tree, false);
        }

        if (tree.At("spec", "finalizers") is not JsonArray { Count: > 0 })
        {
            if (!request.DryRun)
            {
                store.Remove(resource.Storage, stored);
            }

            return new Deletion(tree, true);
        }

        metadata["deletionTimestamp"] = Now;
        tree.Section("status")["phase"] = "Terminating";
        return new Deletion(request.DryRun ? tree : store.Put(resource.Storage, InStoredOrder(resource, tree)).ToTree(), false);
    }

    /// <summary>Seconds that a pod keeps after its deletion: only a bound, unfinished one has a kubelet to wait for.</summary>
    private static long GraceOf(ApiResource resource, JsonObject tree, DeleteRequest request)
    {
        if (resource.Storage != ResourceName.Pods || string.IsNullOrEmpty(tree.Text("spec", "nodeName"))
            || tree.Text("status", "phase") is "Succeeded" or "Failed")
        {
            return 0;
        }

        long grace = request.GracePeriodSeconds ?? tree.Number("spec", "terminationGracePeriodSeconds") ?? 30;

        // A deletion that is under way can only be shortened.
        return Math.Max(0, Math.Min(grace, tree.Number("metadata", "deletionGracePeriodSeconds") ?? long.MaxValue));
    }

    private static bool AddFinalizer(ApiResource resource, JsonObject tree, DeleteRequest request)
    {
        JsonObject metadata = tree["metadata"]!.AsObject();
        string[] before = Texts(metadata["finalizers"]);
        Propagation propagation = request.Propagation ?? DefaultOf(resource, before, request);
        string? wanted = propagation switch
        {
            Propagation.Foreground => ForegroundFinalizer,
            Propagation.Orphan => OrphanFinalizer,
            _ => null,
        };
        List<string> after = [.. before.Where(f => f is not (ForegroundFinalizer or OrphanFinalizer))];
        if (wanted is not null)
        {
            after.Add(wanted);
        }

        if (resource.Storage == ResourceName.CustomResourceDefinitions && metadata["deletionTimestamp"] is null && !after.Contains(CleanupFinalizer))
        {
            // Its objects go first.
            after.Add(CleanupFinalizer);
        }

        if (after.Order(StringComparer.Ordinal).SequenceEqual(before.Order(StringComparer.Ordinal), StringComparer.Ordinal))
        {
            return false;
        }

        metadata.Remove("finalizers");
        if (after.Count > 0)
        {
            metadata["finalizers"] = new JsonArray([.. after.Select(f => (JsonNode)f)]);
        }

        return true;
    }

    private static Propagation DefaultOf(ApiResource resource, string[] finalizers, DeleteRequest request)
    {
        if (finalizers.Contains(ForegroundFinalizer))
        {
            return Propagation.Foreground;
        }

        if (finalizers.Contains(OrphanFinalizer))
        {
            return Propagation.Orphan;
        }

        if (resource.Storage != ResourceName.Jobs)
        {
            return Propagation.Background;
        }

        request.Warn?.Invoke(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or "
            + "set propagationPolicy=Orphan to suppress this warning");
        return Propagation.Orphan;
    }
}
