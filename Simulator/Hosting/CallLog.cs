using MultiCluster.Simulator.Protocol;

namespace MultiCluster.Simulator.Hosting;

/// <summary>One request that the simulated server received, whatever became of it.</summary>
/// <param name="Number">Counts from 1.</param>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Decoded path.</param>
/// <param name="Query">Query with its question mark, or empty.</param>
/// <param name="User">Authenticated user; null when the credentials were refused.</param>
/// <param name="Verb">Kubernetes verb, such as <c>list</c> or <c>watch</c>.</param>
/// <param name="Resource">Plural of the resource; empty for other paths.</param>
public sealed record RecordedCall(long Number, string Method, string Path, string Query, string? User, string Verb, string Resource)
{
    /// <summary>Short form for assertions: <c>list pods</c>, or <c>GET /version</c>.</summary>
    public override string ToString() => Resource.Length > 0 ? $"{Verb} {Resource}" : $"{Method} {Path}";
}

/// <summary>The last requests of a simulated server. Thread-safe.</summary>
public sealed class CallLog
{
    // Enough for any test; a demo that runs for days must not grow.
    private const int Kept = 10_000;

    private readonly Lock _gate = new();
    private readonly Queue<RecordedCall> _calls = [];
    private readonly List<(Func<RecordedCall, bool> Match, TaskCompletionSource<RecordedCall> Found)> _waiting = [];
    private long _count;

    internal CallLog()
    {
    }

    /// <summary>How many requests there were in all, also those no longer kept.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>The last 10,000 requests, oldest first.</summary>
    public IReadOnlyList<RecordedCall> All()
    {
        lock (_gate)
        {
            return [.. _calls];
        }
    }

    /// <summary>Forgets them; <see cref="Count"/> goes on.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _calls.Clear();
        }
    }

    /// <summary>Completes with the next request that matches and arrives after this call. Arm it before the act.</summary>
    /// <param name="match">Called under a lock; must be quick.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<RecordedCall> NextAsync(Func<RecordedCall, bool> match, CancellationToken cancellationToken = default)
    {
        var found = new TaskCompletionSource<RecordedCall>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _waiting.Add((match, found));
        }

        return found.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Completes with the next request of a verb and resource, such as <c>("watch", "pods")</c>.</summary>
    public Task<RecordedCall> NextAsync(string verb, string resource, CancellationToken cancellationToken = default) =>
        NextAsync(c => c.Verb == verb && c.Resource == resource, cancellationToken);

    internal void Add(string method, RequestTarget target, string query, string? user)
    {
        List<TaskCompletionSource<RecordedCall>> found = [];
        RecordedCall call;
        lock (_gate)
        {
            call = new RecordedCall(++_count, method, target.Path, query, user, target.Verb, target.Plural);
            _calls.Enqueue(call);
            if (_calls.Count > Kept)
            {
                _calls.Dequeue();
            }

            for (int i = _waiting.Count - 1; i >= 0; i--)
            {
                if (_waiting[i].Match(call))
                {
                    found.Add(_waiting[i].Found);
                    _waiting.RemoveAt(i);
                }
            }
        }

        foreach (TaskCompletionSource<RecordedCall> one in found)
        {
            one.TrySetResult(call);
        }
    }
}
