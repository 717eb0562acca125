using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>What to list live from one member.</summary>
/// <param name="Resource">Kind.</param>
public sealed record LiveListQuery(ResourceType Resource)
{
    /// <summary>Namespace; null for all.</summary>
    public string? Namespace { get; init; }

    /// <summary>Label selector in text form; null for all.</summary>
    public string? LabelSelector { get; init; }

    /// <summary>Field selector in text form; null for all.</summary>
    public string? FieldSelector { get; init; }

    /// <summary>Most items of the page; null for all, which the byte limit still bounds.</summary>
    public int? Limit { get; init; }

    /// <summary>The member's token of the page; null for the first.</summary>
    public string? Continue { get; init; }

    /// <summary>Revision to be at least as new as; null for the newest.</summary>
    public string? ResourceVersion { get; init; }

    /// <summary>Deadline for the whole page; null for the client's request timeout.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Most bytes of all items together.</summary>
    /// <value>Default 64 MiB.</value>
    public int MaxBytes { get; init; } = 64 * 1024 * 1024;
}

/// <summary>One page of a live list.</summary>
/// <param name="Items">Objects as the server sent them, one JSON object each, sharing memory with nobody.</param>
/// <param name="ResourceVersion">Revision of the list.</param>
/// <param name="Continue">Token of the next page; empty on the last.</param>
/// <param name="RemainingItems">How many come after this page; null when the server does not say.</param>
/// <remarks>Holds a part of the process's <see cref="AnswerBudget"/>: dispose it when the items are used.</remarks>
public sealed record LivePage(IReadOnlyList<ReadOnlyMemory<byte>> Items, string ResourceVersion, string Continue, long? RemainingItems) : IDisposable
{
    internal AnswerHold? Hold { get; init; }

    /// <summary>Gives back what the items hold of the process's budget.</summary>
    public void Dispose() => Hold?.Dispose();
}

/// <summary>Reads straight from a member instead of from its mirror.</summary>
public static class LiveReads
{
    private const int ReadBytes = 64 * 1024;
    private const int MaxObjectBytes = 8 * 1024 * 1024;

    /// <summary>Lists one page.</summary>
    /// <exception cref="KubeException">It failed; <see cref="KubeErrorKind.Gone"/> when the token is too old.</exception>
    public static async Task<LivePage> ListAsync(this KubeClient client, LiveListQuery query, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(query);
        TimeSpan timeout = query.Timeout ?? TimeSpan.FromSeconds(5);
        using var deadline = new CancellationTokenSource(timeout, client.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var items = new List<ReadOnlyMemory<byte>>();
        long bytes = 0;
        AnswerHold hold = client.BeginHold();
        bool done = false;
        try
        {
            await using KubeStream stream = await client.OpenAsync(KubeRequest.Get(PathOf(query)) with { Timeout = timeout }, either.Token);
            using var buffer = new ReceiveBuffer(ReadBytes);
            var page = new ListPageReader(MaxObjectBytes, Keep);
            int count;
            while ((count = await stream.Body.ReadAsync(buffer.Free(), either.Token)) > 0)
            {
                buffer.Commit(count);
                buffer.Consume(page.Read(buffer.Unread));
                await hold.GrowAsync(bytes + buffer.Unread.Length, either.Token);
            }

            page.Finish();
            done = true;
            return new LivePage(items, page.ResourceVersion, page.Continue, page.RemainingItems) { Hold = hold };
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new KubeException(ErrorClassifier.FromException(e, client.Connection.Server), e);
        }
        finally
        {
            if (!done)
            {
                hold.Dispose();
            }
        }

        void Keep(ReadOnlySpan<byte> item)
        {
            bytes += item.Length;
            if (bytes > query.MaxBytes)
            {
                throw new KubeException(KubeErrorKind.Invalid, $"The page is larger than {query.MaxBytes / (1024 * 1024)} MiB. Ask for fewer items per page.");
            }

            items.Add(item.ToArray());
        }
    }

    /// <summary>Reads one object.</summary>
    /// <param name="client">Client of the member.</param>
    /// <param name="resource">Kind.</param>
    /// <param name="ns">Namespace; null for cluster-scoped kinds.</param>
    /// <param name="name">Name.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <returns>The object as the server sent it, without a newline at its end.</returns>
    /// <exception cref="KubeException">It failed; <see cref="KubeErrorKind.NotFound"/> when there is none.</exception>
    public static async Task<ReadOnlyMemory<byte>> GetObjectAsync(
        this KubeClient client, ResourceType resource, string? ns, string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentException.ThrowIfNullOrEmpty(name);
        using KubeResponse response = await client.GetAsync(resource.PathOf(ns, name), cancellationToken);
        int length = response.Body.Span.TrimEnd(" \r\n\t"u8).Length;
        JsonValueEnd end = default;
        return length > 0 && response.Body.Span[0] == '{' && end.Find(response.Body.Span[..length]) == length
            ? response.Body[..length]
            : throw new KubeException(KubeErrorKind.Protocol, "The server answered 200 with something other than one JSON object. Check the server address.");
    }

    private static string PathOf(LiveListQuery query)
    {
        var parameters = new List<string>();
        Add("limit", query.Limit?.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Add("continue", query.Continue);
        Add("labelSelector", query.LabelSelector);
        Add("fieldSelector", query.FieldSelector);
        if (string.IsNullOrEmpty(query.Continue) && !string.IsNullOrEmpty(query.ResourceVersion))
        {
            Add("resourceVersion", query.ResourceVersion);
            // Zero is "whatever is cached", for which no match may be named together with a limit.
            Add("resourceVersionMatch", query.ResourceVersion == "0" ? null : "NotOlderThan");
        }

        string path = query.Resource.PathOf(query.Namespace);
        return parameters.Count == 0 ? path : $"{path}?{string.Join('&', parameters)}";

        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                parameters.Add($"{name}={Uri.EscapeDataString(value)}");
            }
        }
    }
}
