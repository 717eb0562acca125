using MultiCluster.Kubernetes.Configuration;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>The headers that say who asks.</summary>
internal static class RequestHeaders
{
    public static void Authorize(HttpRequestMessage message, ClusterConnection connection, string? token)
    {
        if (token is not null)
        {
            _ = message.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        }

        if (connection.Impersonation is not { } acting)
        {
            return;
        }

        _ = message.Headers.TryAddWithoutValidation("Impersonate-User", acting.User);
        if (acting.Uid is { } uid)
        {
            _ = message.Headers.TryAddWithoutValidation("Impersonate-Uid", uid);
        }

        if (!acting.Groups.IsEmpty)
        {
            _ = message.Headers.TryAddWithoutValidation("Impersonate-Group", acting.Groups);
        }

        foreach (IGrouping<string, string> extra in acting.Extra.GroupBy(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal))
        {
            // Header names are case-insensitive and of few characters, so the API server decodes the key from percent signs.
            _ = message.Headers.TryAddWithoutValidation($"Impersonate-Extra-{Uri.EscapeDataString(extra.Key)}", extra);
        }
    }

    /// <summary>Whether a forwarded request may not bring this header: it would speak for us or name another host.</summary>
    public static bool IsOurs(string name) =>
        name.StartsWith("Impersonate-", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Authorization", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Cookie", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Host", StringComparison.OrdinalIgnoreCase);
}

/// <summary>The answer to a forwarded request; dispose it when its content has been passed on.</summary>
public sealed class ForwardedAnswer : IDisposable
{
    private readonly ConnectionLease _lease;

    internal ForwardedAnswer(HttpResponseMessage message, ConnectionLease lease)
    {
        Message = message;
        _lease = lease;
    }

    /// <summary>Status, headers and content as the server sent them.</summary>
    public HttpResponseMessage Message { get; }

    /// <summary>Ends the request.</summary>
    public void Dispose()
    {
        Message.Dispose();
        _lease.Dispose();
    }
}

/// <summary>What a client has learned about its server and every part that uses it may know.</summary>
/// <remarks>Thread-safe. Facts only ever turn from unknown to known; a server that is upgraded is asked anew after a restart of ours.</remarks>
public sealed class ServerFeatures
{
    // Every kind notices a restore by itself, within seconds of the others or when its watch ends.
    private static readonly TimeSpan OneRestore = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private int _watchListRefused;
    private long? _restoreSeen;

    /// <summary>Whether the server has refused to stream a list as a watch (<c>sendInitialEvents</c>).</summary>
    public bool WatchListRefused => Volatile.Read(ref _watchListRefused) != 0;

    /// <summary>Notes that it has; true for the first who says so.</summary>
    internal bool RefuseWatchList() => Interlocked.Exchange(ref _watchListRefused, 1) == 0;

    /// <summary>Notes that the server went back to an older state; true for the first who says so of one restore.</summary>
    internal bool NoticeRestore(TimeProvider time)
    {
        lock (_gate)
        {
            bool isNew = _restoreSeen is not { } seen || time.GetElapsedTime(seen) > OneRestore;
            _restoreSeen = isNew ? time.GetTimestamp() : _restoreSeen;
            return isNew;
        }
    }
}
