using System.Collections.Immutable;

namespace MultiCluster.Gateway.Http;

/// <summary>One query parameter, for the OpenAPI document.</summary>
/// <param name="Name">Name in the URL.</param>
/// <param name="Type">JSON type: string, integer or boolean.</param>
/// <param name="Description">What it means, with its default.</param>
/// <param name="Repeats">Whether it may be given several times, or once with commas.</param>
internal sealed record ParameterDoc(string Name, string Type, string Description, bool Repeats = false);

/// <summary>The query parameters of one endpoint; they are read by <see cref="QueryParameters"/>, so that unknown ones can be refused.</summary>
internal sealed record ParametersMetadata(ImmutableArray<ParameterDoc> Parameters);

/// <summary>The query parameters of <c>/v1</c>.</summary>
internal static class QueryDocs
{
    public static readonly ImmutableArray<ParameterDoc> Clusters =
    [
        new("cluster", "string", "Only these clusters.", true),
        new("clusterSelector", "string", "Label selector over the labels of the clusters."),
    ];

    public static readonly ImmutableArray<ParameterDoc> Objects =
    [
        new("namespace", "string", "Only these namespaces.", true),
        new("name", "string", "Only these names; * stands for any run of characters, ? for one.", true),
        new("text", "string", "Text that the name, the namespace or a label value holds, without regard to case."),
        new("labelSelector", "string", "Label selector in Kubernetes' syntax."),
        new("fieldSelector", "string", "Fields: a.b['x.y'][*] with = == != in notin exists !exists > >= < <=, joined by commas."),
        new("readiness", "string", "Any of not_applicable, unknown, ready, progressing, not_ready, failed, completed.", true),
        new("ready", "boolean", "true: ready or completed. false: not ready, progressing, failed or unknown."),
        new("owner", "string", "KIND/NAME or uid:UID of an owner."),
        new("ownerDepth", "integer", "How many steps up the owner may be: 1 to 4, default 3."),
    ];

    public static readonly ImmutableArray<ParameterDoc> Page =
    [
        new("limit", "integer", "Most objects of the page: 1 to 10000, default 500."),
        new("continue", "string", "Token of the page before, with the same request otherwise."),
        new("source", "string", "mirror (default) or live."),
        new("projection", "string", "object (default), metadata or none."),
        new("strict", "boolean", "All or nothing: fail where one cluster cannot be covered."),
        new("deadline", "string", "Time for the clusters to answer, such as 500ms or 5s: default 5s, at most 60s."),
    ];

    public static readonly ImmutableArray<ParameterDoc> One = [.. Page.Where(p => p.Name is not ("limit" or "continue"))];

    public static readonly ImmutableArray<ParameterDoc> Watch =
    [
        new("watch", "boolean", "true for server-sent events: added, modified, deleted, coverage, gone, synced, bookmark, end. Takes revision, bookmarkEvery and projection; limit, continue, source, strict and deadline belong to lists."),
        new("revision", "string", "Watch: only what changed after this revision. The header Last-Event-ID wins over it."),
        new("bookmarkEvery", "string", "Watch: longest time without an event, 1s to 1m, default 10s."),
    ];

    public static readonly ImmutableArray<ParameterDoc> Count =
    [
        new("by", "string", "Up to three of cluster, namespace, phase, node, image, readiness; outermost first.", true),
        new("strict", "boolean", "All or nothing: fail where one cluster cannot be covered."),
        new("deadline", "string", "Time for the clusters to answer, such as 500ms or 5s: default 5s, at most 60s."),
    ];
}
