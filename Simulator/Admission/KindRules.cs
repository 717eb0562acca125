using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Admission;

/// <summary>What defaulting and validation of one write may look at.</summary>
/// <param name="Resource">What is written.</param>
/// <param name="Registry">The cluster; the transaction is open.</param>
/// <param name="Warn">Receives the texts of Warning headers; may be null.</param>
internal sealed record AdmissionContext(ApiResource Resource, ObjectRegistry Registry, Action<string>? Warn);

/// <summary>The rules of single kinds: names, defaults, validation. Kinds without rules are stored as they come.</summary>
internal static partial class KindRules
{
    private const string SubdomainFault =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
        + "character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

    private const string LabelFault =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
        + "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

    private static readonly HashSet<string> WithGeneration = new(StringComparer.Ordinal)
    {
        "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "replicationcontrollers", "networkpolicies", "ingresses",
        "ingressclasses", "poddisruptionbudgets", "customresourcedefinitions", "endpointslices", "priorityclasses", "flowschemas",
        "prioritylevelconfigurations", "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    };

    /// <summary>Whether objects of a built-in resource count the changes of their spec.</summary>
    public static bool HasGeneration(ResourceName resource) => WithGeneration.Contains(resource.Plural);

    /// <summary>Why a name is not allowed; null when it is.</summary>
    public static string? NameFault(ApiResource resource, string name)
    {
        switch (resource.Group)
        {
            case "rbac.authorization.k8s.io":
                return name is "." or ".." || name.Contains('/') || name.Contains('%') ? "may not contain '/'" : null;
            case "" when resource.Plural is "namespaces" or "services":
                return name.Length > 63 ? "must be no more than 63 characters" : LabelForm().IsMatch(name) ? null : LabelFault;
            default:
                return name.Length > 253 ? "must be no more than 253 characters" : SubdomainForm().IsMatch(name) ? null : SubdomainFault;
        }
    }

    /// <summary>Fills in defaults and drops what a create cannot set.</summary>
    public static void PrepareForCreate(AdmissionContext context, JsonObject tree)
    {
        ApiResource resource = context.Resource;
        if (resource.Custom is { } custom)
        {
            if (custom.HasStatus)
            {
                tree.Remove("status");
            }

            SchemaRules.Prepare(context, custom, tree);
            return;
        }

        DropUnknown(resource, tree);
        BuiltInDefaults.Apply(context, tree, isCreate: true);
    }

    // A built-in kind has no place for fields it does not know. Deeper ones are kept: the schemas do not describe every part.
    private static void DropUnknown(ApiResource resource, JsonObject tree)
    {
        if (SchemaCatalog.BuiltIn.TryFind(resource.Group, resource.Kind, out SchemaNode? node))
        {
            foreach (string key in tree.Select(p => p.Key).Where(k => !node.Type!.Fields.ContainsKey(k)).ToArray())
            {
                tree.Remove(key);
            }
        }
    }

    /// <summary>Fills in defaults of a replaced object.</summary>
    public static void PrepareForUpdate(AdmissionContext context, JsonObject tree, JsonObject live, string subresource)
    {
        if (context.Resource.Custom is { } custom)
        {
            SchemaRules.Prepare(context, custom, tree);
        }
        else if (subresource is not ("status" or "finalize"))
        {
            DropUnknown(context.Resource, tree);
            BuiltInDefaults.Apply(context, tree, isCreate: false);
            BuiltInDefaults.CarryOver(context.Resource.Storage, tree, live);
        }
    }

    /// <summary>Refuses what the real server refuses.</summary>
    /// <param name="context">The write.</param>
    /// <param name="tree">The new object.</param>
    /// <param name="live">The stored one; null for a create.</param>
    public static void Validate(AdmissionContext context, JsonObject tree, JsonObject? live)
    {
        var causes = new List<FieldCause>();
        string name = tree.Text("metadata", "name") ?? "";
        if (context.Resource.Custom is { } custom)
        {
            SchemaRules.Validate(custom, tree, causes);
        }
        else
        {
            BuiltInValidation.Check(context, tree, live, causes);
        }

        if (causes.Count > 0)
        {
            throw Refusal.Invalid(context.Resource, name, causes);
        }
    }

    /// <summary>Refuses to delete what no cluster can do without.</summary>
    public static void CheckDeletion(ApiResource resource, string name)
    {
        if (resource.Storage == ResourceName.Namespaces && name is "default" or "kube-system" or "kube-public")
        {
            throw Refusal.Forbidden(resource, name, "this namespace may not be deleted");
        }
    }

    [GeneratedRegex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    private static partial Regex LabelForm();

    [GeneratedRegex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")]
    private static partial Regex SubdomainForm();
}
