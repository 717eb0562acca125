using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>A field selector such as <c>spec.nodeName=a,status.phase!=Running</c>.</summary>
internal sealed class FieldSelector
{
    public static readonly FieldSelector Everything = new([]);

    // What the real server indexes beside metadata.name and metadata.namespace.
    private static readonly Dictionary<ResourceName, string[]> Fields = new()
    {
        [ResourceName.Pods] =
        [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
            "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
        ],
        [ResourceName.Events] =
        [
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
            "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
            "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion",
            "regarding.resourceVersion", "regarding.fieldPath", "reportingController",
        ],
        [new ResourceName("", "secrets")] = ["type"],
        [ResourceName.Namespaces] = ["status.phase", "name"],
        [ResourceName.Nodes] = ["spec.unschedulable"],
        [ResourceName.Services] = ["spec.clusterIP", "spec.type"],
        [ResourceName.ReplicaSets] = ["status.replicas"],
        [new ResourceName("", "replicationcontrollers")] = ["status.replicas"],
        [ResourceName.Jobs] = ["status.successful"],
        [new ResourceName("certificates.k8s.io", "certificatesigningrequests")] = ["spec.signerName"],
    };

    private readonly List<Term> _terms;

    private FieldSelector(List<Term> terms) => _terms = terms;

    public bool IsEverything => _terms.Count == 0;

    /// <summary>Parses the form of the URL parameter.</summary>
    /// <exception cref="StatusException">400 when it cannot be understood or the field is not selectable.</exception>
    public static FieldSelector Parse(string? text, ApiResource resource)
    {
        if (string.IsNullOrEmpty(text))
        {
            return Everything;
        }

        var terms = new List<Term>();
        foreach (string part in text.Split(','))
        {
            if (part.Length == 0)
            {
                continue;
            }

            (string field, string value, bool equal) = Split(part)
                ?? throw Refusal.BadRequest($"invalid selector: '{text}'; can't understand '{part}'");
            CheckSupported(field, resource);
            terms.Add(new Term(PathOf(field), value, equal));
        }

        return new FieldSelector(terms);
    }

    public bool Matches(StoredObject obj)
    {
        foreach (Term term in _terms)
        {
            if ((ValueOf(obj, term.Path) == term.Value) != term.Equal)
            {
                return false;
            }
        }

        return true;
    }

    private static string ValueOf(StoredObject obj, string[] path)
    {
        string value = path switch
        {
            ["metadata", "name"] => obj.Name,
            ["metadata", "namespace"] => obj.Namespace,
            _ => obj.Field(path),
        };

        // Flags that are not there are false.
        return value.Length == 0 && path is ["spec", "unschedulable" or "hostNetwork"] ? "false" : value;
    }

    private static (string Field, string Value, bool Equal)? Split(string term)
    {
        for (int i = 0; i < term.Length; i++)
        {
            if (term[i] == '!' && i + 1 < term.Length && term[i + 1] == '=')
            {
                return (term[..i], Unescape(term[(i + 2)..]), false);
            }

            if (term[i] == '=')
            {
                int skip = i + 1 < term.Length && term[i + 1] == '=' ? 2 : 1;
                return (term[..i], Unescape(term[(i + skip)..]), true);
            }
        }

        return null;
    }

    private static string Unescape(string value) => value.Replace("\\,", ",", StringComparison.Ordinal)
        .Replace("\\=", "=", StringComparison.Ordinal).Replace("\\\\", "\\", StringComparison.Ordinal);

    private static void CheckSupported(string field, ApiResource resource)
    {
        if (field == "metadata.name" || (field == "metadata.namespace" && resource.Namespaced))
        {
            return;
        }

        if (resource.Custom is { } custom)
        {
            if (!custom.SelectableFields.Contains(field))
            {
                throw Refusal.BadRequest($"field label not supported: {field}");
            }
        }
        else if (Fields.TryGetValue(resource.Storage, out string[]? fields))
        {
            if (!fields.Contains(field))
            {
                throw Refusal.BadRequest($"field label not supported: {field}");
            }
        }
        else
        {
            throw Refusal.BadRequest($"\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
        }
    }

    /// <summary>Where the value is in the stored form; events of the newer group are stored in the older one.</summary>
    private static string[] PathOf(string field) => field switch
    {
        "name" => ["metadata", "name"],
        "source" => ["source", "component"],
        "reportingController" => ["reportingComponent"],
        "status.successful" => ["status", "succeeded"],
        "status.podIPs" => ["status", "podIP"],
        _ when field.StartsWith("regarding.", StringComparison.Ordinal) => ["involvedObject", field["regarding.".Length..]],
        _ => field.Split('.'),
    };

    private sealed record Term(string[] Path, string Value, bool Equal);
}
