using System.Globalization;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>The objects of one kind as they were at an earlier revision of their member.</summary>
/// <param name="Resource">Kind.</param>
/// <param name="Version">The resourceVersion; positive.</param>
public sealed record PastList(ResourceType Resource, long Version)
{
    /// <summary>Namespace; null for all.</summary>
    public string? Namespace { get; init; }

    /// <summary>Label selector in text form, for the labels that objects had then; null for all.</summary>
    public string? LabelSelector { get; init; }

    /// <summary>Field selector in text form; null for all.</summary>
    public string? FieldSelector { get; init; }

    /// <summary>Whether to ask for metadata only.</summary>
    public bool MetadataOnly { get; init; }

    /// <summary>Objects of a page.</summary>
    /// <value>Default 500.</value>
    public int PageSize { get; init; } = 500;

    /// <summary>Deadline of a page.</summary>
    /// <value>Default 30 seconds.</value>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Reads what a member's objects were, as long as the member has not compacted it away (five to ten minutes by default).</summary>
public static class PastReads
{
    private const int ReadBytes = 64 * 1024;
    private const int MaxObjectBytes = 8 * 1024 * 1024;

    /// <summary>Reads one page.</summary>
    /// <param name="client">Client of the member.</param>
    /// <param name="list">What to list.</param>
    /// <param name="token">The member's token of the page; empty for the first.</param>
    /// <param name="take">Called with each object; its bytes die when it returns. After a failure it may have been called for a part of the page.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <returns>Token of the next page; empty on the last.</returns>
    /// <exception cref="KubeException">
    /// It failed; <see cref="KubeErrorKind.Gone"/> when the revision is compacted, <see cref="KubeErrorKind.Invalid"/> also when the server
    /// answered with another revision than the one it was asked for, as servers before 1.19 do.
    /// </exception>
    public static async Task<string> ReadPastPageAsync(
        this KubeClient client, PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(list);
        ArgumentNullException.ThrowIfNull(token);
        ArgumentNullException.ThrowIfNull(take);
        using var deadline = new CancellationTokenSource(list.Timeout, client.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var page = new ListPageReader(MaxObjectBytes, item => take(item));
        try
        {
            await using KubeStream stream = await client.OpenAsync(RequestOf(list, token), either.Token);
            using var buffer = new ReceiveBuffer(ReadBytes);
            int count;
            while ((count = await stream.Body.ReadAsync(buffer.Free(), either.Token)) > 0)
            {
                buffer.Commit(count);
                buffer.Consume(page.Read(buffer.Unread));
            }

            page.Finish();
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new KubeException(ErrorClassifier.FromException(e, client.Connection.Server), e);
        }

        string asked = list.Version.ToString(CultureInfo.InvariantCulture);
        if (page.ResourceVersion != asked)
        {
            throw new KubeException(KubeErrorKind.Invalid, $"The server was asked for revision {asked} and answered with {page.ResourceVersion}: it does not know exact lists.");
        }

        if (page.Continue.Length > 0 && page.Continue == token)
        {
            throw new KubeException(KubeErrorKind.Protocol, "The server sent the same page twice.");
        }

        return page.Continue;
    }

    private static KubeRequest RequestOf(PastList list, string token)
    {
        var options = new ReflectorOptions
        {
            Namespace = list.Namespace,
            LabelSelector = list.LabelSelector,
            FieldSelector = list.FieldSelector,
            MetadataOnly = list.MetadataOnly,
            PageSize = list.PageSize,
        };
        return new ReflectorRequests(list.Resource, options).ExactList(list.Version, token) with { Timeout = list.Timeout };
    }
}
