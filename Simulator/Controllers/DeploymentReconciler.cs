using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Deployments: a replica set per template, scaled against each other at the pace of the strategy.</summary>
internal sealed class DeploymentReconciler : IReconciler
{
    private const string Component = "deployment-controller";
    private const string Revision = "deployment.kubernetes.io/revision";
    private const string Desired = "deployment.kubernetes.io/desired-replicas";
    private const string Max = "deployment.kubernetes.io/max-replicas";
    private const string HashLabel = "pod-template-hash";

    public ResourceName Resource => ResourceName.Deployments;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        List<JsonObject> sets = context.Cache.OwnedBy(ResourceName.ReplicaSets, obj);
        if (Selectors.IsEnding(obj))
        {
            WriteStatus(obj, sets, Current(obj, sets), context);
            return null;
        }

        JsonObject? current = Current(obj, sets);
        if (current is null && !obj.Flag("spec", "paused"))
        {
            current = CreateSet(obj, sets, context);
            if (current is null)
            {
                return null;
            }

            MarkCreated(obj, current, context);
            context.Enqueue(Resource, ObjectCache.KeyOf(obj));
            return null;
        }

        if (current is not null)
        {
            if (KeepRevision(obj, sets, current, context))
            {
                // The annotations moved; the next event of the deployment goes on.
                return null;
            }

            Scale(obj, sets, current, context);
            CleanUp(obj, sets, current, context);
        }

        sets = context.Cache.OwnedBy(ResourceName.ReplicaSets, obj);
        return WriteStatus(context.Cache.Get(Resource, ObjectCache.KeyOf(obj)) ?? obj, sets, Current(obj, sets), context);
    }

    /// <summary>The pod-template-hash of a template: FNV-1a, spelled without vowels as Kubernetes does.</summary>
    internal static string HashOf(JsonNode? template)
    {
        uint hash = 2166136261;
        foreach (byte b in Encoding.UTF8.GetBytes(Canonical(template)))
        {
            hash = unchecked((hash ^ b) * 16777619);
        }

        const string Alphabet = "bcdfghjklmnpqrstvwxz2456789";
        return string.Concat(hash.ToString(CultureInfo.InvariantCulture).Select(c => Alphabet[c % Alphabet.Length]));
    }

    private static JsonObject? Current(JsonObject deployment, List<JsonObject> sets)
    {
        string wanted = Canonical(deployment.At("spec", "template"));
        return sets.FirstOrDefault(s => Canonical(s.At("spec", "template")) == wanted);
    }

    // Equal templates have equal text whatever the order of their fields; the hash label is ours and does not count.
    private static string Canonical(JsonNode? template)
    {
        StringBuilder text = new();
        Write(template, "");
        return text.ToString();

        void Write(JsonNode? node, string path)
        {
            switch (node)
            {
                case JsonObject map:
                    foreach ((string key, JsonNode? value) in map.OrderBy(p => p.Key, StringComparer.Ordinal))
                    {
                        if (key != HashLabel && value is not null)
                        {
                            Write(value, $"{path}/{key}");
                        }
                    }

                    break;
                case JsonArray list:
                    for (int i = 0; i < list.Count; i++)
                    {
                        Write(list[i], $"{path}/{i}");
                    }

                    break;
                default:
                    text.Append(path).Append('=').Append(node?.ToJsonString()).Append(';');
                    break;
            }
        }
    }

    private static JsonObject? CreateSet(JsonObject deployment, List<JsonObject> sets, ControllerContext context)
    {
        string hash = HashOf(deployment.At("spec", "template"));
        var template = (JsonObject)deployment.At("spec", "template")!.DeepClone();
        JsonObject templateMetadata = template["metadata"] as JsonObject ?? [];
        JsonObject labels = templateMetadata["labels"]?.DeepClone() as JsonObject ?? [];
        labels[HashLabel] = hash;
        template["metadata"] = templateMetadata.DeepClone();
        template["metadata"]!["labels"] = labels;
        var selector = (JsonObject)(deployment.At("spec", "selector")?.DeepClone() ?? new JsonObject());
        JsonObject matchLabels = selector["matchLabels"]?.DeepClone() as JsonObject ?? [];
        matchLabels[HashLabel] = hash;
        selector["matchLabels"] = matchLabels;

        long desired = deployment.NumberAt("spec", "replicas");
        long surge = Surge(deployment, desired);
        bool recreate = deployment.TextAt("spec", "strategy", "type") == "Recreate";
        long old = sets.Sum(s => s.NumberAt("spec", "replicas"));
        long first = recreate ? (old == 0 ? desired : 0) : Math.Max(0, Math.Min(desired, desired + surge - old));
        JsonObject annotations = new() { [Desired] = Number(desired), [Max] = Number(desired + surge), [Revision] = Number(sets.Select(RevisionOf).DefaultIfEmpty(0).Max() + 1) };
        JsonObject set = new()
        {
            ["apiVersion"] = "apps/v1",
            ["kind"] = "ReplicaSet",
            ["metadata"] = new JsonObject
            {
                ["name"] = $"{deployment.TextAt("metadata", "name")}-{hash}",
                ["namespace"] = deployment.TextAt("metadata", "namespace"),
                ["labels"] = labels.DeepClone(),
                ["annotations"] = annotations,
                ["ownerReferences"] = new JsonArray(ControllerContext.OwnerReference(deployment)),
            },
            ["spec"] = new JsonObject { ["replicas"] = first, ["selector"] = selector, ["template"] = template },
        };
        if (deployment.NumberAt("spec", "minReadySeconds") is > 0 and var seconds)
        {
            set["spec"]!["minReadySeconds"] = seconds;
        }

        JsonObject created = context.Create(ResourceName.ReplicaSets, set);
        context.Events.Record(deployment, "Normal", "ScalingReplicaSet",
            $"Scaled up replica set {created.TextAt("metadata", "name")} from 0 to {first}", Component);
        return created;
    }

    private void MarkCreated(JsonObject deployment, JsonObject set, ControllerContext context)
    {
        var copy = (JsonObject)deployment.DeepClone();
        Annotate(copy, Revision, set.TextAt("metadata", "annotations", Revision));
        JsonObject status = copy["status"] as JsonObject ?? [];
        copy["status"] = status.Parent is null ? status : status.DeepClone();
        context.SetCondition((JsonObject)copy["status"]!, "Progressing", "True", "NewReplicaSetCreated",
            $"Created new replica set \"{set.TextAt("metadata", "name")}\"", withUpdateTime: true);
        context.Update(Resource, copy, "status");
    }

    // Going back to an old template makes its replica set the newest revision again.
    private bool KeepRevision(JsonObject deployment, List<JsonObject> sets, JsonObject current, ControllerContext context)
    {
        long newest = sets.Where(s => s != current).Select(RevisionOf).DefaultIfEmpty(0).Max();
        if (RevisionOf(current) <= newest)
        {
            var copy = (JsonObject)current.DeepClone();
            Annotate(copy, Revision, Number(newest + 1));
            current = context.Update(ResourceName.ReplicaSets, copy);
        }

        string revision = current.TextAt("metadata", "annotations", Revision);
        if (revision == deployment.TextAt("metadata", "annotations", Revision))
        {
            return false;
        }

        var marked = (JsonObject)deployment.DeepClone();
        Annotate(marked, Revision, revision);
        context.Update(Resource, marked);
        return true;
    }

    private static void Scale(JsonObject deployment, List<JsonObject> sets, JsonObject current, ControllerContext context)
    {
        long desired = deployment.NumberAt("spec", "replicas");
        List<JsonObject> old = [.. sets.Where(s => s != current).OrderBy(RevisionOf)];
        long oldTotal = old.Sum(s => s.NumberAt("spec", "replicas"));
        long now = current.NumberAt("spec", "replicas");
        if (deployment.Flag("spec", "paused") && oldTotal > 0)
        {
            return;
        }

        if (deployment.TextAt("spec", "strategy", "type") == "Recreate")
        {
            foreach (JsonObject set in old)
            {
                Resize(deployment, set, 0, context);
            }

            if (old.All(s => s.NumberAt("status", "replicas") == 0))
            {
                Resize(deployment, current, desired, context);
            }

            return;
        }

        long most = desired + Surge(deployment, desired);
        Resize(deployment, current, now > desired ? desired : Math.Min(desired, now + Math.Max(0, most - oldTotal - now)), context);
        if (oldTotal == 0)
        {
            return;
        }

        // Pods of the new set that are not available yet count as if they were lost; only what is left above the least may go.
        long least = desired - MaxUnavailable(deployment, desired);
        long all = sets.Sum(s => s.NumberAt("spec", "replicas"));
        long newUnavailable = current.NumberAt("spec", "replicas") - current.NumberAt("status", "availableReplicas");
        long room = all - least - newUnavailable;
        long spare = Math.Max(0, sets.Sum(s => s.NumberAt("status", "availableReplicas")) - least);
        foreach (JsonObject set in old)
        {
            // Old pods that are not ready serve nobody: they go first.
            long replicas = set.NumberAt("spec", "replicas");
            long sick = Math.Clamp(replicas - set.NumberAt("status", "availableReplicas"), 0, Math.Max(0, room));
            long healthy = Math.Clamp(replicas - sick, 0, Math.Min(spare, Math.Max(0, room - sick)));
            room -= sick + healthy;
            spare -= healthy;
            Resize(deployment, set, replicas - sick - healthy, context);
        }
    }

    private static void Resize(JsonObject deployment, JsonObject set, long replicas, ControllerContext context)
    {
        long desired = deployment.NumberAt("spec", "replicas");
        string most = Number(desired + Surge(deployment, desired));
        long before = set.NumberAt("spec", "replicas");
        if (before == replicas && set.TextAt("metadata", "annotations", Desired) == Number(desired) && set.TextAt("metadata", "annotations", Max) == most)
        {
            return;
        }

        var copy = (JsonObject)set.DeepClone();
        copy["spec"]!["replicas"] = replicas;
        Annotate(copy, Desired, Number(desired));
        Annotate(copy, Max, most);
        context.Update(ResourceName.ReplicaSets, copy);
        if (before != replicas)
        {
            context.Events.Record(deployment, "Normal", "ScalingReplicaSet",
                $"Scaled {(replicas > before ? "up" : "down")} replica set {set.TextAt("metadata", "name")} from {before} to {replicas}", Component);
        }
    }

    private static void CleanUp(JsonObject deployment, List<JsonObject> sets, JsonObject current, ControllerContext context)
    {
        long limit = deployment.At("spec", "revisionHistoryLimit") is null ? 10 : deployment.NumberAt("spec", "revisionHistoryLimit");
        List<JsonObject> idle = [.. sets.Where(s => s != current && s.NumberAt("spec", "replicas") == 0 && s.NumberAt("status", "replicas") == 0).OrderBy(RevisionOf)];
        foreach (JsonObject set in idle.Take(Math.Max(0, (int)(idle.Count - limit))))
        {
            context.Delete(ResourceName.ReplicaSets, set);
        }
    }

    private TimeSpan? WriteStatus(JsonObject deployment, List<JsonObject> sets, JsonObject? current, ControllerContext context)
    {
        long desired = deployment.NumberAt("spec", "replicas");
        long replicas = sets.Sum(s => s.NumberAt("status", "replicas"));
        long ready = sets.Sum(s => s.NumberAt("status", "readyReplicas"));
        long available = sets.Sum(s => s.NumberAt("status", "availableReplicas"));
        long updated = current.NumberAt("status", "replicas");
        JsonObject known = deployment["status"] as JsonObject ?? [];
        JsonObject status = [];
        Set(status, "observedGeneration", deployment.NumberAt("metadata", "generation"));
        Set(status, "replicas", replicas);
        Set(status, "updatedReplicas", updated);
        Set(status, "readyReplicas", ready);
        Set(status, "availableReplicas", available);
        Set(status, "unavailableReplicas", Math.Max(0, Math.Max(desired, replicas) - available));
        status["conditions"] = known["conditions"]?.DeepClone() ?? new JsonArray();

        bool enough = available >= desired - MaxUnavailable(deployment, desired);
        context.SetCondition(status, "Available", enough ? "True" : "False", enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
            enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", withUpdateTime: true);
        bool complete = updated == desired && replicas == desired && available == desired;
        string name = current.TextAt("metadata", "name");
        JsonObject? progressing = status.Items("conditions").FirstOrDefault(c => c.TextAt("type") == "Progressing");
        TimeSpan? again = null;
        bool moved = updated != known.NumberAt("updatedReplicas") || available > known.NumberAt("availableReplicas") || replicas - updated < known.NumberAt("replicas") - known.NumberAt("updatedReplicas");
        if (complete && current is not null)
        {
            context.SetCondition(status, "Progressing", "True", "NewReplicaSetAvailable", $"ReplicaSet \"{name}\" has successfully progressed.", withUpdateTime: true);
        }
        else if (moved && current is not null)
        {
            context.SetCondition(status, "Progressing", "True", "ReplicaSetUpdated", $"ReplicaSet \"{name}\" is progressing.", withUpdateTime: true);
        }
        else if (progressing is null && current is not null)
        {
            context.SetCondition(status, "Progressing", "True", "FoundNewReplicaSet", $"Found new replica set \"{name}\"", withUpdateTime: true);
        }
        else if (progressing is not null && progressing.TextAt("reason") is not ("NewReplicaSetAvailable" or "ProgressDeadlineExceeded")
            && Durations.TryParse(progressing["lastUpdateTime"], out DateTimeOffset last))
        {
            TimeSpan left = last + TimeSpan.FromSeconds(deployment.At("spec", "progressDeadlineSeconds") is null ? 600 : deployment.NumberAt("spec", "progressDeadlineSeconds")) - context.Now;
            if (left <= TimeSpan.Zero)
            {
                context.SetCondition(status, "Progressing", "False", "ProgressDeadlineExceeded", $"ReplicaSet \"{name}\" has timed out progressing.", withUpdateTime: true);
            }
            else
            {
                again = left;
            }
        }

        context.UpdateStatus(Resource, deployment, status);
        return again;
    }

    internal static void Set(JsonObject status, string name, long value)
    {
        if (value != 0)
        {
            status[name] = value;
        }
    }

    /// <summary>A count or a percentage of the total.</summary>
    internal static long Resolve(JsonNode? value, long total, bool roundUp, long fallback)
    {
        string text = value.TextAt();
        if (!text.EndsWith('%'))
        {
            return value is null ? fallback : value.NumberAt();
        }

        long part = total * long.Parse(text[..^1], CultureInfo.InvariantCulture);
        return roundUp ? (part + 99) / 100 : part / 100;
    }

    private static long Surge(JsonObject deployment, long desired) => deployment.TextAt("spec", "strategy", "type") == "Recreate"
        ? 0 : Resolve(deployment.At("spec", "strategy", "rollingUpdate", "maxSurge"), desired, roundUp: true, fallback: 1);

    private static long MaxUnavailable(JsonObject deployment, long desired)
    {
        if (deployment.TextAt("spec", "strategy", "type") == "Recreate")
        {
            return 0;
        }

        long missing = Resolve(deployment.At("spec", "strategy", "rollingUpdate", "maxUnavailable"), desired, roundUp: false, fallback: 0);
        // With neither surge nor missing pods nothing could ever move.
        return missing == 0 && Surge(deployment, desired) == 0 ? 1 : missing;
    }

    private static long RevisionOf(JsonObject set) => long.TryParse(set.TextAt("metadata", "annotations", Revision), out long revision) ? revision : 0;

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Annotate(JsonObject obj, string name, string value)
    {
        JsonObject metadata = obj["metadata"]!.AsObject();
        if (metadata["annotations"] is not JsonObject annotations)
        {
            metadata["annotations"] = annotations = [];
        }

        annotations[name] = value;
    }
}
