using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Security;

/// <summary>What somebody wants to do.</summary>
internal sealed record AccessAttributes(string Verb)
{
    /// <summary>A path instead of a resource.</summary>
    public string? Path { get; init; }

    public string Group { get; init; } = "";

    /// <summary>With subresource: <c>pods/log</c>.</summary>
    public string Resource { get; init; } = "";

    public string Namespace { get; init; } = "";

    public string Name { get; init; } = "";

    public static AccessAttributes Of(RequestTarget target) => target.IsResource
        ? new AccessAttributes(target.Verb) { Group = target.Group, Resource = target.RbacResource, Namespace = target.Namespace, Name = target.Name }
        : new AccessAttributes(target.Verb) { Path = target.Path };
}

/// <summary>A decision and, when it is yes, which binding gave the right.</summary>
internal readonly record struct AccessDecision(bool Allowed, string? Reason);

/// <summary>RBAC over the roles and bindings in the store.</summary>
/// <remarks>Thread-safe. Rules are read again after any change of a role or binding, which is rare beside requests.</remarks>
internal sealed class Authorizer(ClusterStore store)
{
    private const string RbacGroup = "rbac.authorization.k8s.io";
    private static readonly ResourceName ClusterRoles = new(RbacGroup, "clusterroles");
    private static readonly ResourceName ClusterRoleBindings = new(RbacGroup, "clusterrolebindings");
    private static readonly ResourceName Roles = new(RbacGroup, "roles");
    private static readonly ResourceName RoleBindings = new(RbacGroup, "rolebindings");

    private volatile Policy? _policy;

    /// <summary>Decides.</summary>
    public AccessDecision Decide(UserInfo user, AccessAttributes wanted)
    {
        if (user.IsMaster)
        {
            return new AccessDecision(true, null);
        }

        foreach (Grant grant in Current().Grants)
        {
            if ((grant.Namespace is null || grant.Namespace == wanted.Namespace) && grant.Subject(user) is { } subject
                && grant.Rules.Any(r => Covers(r, wanted)))
            {
                return new AccessDecision(true, $"RBAC: allowed by {grant.Via} to {subject}");
            }
        }

        return new AccessDecision(false, null);
    }

    /// <summary>Refuses with the message of the real server.</summary>
    /// <exception cref="StatusException">403.</exception>
    public void Demand(UserInfo user, AccessAttributes wanted)
    {
        if (!Decide(user, wanted).Allowed)
        {
            throw Denied(user, wanted);
        }
    }

    /// <summary>All rules of a user in a namespace, for SelfSubjectRulesReview.</summary>
    public IEnumerable<JsonObject> RulesOf(UserInfo user, string ns)
    {
        if (user.IsMaster)
        {
            yield return new JsonObject { ["verbs"] = new JsonArray("*"), ["apiGroups"] = new JsonArray("*"), ["resources"] = new JsonArray("*") };
            yield return new JsonObject { ["verbs"] = new JsonArray("*"), ["nonResourceURLs"] = new JsonArray("*") };
        }

        foreach (Grant grant in Current().Grants.Where(g => (g.Namespace is null || g.Namespace == ns) && g.Subject(user) is not null))
        {
            foreach (JsonObject rule in grant.Rules)
            {
                yield return (JsonObject)rule.DeepClone();
            }
        }
    }

    private static StatusException Denied(UserInfo user, AccessAttributes wanted)
    {
        if (wanted.Path is not null)
        {
            return new StatusException(403, "Forbidden", $"forbidden: User \"{user.Name}\" cannot {wanted.Verb} path \"{wanted.Path}\"")
            {
                NoSniff = true,
                Details = [],
            };
        }

        string plural = wanted.Resource.Split('/')[0];
        string resource = wanted.Group.Length == 0 ? plural : $"{plural}.{wanted.Group}";
        string scope = wanted.Namespace.Length == 0 ? "at the cluster scope" : $"in the namespace \"{wanted.Namespace}\"";
        string named = wanted.Name.Length == 0 ? "" : $" \"{wanted.Name}\"";
        var details = new JsonObject();
        if (wanted.Name.Length > 0)
        {
            details["name"] = wanted.Name;
        }

        if (wanted.Group.Length > 0)
        {
            details["group"] = wanted.Group;
        }

        details["kind"] = plural;
        return new StatusException(
            403, "Forbidden",
            $"{resource}{named} is forbidden: User \"{user.Name}\" cannot {wanted.Verb} resource \"{wanted.Resource}\" in API group \"{wanted.Group}\" {scope}")
        {
            NoSniff = true,
            Details = details,
        };
    }

    private static bool Covers(JsonObject rule, AccessAttributes wanted)
    {
        if (!Has(rule["verbs"], wanted.Verb))
        {
            return false;
        }

        if (wanted.Path is { } path)
        {
            return (rule["nonResourceURLs"] as JsonArray ?? []).Select(u => u!.GetValue<string>())
                .Any(u => u == path || (u.EndsWith('*') && path.StartsWith(u[..^1], StringComparison.Ordinal)));
        }

        string[] parts = wanted.Resource.Split('/');
        bool resource = Has(rule["resources"], wanted.Resource) || (parts.Length > 1 && Has(rule["resources"], "*/" + parts[1]));
        bool name = rule["resourceNames"] is not JsonArray { Count: > 0 } names || names.Any(n => n!.GetValue<string>() == wanted.Name);
        return resource && name && Has(rule["apiGroups"], wanted.Group);
    }

    private static bool Has(JsonNode? list, string value) =>
        list is JsonArray array && array.Any(n => n!.GetValue<string>() is var text && (text == "*" || text == value));

    private Policy Current()
    {
        (OrderedObjects clusterRoles, _) = store.Snapshot(ClusterRoles);
        (OrderedObjects roles, _) = store.Snapshot(Roles);
        (OrderedObjects clusterBindings, _) = store.Snapshot(ClusterRoleBindings);
        (OrderedObjects bindings, _) = store.Snapshot(RoleBindings);
        OrderedObjects[] source = [clusterRoles, roles, clusterBindings, bindings];
        if (_policy is { } policy && policy.Source.AsSpan().SequenceEqual(source))
        {
            return policy;
        }

        policy = new Policy(source, [.. clusterBindings.Range(null).Concat(bindings.Range(null)).Select(b => Read(b, clusterRoles, roles))]);
        _policy = policy;
        return policy;
    }

    private static Grant Read(StoredObject stored, OrderedObjects clusterRoles, OrderedObjects roles)
    {
        JsonObject binding = stored.ToTree();
        string ns = stored.Namespace;
        string kind = binding.Text("roleRef", "kind") ?? "";
        string roleName = binding.Text("roleRef", "name") ?? "";
        StoredObject? role = kind == "Role" ? roles.Find(ns, roleName) : clusterRoles.Find("", roleName);
        JsonObject[] rules = role is null ? [] : [.. (role.ToTree()["rules"] as JsonArray ?? []).OfType<JsonObject>()];
        string bindingKind = ns.Length == 0 ? "ClusterRoleBinding" : "RoleBinding";
        string full = ns.Length == 0 ? stored.Name : $"{stored.Name}/{ns}";
        return new Grant(
            ns.Length == 0 ? null : ns, $"{bindingKind} \"{full}\" of {kind} \"{roleName}\"",
            [.. (binding["subjects"] as JsonArray ?? []).OfType<JsonObject>()], rules);
    }

    private sealed record Policy(OrderedObjects[] Source, Grant[] Grants);

    private sealed record Grant(string? Namespace, string Via, JsonObject[] Subjects, JsonObject[] Rules)
    {
        /// <summary>As what the user has the grant, or null.</summary>
        public string? Subject(UserInfo user)
        {
            foreach (JsonObject subject in Subjects)
            {
                string name = subject.Text("name") ?? "";
                switch (subject.Text("kind"))
                {
                    case "User" when name == user.Name:
                        return $"User \"{name}\"";
                    case "Group" when user.Groups.Contains(name):
                        return $"Group \"{name}\"";
                    case "ServiceAccount" when user.Name == $"system:serviceaccount:{subject.Text("namespace") ?? Namespace}:{name}":
                        return $"ServiceAccount \"{name}/{subject.Text("namespace") ?? Namespace}\"";
                }
            }

            return null;
        }
    }
}
