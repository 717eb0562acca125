using MultiCluster.Reads;

namespace MultiCluster.Clusters;

/// <summary>Owns one member cluster: credentials, client, health and mirror. The key is the cluster's name.</summary>
/// <remarks>
/// Commands (register, update, remove) run one at a time; reads interleave with them and with each other, and answer from
/// a snapshot of the mirror, so that neither holds up the other. Only <see cref="RegisterAsync"/>,
/// <see cref="ReplaceCredentialsAsync"/> and live reads talk to the member while the caller waits, each within its deadline.
/// A grain whose cluster is not registered answers every other call with <see cref="ClusterFault.NotRegistered"/>.
/// </remarks>
[Alias("multicluster.cluster")]
public interface IClusterGrain : IGrainWithStringKey
{
    /// <summary>Checks the cluster and, where the checks pass or the request forces it, takes it into the fleet.</summary>
    [Alias("register")]
    Task<RegistrationReply> RegisterAsync(RegisterCluster request, CancellationToken cancellationToken);

    /// <summary>Changes labels, scope of the mirror, or whether the cluster is enabled.</summary>
    [Alias("update")]
    Task<ClusterReply> UpdateAsync(UpdateCluster request);

    /// <summary>Checks new credentials and puts them in place of the old; running watches move over without losing an event.</summary>
    [Alias("replace-credentials")]
    Task<RegistrationReply> ReplaceCredentialsAsync(ReplaceCredentials request, CancellationToken cancellationToken);

    /// <summary>Takes the cluster out of the fleet and forgets its credentials. Nothing in the member is touched.</summary>
    [Alias("remove")]
    Task<ClusterReply> RemoveAsync();

    /// <summary>Everything known of the cluster, kind by kind.</summary>
    [Alias("describe"), AlwaysInterleave]
    Task<ClusterDescription> DescribeAsync();

    /// <summary>Makes sure that the grain lives and its loops run; called for every registered cluster at start.</summary>
    /// <returns>False where no cluster is registered under the name: what the fleet knows of it is a leftover.</returns>
    [Alias("ensure-running"), AlwaysInterleave]
    Task<bool> EnsureRunningAsync();

    /// <summary>Tells which silo the grain lives on, and nothing that would make it wait: a sign of life. Brings it to life as any call does.</summary>
    /// <returns>Name of the silo, as in <see cref="ClusterSummary.Silo"/>.</returns>
    [Alias("locate"), AlwaysInterleave]
    Task<string> LocateAsync();

    /// <summary>Has a second mirror of the cluster filled by a standby, and tells how far that is. Ask until it is ready, then move the grain there.</summary>
    /// <param name="standby">Key of the <see cref="IClusterStandbyGrain"/>, which the caller has placed.</param>
    /// <param name="copies">Whether it is filled from the mirror here, because the member has not filled it in time. Where the member is known to be away it is so anyway.</param>
    [Alias("prepare-move"), AlwaysInterleave]
    Task<MoveReadiness> PrepareMoveAsync(string standby, bool copies = false);

    /// <summary>All that the mirror holds, as of now, for a standby that cannot ask the member.</summary>
    [Alias("copy"), AlwaysInterleave]
    IAsyncEnumerable<MirrorPiece> CopyAsync(CancellationToken cancellationToken);

    /// <summary>One page of objects in the order of namespace and name.</summary>
    [Alias("list"), AlwaysInterleave]
    Task<ClusterPage> ListAsync(ClusterListRequest request, CancellationToken cancellationToken);

    /// <summary>One object by namespace and name.</summary>
    [Alias("get"), AlwaysInterleave]
    Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken);

    /// <summary>How many objects a query finds, grouped.</summary>
    [Alias("count"), AlwaysInterleave]
    Task<ClusterCounts> CountAsync(ClusterCountRequest request, CancellationToken cancellationToken);

    /// <summary>The present or the changes since a revision, then every change. Ends after a batch that says why.</summary>
    [Alias("watch"), AlwaysInterleave]
    IAsyncEnumerable<ClusterWatchBatch> WatchAsync(ClusterWatchRequest request, CancellationToken cancellationToken);

    /// <summary>The kinds that the cluster serves, and how the mirror stands with each.</summary>
    [Alias("kinds"), AlwaysInterleave]
    Task<ClusterKinds> GetKindsAsync();
}
