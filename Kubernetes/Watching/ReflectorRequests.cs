using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>Writes the list and watch requests of one reflector.</summary>
internal sealed class ReflectorRequests
{
    private const string Json = "application/json";
    private const string MetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    private const string MetadataOne = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

    private readonly string _path;
    private readonly string _selectors;
    private readonly ReflectorOptions _options;

    public ReflectorRequests(ResourceType resource, ReflectorOptions options)
    {
        _options = options;
        _path = resource.PathOf(options.Namespace);
        _selectors = Parameter("labelSelector", options.LabelSelector) + Parameter("fieldSelector", options.FieldSelector);
    }

    /// <summary>One page of a list.</summary>
    /// <param name="revision">Revision to be at least as new as; empty for the newest, ignored with a token.</param>
    /// <param name="paged">Whether to ask for pages.</param>
    /// <param name="token">Token of the page; empty for the first.</param>
    public KubeRequest List(string revision, bool paged, string token)
    {
        // A token fixes the revision itself; the server refuses both.
        string version = token.Length > 0 || revision.Length == 0 ? ""
            : revision == "0" ? "&resourceVersion=0"
            : $"&resourceVersion={Uri.EscapeDataString(revision)}&resourceVersionMatch=NotOlderThan";
        string query = $"{(paged ? $"&limit={_options.PageSize}" : "")}{version}{Parameter("continue", token)}{_selectors}";
        return Get(query.Length == 0 ? _path : $"{_path}?{query[1..]}", _options.MetadataOnly ? MetadataList : Json);
    }

    /// <summary>One page of the state at a revision exactly.</summary>
    /// <param name="version">The revision, ignored with a token, which fixes it.</param>
    /// <param name="token">Token of the page; empty for the first.</param>
    public KubeRequest ExactList(long version, string token) => Get(
        $"{_path}?limit={_options.PageSize}{(token.Length > 0 ? Parameter("continue", token) : $"&resourceVersion={version}&resourceVersionMatch=Exact")}{_selectors}",
        _options.MetadataOnly ? MetadataList : Json);

    /// <summary>A watch from a revision.</summary>
    public KubeRequest Watch(string revision, TimeSpan timeout) => Get(
        $"{_path}?watch=true&allowWatchBookmarks=true&resourceVersion={Uri.EscapeDataString(revision)}&timeoutSeconds={(int)timeout.TotalSeconds}{_selectors}",
        _options.MetadataOnly ? MetadataOne : Json);

    /// <summary>A watch that begins with everything there is and goes on with changes.</summary>
    public KubeRequest WatchList(string revision, TimeSpan timeout) => Get(
        $"{_path}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        + $"&resourceVersion={Uri.EscapeDataString(revision)}&timeoutSeconds={(int)timeout.TotalSeconds}{_selectors}",
        _options.MetadataOnly ? MetadataOne : Json);

    /// <summary>The smallest list that tells the server's newest revision.</summary>
    public KubeRequest NewestRevision() => Get($"{_path}?limit=1", MetadataList + "," + Json);

    private static KubeRequest Get(string path, string accept) => KubeRequest.Get(path) with { Accept = accept };

    private static string Parameter(string name, string? value) =>
        string.IsNullOrEmpty(value) ? "" : $"&{name}={Uri.EscapeDataString(value)}";
}
