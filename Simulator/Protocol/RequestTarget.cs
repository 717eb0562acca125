namespace MultiCluster.Simulator.Protocol;

/// <summary>What the path and method of a request ask for, before anybody knows whether it exists; authorization works on this.</summary>
/// <param name="Path">The path as it came.</param>
/// <param name="Verb">Kubernetes verb (get, list, watch, create, update, patch, delete, deletecollection), or the method in lower case for other paths.</param>
internal sealed record RequestTarget(string Path, string Verb)
{
    /// <summary>False for paths such as <c>/version</c> and <c>/apis/apps</c>.</summary>
    public bool IsResource { get; private init; }

    public string Group { get; private init; } = "";

    public string Version { get; private init; } = "";

    /// <summary>Namespace; empty for cluster-scoped requests and lists over all namespaces.</summary>
    public string Namespace { get; private init; } = "";

    public string Plural { get; private init; } = "";

    public string Subresource { get; private init; } = "";

    public string Name { get; private init; } = "";

    public bool IsCollection => Name.Length == 0;

    public bool IsWatch => Verb == "watch";

    /// <summary>The resource as RBAC names it: <c>pods/log</c>.</summary>
    public string RbacResource => Subresource.Length == 0 ? Plural : $"{Plural}/{Subresource}";

    /// <summary>Splits a request.</summary>
    /// <param name="method">HTTP method.</param>
    /// <param name="path">Decoded path.</param>
    /// <param name="watch">Whether the query asks for a watch.</param>
    public static RequestTarget Parse(string method, string path, bool watch)
    {
        string[] parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        int at;
        string group;
        string version;
        if (parts.Length >= 3 && parts[0] == "api")
        {
            (group, version, at) = ("", parts[1], 2);
        }
        else if (parts.Length >= 4 && parts[0] == "apis")
        {
            (group, version, at) = (parts[1], parts[2], 3);
        }
        else
        {
            return new RequestTarget(path, method.ToLowerInvariant());
        }

        // The old form: /api/v1/watch/namespaces/x/pods.
        if (parts[at] == "watch" && parts.Length > at + 1)
        {
            watch = true;
            at++;
        }

        string ns = "";
        if (parts[at] == "namespaces" && parts.Length > at + 1)
        {
            // /namespaces/x and /namespaces/x/status are about the namespace itself; anything longer is in it.
            bool itself = parts.Length == at + 2 || (parts.Length == at + 3 && parts[at + 2] is "status" or "finalize");
            ns = parts[at + 1];
            if (!itself)
            {
                at += 2;
            }
        }

        string name = parts.Length > at + 1 ? parts[at + 1] : "";
        return new RequestTarget(path, VerbOf(method, name.Length == 0, watch))
        {
            IsResource = true,
            Group = group,
            Version = version,
            Namespace = ns,
            Plural = parts[at],
            Name = name,
            Subresource = parts.Length > at + 2 ? string.Join('/', parts[(at + 2)..]) : "",
        };
    }

    private static string VerbOf(string method, bool collection, bool watch) => method switch
    {
        "GET" or "HEAD" when watch => "watch",
        "GET" or "HEAD" => collection ? "list" : "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => collection ? "deletecollection" : "delete",
        _ => method.ToLowerInvariant(),
    };
}
