using System.Runtime.CompilerServices;
using MultiCluster.Clusters;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Cluster;

/// <content>Reads: they interleave with everything, take what they need from the fields once, and leave the turn at once.</content>
internal sealed partial class ClusterGrain
{
    public Task<ClusterDescription> DescribeAsync()
    {
        if (Entry is not { } entry)
        {
            LeaveWhenIdle();
            return Task.FromResult(new ClusterDescription());
        }

        return Task.FromResult(new ClusterDescription
        {
            Cluster = entry with { Summary = _session is { } session ? session.Summary : IdleSummary(entry) },
            Checks = _stored.State.Checks,
            Kinds = _session?.Kinds() ?? [],
            ProbedAt = _session?.Health.ProbedAt,
        });
    }

    public Task<string> LocateAsync()
    {
        if (Entry is null)
        {
            LeaveWhenIdle();
        }

        return Task.FromResult(RuntimeIdentity);
    }

    public Task<ClusterKinds> GetKindsAsync()
    {
        if (_reads is not { } reads)
        {
            return Task.FromResult(new ClusterKinds { Coverage = Uncovered() });
        }

        CoverageState state = (reads.Phase, reads.Surface) switch
        {
            (ClusterPhase.Disabled, _) => CoverageState.Disabled,
            (ClusterPhase.Offline, _) => CoverageState.Offline,
            (ClusterPhase.AuthFailed, _) => CoverageState.Forbidden,
            (_, null) => CoverageState.Syncing,
            _ => CoverageState.Ok,
        };
        return Task.FromResult(new ClusterKinds
        {
            Coverage = new ClusterCoverage { Cluster = _name, State = state, Fault = state == CoverageState.Ok ? null : reads.Fault },
            Kinds = _session?.Kinds() ?? [],
        });
    }

    public Task<ClusterPage> ListAsync(ClusterListRequest request, CancellationToken cancellationToken) => _reads is { } reads
        ? reads.Reader.ListAsync(request, cancellationToken)
        : Task.FromResult(new ClusterPage { Coverage = Uncovered() });

    public Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken) => _reads is { } reads
        ? reads.Reader.GetAsync(request, cancellationToken)
        : Task.FromResult(new ClusterPage { Coverage = Uncovered() });

    public Task<ClusterCounts> CountAsync(ClusterCountRequest request, CancellationToken cancellationToken) => _reads is { } reads
        ? reads.Reader.CountAsync(request, cancellationToken)
        : Task.FromResult(new ClusterCounts { Coverage = Uncovered() });

    public async IAsyncEnumerable<ClusterWatchBatch> WatchAsync(ClusterWatchRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ClusterReads? reads = _reads;
        if (_departed is { } departed && request.Since is { } since && since < departed.LeftAt)
        {
            // What the watch has seen is the cluster that left, so it first takes leave of that, and then sees the one that is
            // registered under the name now, if there is one.
            WatchEnd end = WatchEnd.None;
            await foreach (ClusterWatchBatch batch in departed.Reads.Reader.WatchAsync(request, cancellationToken))
            {
                end = batch.End;
                bool goesOn = end == WatchEnd.Left && reads is not null;
                long through = Math.Min(batch.Through, departed.LeftAt);
                yield return goesOn ? batch with { End = WatchEnd.None, Through = through, Position = reads!.Reader.Before(through) } : batch;
            }

            if (end != WatchEnd.Left || reads is null)
            {
                yield break;
            }

            request = request with { Position = null };
        }

        if (reads is null)
        {
            yield return new ClusterWatchBatch { Through = request.Revision, Coverage = Uncovered(), InitialEnd = request.Since is null, End = WatchEnd.Left };
            yield break;
        }

        await foreach (ClusterWatchBatch batch in reads.Reader.WatchAsync(request, cancellationToken))
        {
            yield return batch;
        }
    }

    private ClusterCoverage Uncovered()
    {
        LeaveWhenIdle();
        return new ClusterCoverage { Cluster = _name, State = CoverageState.Failed, Fault = NotRegistered() };
    }
}
