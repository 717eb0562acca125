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
/// <remarks>Thread-safe. What the server lacks is forgotten when its version changes, and after some hours: upgrades bring it.</remarks>
public sealed class ServerFeatures
{
    // An upgrade whose version nobody has read, such as of one server behind a load balancer. Asking costs one refused request.
    private static readonly TimeSpan RefusalHolds = TimeSpan.FromHours(6);

    // Every kind notices a restore by itself, within seconds of the others or when its watch ends.
    private static readonly TimeSpan OneRestore = TimeSpan.FromMinutes(10);

    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private long? _watchListRefused;
    private long? _restoreSeen;
    private string? _version;

    internal ServerFeatures(TimeProvider time) => _time = time;

    /// <summary>Whether the server has refused to stream a list as a watch (<c>sendInitialEvents</c>).</summary>
    public bool WatchListRefused
    {
        get
        {
            lock (_gate)
            {
                return _watchListRefused is { } since && _time.GetElapsedTime(since) < RefusalHolds;
            }
        }
    }

    /// <summary>Notes that it has; true for the first who says so.</summary>
    internal bool RefuseWatchList()
    {
        lock (_gate)
        {
            bool isNew = _watchListRefused is not { } since || _time.GetElapsedTime(since) >= RefusalHolds;
            _watchListRefused = isNew ? _time.GetTimestamp() : _watchListRefused;
            return isNew;
        }
    }

    /// <summary>Notes the server's version; another than before may have what that one lacked.</summary>
    internal void NoticeVersion(string version)
    {
        lock (_gate)
        {
            if (_version is not null && _version != version)
            {
                _watchListRefused = null;
            }

            _version = version;
        }
    }

    /// <summary>Notes that the server went back to an older state; true for the first who says so of one restore.</summary>
    internal bool NoticeRestore()
    {
        lock (_gate)
        {
            bool isNew = _restoreSeen is not { } seen || _time.GetElapsedTime(seen) > OneRestore;
            _restoreSeen = isNew ? _time.GetTimestamp() : _restoreSeen;
            return isNew;
        }
    }
}
