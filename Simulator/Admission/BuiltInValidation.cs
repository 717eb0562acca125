using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>The validation of built-in kinds that clients meet in practice; everything else is let through.</summary>
internal static class BuiltInValidation
{
    private const int MaxObjectBytes = 1_048_576;

    private static readonly (string Plural, string[] Path, string Type)[] Typed =
    [
        ("deployments", ["spec", "replicas"], "DeploymentSpec.spec.replicas of type int32"),
        ("replicasets", ["spec", "replicas"], "ReplicaSetSpec.spec.replicas of type int32"),
        ("statefulsets", ["spec", "replicas"], "StatefulSetSpec.spec.replicas of type int32"),
    ];

    /// <summary>Refuses fields of a wrong type, as the decoder of the real server does before anything else looks.</summary>
    /// <exception cref="StatusException">400.</exception>
    public static void CheckTypes(Discovery.ApiResource resource, JsonObject tree)
    {
        foreach ((string plural, string[] path, string type) in Typed)
        {
            if (resource.Plural == plural && tree.At(path) is { } value && value.GetValueKind() != JsonValueKind.Number)
            {
                throw Undecodable(resource, GoTypeOf(value), type);
            }
        }

        foreach (string section in (string[])["spec", "status", "metadata"])
        {
            if (tree[section] is { } node and not JsonObject)
            {
                throw Undecodable(resource, GoTypeOf(node), $"{resource.Kind}.{section} of type v1.{resource.Kind}{char.ToUpperInvariant(section[0])}{section[1..]}");
            }
        }

        if (resource.Plural is "configmaps" && tree["data"] is JsonObject data)
        {
            foreach ((_, JsonNode? value) in data)
            {
                if (value is not null && value.GetValueKind() != JsonValueKind.String)
                {
                    throw Undecodable(resource, GoTypeOf(value), "ConfigMap.data of type string");
                }
            }
        }
    }

    /// <summary>Adds the faults of an object.</summary>
    public static void Check(AdmissionContext context, JsonObject tree, JsonObject? live, List<FieldCause> causes)
    {
        switch (context.Resource.Storage.Plural)
        {
            case "deployments" or "replicasets" or "statefulsets":
                CheckReplicas(tree, causes);
                CheckSelector(tree, live, causes);
                CheckTemplate(tree["spec"]?["template"]?["spec"], "spec.template.spec", causes);
                break;
            case "daemonsets":
                CheckSelector(tree, live, causes);
                CheckTemplate(tree["spec"]?["template"]?["spec"], "spec.template.spec", causes);
                break;
            case "pods":
                CheckTemplate(tree["spec"], "spec", causes);
                CheckAccount(context, tree, live);
                WarnAboutHiddenVariables(context, tree);
                break;
            case "configmaps" or "secrets":
                if (JsonTree.ToUtf8(tree["data"]).Length > MaxObjectBytes)
                {
                    string field = context.Resource.Plural == "secrets" ? "data" : "[]";
                    causes.Add(new FieldCause("FieldValueTooLong", field, $"Too long: may not be more than {MaxObjectBytes} bytes"));
                }

                break;
            case "customresourcedefinitions":
                CheckDefinition(tree, causes);
                break;
        }
    }

    private static void CheckReplicas(JsonObject tree, List<FieldCause> causes)
    {
        if (tree.Number("spec", "replicas") is < 0 and { } replicas)
        {
            causes.Add(FieldCause.Invalid("spec.replicas", $"{replicas}", "must be greater than or equal to 0"));
        }
    }

    private static void CheckSelector(JsonObject tree, JsonObject? live, List<FieldCause> causes)
    {
        var wanted = tree.At("spec", "selector", "matchLabels") as JsonObject;
        if (tree.At("spec", "selector") is null)
        {
            causes.Add(FieldCause.Required("spec.selector"));
            return;
        }

        var labels = tree.At("spec", "template", "metadata", "labels") as JsonObject;
        if (wanted is not null && wanted.Any(p => !JsonTree.Same(p.Value, labels?[p.Key])))
        {
            causes.Add(FieldCause.Invalid("spec.template.metadata.labels", GoMap(labels), "`selector` does not match template `labels`"));
        }

        if (live is not null && !JsonTree.Same(live.At("spec", "selector"), tree.At("spec", "selector")))
        {
            causes.Add(FieldCause.Invalid(
                "spec.selector", $"v1.LabelSelector{{MatchLabels:{GoMap(wanted)}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}}", "field is immutable"));
        }
    }

    private static void CheckTemplate(JsonNode? spec, string path, List<FieldCause> causes)
    {
        if (spec?["containers"] is not JsonArray { Count: > 0 } containers)
        {
            causes.Add(FieldCause.Required($"{path}.containers"));
            return;
        }

        for (int i = 0; i < containers.Count; i++)
        {
            if (string.IsNullOrEmpty(containers[i].Text("name")))
            {
                causes.Add(FieldCause.Required($"{path}.containers[{i}].name"));
            }

            if (string.IsNullOrEmpty(containers[i].Text("image")) && path != "spec")
            {
                causes.Add(FieldCause.Required($"{path}.containers[{i}].image"));
            }
        }
    }

    /// <summary>Admission wants the service account to be there before the pod.</summary>
    private static void CheckAccount(AdmissionContext context, JsonObject tree, JsonObject? live)
    {
        string account = tree.Text("spec", "serviceAccountName") ?? "default";
        string ns = tree.Text("metadata", "namespace") ?? "";
        if (live is null && context.Registry.Store.Find(ResourceName.ServiceAccounts, ns, account) is null)
        {
            throw Refusal.Forbidden(
                context.Resource, tree.Text("metadata", "name") ?? "",
                $"error looking up service account {ns}/{account}: serviceaccount \"{account}\" not found");
        }
    }

    private static void WarnAboutHiddenVariables(AdmissionContext context, JsonObject tree)
    {
        if (context.Warn is null || tree.At("spec", "containers") is not JsonArray containers)
        {
            return;
        }

        for (int i = 0; i < containers.Count; i++)
        {
            var seen = new HashSet<string>(StringComparer.Ordinal);
            JsonArray variables = containers[i].At("env") as JsonArray ?? [];
            for (int j = 0; j < variables.Count; j++)
            {
                string name = variables[j].Text("name") ?? "";
                if (!seen.Add(name))
                {
                    context.Warn($"spec.containers[{i}].env[{j}]: hides previous definition of \"{name}\", which may be dropped when using apply");
                }
            }
        }
    }

    private static void CheckDefinition(JsonObject tree, List<FieldCause> causes)
    {
        JsonNode? spec = tree["spec"];
        string expected = $"{spec.Text("names", "plural")}.{spec.Text("group")}";
        if (tree.Text("metadata", "name") is { } name && name != expected)
        {
            causes.Add(FieldCause.Invalid("metadata.name", $"\"{name}\"", "must be spec.names.plural+\".\"+spec.group"));
        }

        if (spec?["versions"] is not JsonArray { Count: > 0 } versions)
        {
            causes.Add(FieldCause.Required("spec.versions"));
        }
        else if (versions.Count(v => v.Flag("storage")) != 1)
        {
            causes.Add(FieldCause.Invalid("spec.versions", "\"\"", "must have exactly one version marked as storage version"));
        }
    }

    private static StatusException Undecodable(Discovery.ApiResource resource, string type, string field) => Refusal.BadRequest(
        $"{resource.Kind} in version \"{resource.Version}\" cannot be handled as a {resource.Kind}: json: cannot unmarshal {type} into Go struct field {field}");

    private static string GoTypeOf(JsonNode node) => node switch
    {
        JsonObject => "object",
        JsonArray => "array",
        _ => node.GetValueKind() switch
        {
            JsonValueKind.String => "string",
            JsonValueKind.Number => "number",
            _ => "bool",
        },
    };

    private static string GoMap(JsonObject? map) => map is null
        ? "map[string]string(nil)"
        : $"map[string]string{{{string.Join(", ", map.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"\"{p.Key}\":\"{p.Value}\""))}}}";
}
