using MultiCluster.Clusters;

namespace MultiCluster.Fleet;

/// <summary>Knows which clusters belong to the fleet, and the latest summary of each.</summary>
/// <remarks>
/// There is one, under the key <see cref="Key"/>. It never talks to a member cluster and never waits for a cluster grain,
/// so that no member can hold it up. Registration and removal go through <see cref="IClusterGrain"/>, which reports here.
/// </remarks>
[Alias("multicluster.fleet")]
public interface IFleetGrain : IGrainWithStringKey
{
    /// <summary>The only key of a fleet grain.</summary>
    const string Key = "fleet";

    /// <summary>Takes a cluster into the fleet, or replaces what is known of it. Idempotent; durable when it returns.</summary>
    /// <remarks>For a registration (<see cref="ClusterEntry.Uid"/>) that it does not know yet, the fleet stamps <see cref="ClusterEntry.JoinedAt"/> itself.</remarks>
    [Alias("admit")]
    Task<Admission> AdmitAsync(ClusterEntry entry);

    /// <summary>Takes a cluster out of the fleet. Idempotent; durable when it returns.</summary>
    /// <param name="name">Name of the cluster.</param>
    /// <param name="leftAt">Fleet revision of its last change, so that a watch that resumes before it learns of the leave.</param>
    [Alias("dismiss")]
    Task<long> DismissAsync(string name, long leftAt);

    /// <summary>Takes the latest summary of a cluster. Returns false where the fleet lacks the cluster or its last change: it must be admitted again.</summary>
    [Alias("report")]
    Task<bool> ReportAsync(ClusterSummary summary);

    /// <summary>The fleet as it is now.</summary>
    [Alias("view"), AlwaysInterleave]
    Task<FleetChange> GetAsync();

    /// <summary>The whole fleet first, then every change; changes that come faster than they are read are joined, none is lost.</summary>
    /// <remarks>
    /// Without changes a message comes every second all the same, to say by <see cref="FleetChange.Through"/> how far the reader is.
    /// Ends when the grain moves or stops: subscribe again, and take the whole fleet that comes first in place of what was known.
    /// </remarks>
    [Alias("watch"), AlwaysInterleave]
    IAsyncEnumerable<FleetChange> WatchAsync(CancellationToken cancellationToken);
}
