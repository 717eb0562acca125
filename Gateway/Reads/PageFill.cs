using System.Collections.Immutable;
using System.Threading.Channels;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>Fills one page from clusters in their order.</summary>
/// <remarks>
/// Begins with one cluster and doubles the number of clusters asked at the same time with every answer, as far as the answers so far let
/// expect that many to be needed: a page that the first cluster fills costs one question, one whose objects are rare in a thousand clusters is asked for at the same
/// time everywhere. Members themselves are asked all at the same time from the start, since one that hangs would keep the rest waiting until the deadline. Clusters whose silo is
/// known to be lost are asked beside the others: each is waited for half a second, and one after the other they would take up the deadline. Answers that came too much are
/// dropped, and their memory with them.
/// </remarks>
internal sealed class PageFill(ClusterCalls calls, FleetQuery query, ImmutableArray<ClusterEntry> clusters, ContinueToken? from, long revision, FleetClock clock)
{
    private const int FirstParallel = 1;

    /// <summary>Most bytes of one page; a page that reaches it ends early.</summary>
    public const int MaxPageBytes = 64 << 20;

    private readonly List<FleetItem> _items = [];
    private readonly List<ClusterCoverage> _coverage = [];
    private ContinueToken? _next;
    private bool _isEnded;
    private long _bytes;

    public IReadOnlyList<FleetItem> Items => _items;

    /// <summary>Coverage of the clusters that have their say in this page, in order.</summary>
    public IReadOnlyList<ClusterCoverage> Coverage => _coverage;

    /// <summary>Where the next page begins; null after the last.</summary>
    public ContinueToken? Next => _next;

    /// <summary>Index of the first cluster that this page did not come to.</summary>
    public int Reached { get; private set; }

    public async Task RunAsync(TimeProvider time, CancellationToken caller)
    {
        using var deadline = new CancellationTokenSource(query.Deadline, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, caller);
        var answers = new ClusterPage?[clusters.Length];
        Channel<(int Index, Task<ClusterPage> Answer)> done = Channel.CreateUnbounded<(int, Task<ClusterPage>)>();
        int first = FirstCluster();
        int asked = first;
        int taken = first;
        int running = 0;
        HashSet<int> beside = [];   // asked, and of silos that are lost
        int parallel = query.Source == ReadSource.Live ? ClusterCalls.MaxParallel : FirstParallel;
        int known = 0;
        long rows = 0;
        int waiting = 0;   // objects of answers that wait for an earlier cluster
        long start = time.GetTimestamp();
        while (!_isEnded && taken < clusters.Length)
        {
            // The first cluster is asked in any case, so that a list goes on however short its deadlines are.
            while (asked < clusters.Length && running < parallel && beside.Count < ClusterCalls.MaxParallel && _items.Count + waiting < query.Limit && (asked == first || !stop.IsCancellationRequested))
            {
                if (clusters[asked].Enabled)
                {
                    TimeSpan left = query.Deadline - time.GetElapsedTime(start);
                    int index = asked;
                    if (calls.IsLost(clusters[index].Name))
                    {
                        beside.Add(index);
                    }
                    else
                    {
                        running++;
                    }

                    Task<ClusterPage> answer = AskAsync(index, left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1), stop.Token, caller);
                    _ = answer.ContinueWith(
                        (task, _) => done.Writer.TryWrite((index, task)), null, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
                }
                else
                {
                    answers[asked] = Disabled(clusters[asked].Name);
                }

                asked++;
                taken = TakeReady(answers, taken, ref waiting);
            }

            if (_isEnded || taken == clusters.Length)
            {
                break;
            }

            if (running + beside.Count == 0)
            {
                if (taken < asked)
                {
                    continue;
                }

                // The page is full, or the deadline passed before these clusters could be asked: the next page begins with them.
                EndBefore(taken);
                break;
            }

            (int answered, Task<ClusterPage> page) = await done.Reader.ReadAsync(caller);
            running -= beside.Remove(answered) ? 0 : 1;
            answers[answered] = await page;
            clock.Observe(answers[answered]!.Revision);
            waiting += answers[answered]!.Rows.Length;
            known++;
            rows += answers[answered]!.Rows.Length;
            parallel = Parallel(parallel, known, rows, query.Limit - _items.Count - waiting);
            taken = TakeReady(answers, taken, ref waiting);
        }

        Reached = taken;
        await stop.CancelAsync();   // whoever is still being asked need not go on; its answer is dropped
    }

    /// <summary>How many clusters to ask at the same time: twice as many as before, but no more than will be needed if all are like those that answered.</summary>
    private static int Parallel(int before, int known, long rows, int room)
    {
        long needed = rows == 0 ? long.MaxValue : ((long)room * known / rows) + 1;
        return (int)Math.Clamp(needed, 1, Math.Min(before * 2, ClusterCalls.MaxParallel));
    }

    private Task<ClusterPage> AskAsync(int index, TimeSpan left, CancellationToken stop, CancellationToken caller)
    {
        ClusterEntry cluster = clusters[index];
        bool isFirst = from is not null && cluster.Name == from.Cluster;
        var request = new ClusterListRequest
        {
            Query = query.Objects,
            After = isFirst && from!.Position == PagePosition.AfterKey ? from.Key : null,
            Limit = query.Limit - _items.Count,
            MaxBytes = (int)Math.Max(1, MaxPageBytes - _bytes),
            Revision = revision,
            Projection = query.Projection,
            Live = query.Source == ReadSource.Live,
            LiveContinue = isFirst && from!.Position == PagePosition.AtMemberToken ? from.MemberToken : null,
            Deadline = left,
        };
        return calls.AskAsync(
            cluster.Name,
            (grain, token) => grain.ListAsync(request, token),
            static coverage => new ClusterPage { Coverage = coverage },
            stop,
            caller,
            fromMirror: query.Source == ReadSource.Mirror);
    }

    /// <summary>Takes over answers in order, as far as there is no gap.</summary>
    private int TakeReady(ClusterPage?[] answers, int taken, ref int waiting)
    {
        while (!_isEnded && taken < answers.Length && answers[taken] is { } answer)
        {
            answers[taken] = null;
            waiting -= answer.Rows.Length;
            if (!Take(taken, answer))
            {
                return taken;
            }

            taken++;
        }

        return taken;
    }

    /// <summary>Takes over one answer. False where nothing of it has a place any more.</summary>
    private bool Take(int index, ClusterPage answer)
    {
        string cluster = clusters[index].Name;
        int room = query.Limit - _items.Count;
        if (room == 0)
        {
            // The page is full at the end of the cluster before. Whether this one has objects, the next page will tell.
            EndBefore(index);
            return false;
        }

        bool live = query.Source == ReadSource.Live;
        bool cut = answer.Rows.Length > room;
        if (cut && live && _items.Count > 0)
        {
            // The member's token stands behind all it sent: a page of live objects ends where a member's page ends.
            EndBefore(index);
            return false;
        }

        // A member that does not keep to the limit is taken as it is: there is no token for the middle of what it sent.
        int count = live ? answer.Rows.Length : Math.Min(answer.Rows.Length, room);
        Add(cluster, answer, count);
        _coverage.Add(answer.Coverage with { Items = count });
        if (live ? answer.More : count > 0 && (cut || answer.More))
        {
            _isEnded = true;
            _next = live
                ? Token(PagePosition.AtMemberToken, cluster) with { MemberToken = answer.LiveContinue ?? "" }
                : Token(PagePosition.AfterKey, cluster) with { Key = new ObjectKey(answer.Rows[count - 1].Namespace, answer.Rows[count - 1].Name) };
        }

        return true;
    }

    private void Add(string cluster, ClusterPage answer, int count)
    {
        byte[] payload = answer.Payload;
        int used = 0;
        for (int i = 0; i < count; i++)
        {
            used = Math.Max(used, answer.Rows[i].Offset + answer.Rows[i].Length);
        }

        if (used < payload.Length)
        {
            payload = payload[..used];   // else the items would hold what is not theirs
        }

        _bytes += used;
        foreach (ObjectRow row in answer.Rows.AsSpan()[..count])
        {
            _items.Add(new FleetItem(cluster, row, payload.AsMemory(row.Offset, row.Length)));
        }
    }

    private void EndBefore(int index)
    {
        _isEnded = true;
        _next = Token(PagePosition.AfterCluster, clusters[index - 1].Name);
    }

    private ContinueToken Token(PagePosition position, string cluster) => new(position, revision, from?.QueryHash ?? ContinueToken.HashOf(query), cluster);

    private int FirstCluster()
    {
        if (from is null)
        {
            return 0;
        }

        for (int i = 0; i < clusters.Length; i++)
        {
            int order = string.CompareOrdinal(clusters[i].Name, from.Cluster);
            if (order > 0 || (order == 0 && from.Position != PagePosition.AfterCluster))
            {
                return i;
            }
        }

        return clusters.Length;
    }

    private static ClusterPage Disabled(string cluster) => new() { Coverage = FleetCoverage.Disabled(cluster) };
}
