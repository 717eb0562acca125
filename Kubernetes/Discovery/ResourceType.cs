using System.Collections.Immutable;

namespace MultiCluster.Kubernetes.Discovery;

/// <summary>One resource that an API server serves in one version, as its discovery document describes it.</summary>
/// <param name="Group">API group; empty for the core group.</param>
/// <param name="Version">Version within the group, such as <c>v1</c>.</param>
/// <param name="Plural">Name in the URL, such as <c>deployments</c>.</param>
/// <param name="Kind">Kind of one object, such as <c>Deployment</c>.</param>
/// <param name="Namespaced">Whether its objects live in namespaces.</param>
public sealed record ResourceType(string Group, string Version, string Plural, string Kind, bool Namespaced)
{
    /// <summary>Singular name; empty where the server leaves it out.</summary>
    public string Singular { get; init; } = "";

    /// <summary>Short names, such as <c>deploy</c>.</summary>
    public ImmutableArray<string> ShortNames { get; init; } = [];

    /// <summary>Verbs that the server knows for it.</summary>
    public ImmutableArray<string> Verbs { get; init; } = [];

    /// <summary>Categories, such as <c>all</c>.</summary>
    public ImmutableArray<string> Categories { get; init; } = [];

    /// <summary>Subresources, such as <c>status</c> and <c>scale</c>.</summary>
    public ImmutableArray<string> Subresources { get; init; } = [];

    /// <summary><c>apps/v1</c>, or <c>v1</c> in the core group.</summary>
    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary><c>deployments.apps</c>, or <c>pods</c> in the core group; the same for every version of the resource.</summary>
    public string GroupResource => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    /// <summary>Path of the list over all namespaces, without a slash at the end.</summary>
    public string CollectionPath => Group.Length == 0 ? $"/api/{Version}/{Plural}" : $"/apis/{Group}/{Version}/{Plural}";

    /// <summary>Path of the list of one namespace, or of one object.</summary>
    /// <param name="ns">Namespace; null or empty for cluster-scoped resources and for all namespaces.</param>
    /// <param name="name">Name; null for the list.</param>
    public string PathOf(string? ns, string? name = null)
    {
        string root = Group.Length == 0 ? $"/api/{Version}" : $"/apis/{Group}/{Version}";
        string middle = string.IsNullOrEmpty(ns) ? "" : $"/namespaces/{Uri.EscapeDataString(ns)}";
        string tail = name is null ? "" : $"/{Uri.EscapeDataString(name)}";
        return $"{root}{middle}/{Plural}{tail}";
    }
}
