using MultiCluster.Fleet;
using MultiCluster.Reads;
using Orleans;

namespace MultiCluster.Gateway.Reads;

/// <summary>Reads objects of many clusters at once: the one read model behind every surface.</summary>
/// <remarks>
/// Every method checks the whole request first and throws <see cref="InvalidQueryException"/> before any cluster is asked.
/// A sick cluster never fails an answer and never holds it up past the deadline, unless the request is strict; coverage says what is missing.
/// Thread-safe, holds no state between calls.
/// </remarks>
public sealed class FleetReader(IGrainFactory grains, FleetView fleet, FleetClock clock, TimeProvider time)
{
    /// <summary>One page of objects.</summary>
    /// <exception cref="InvalidQueryException">The request is wrong.</exception>
    /// <exception cref="IncompleteReadException">The request is strict and a cluster is not covered.</exception>
    /// <exception cref="ExpiredReadException">The continue token of a live list has expired in the member.</exception>
    /// <exception cref="FleetUnavailableException">This gateway has not heard from the fleet within the deadline.</exception>
    public Task<FleetPage> ListAsync(FleetQuery query, CancellationToken cancellationToken) => throw Unfinished(query);

    /// <summary>The objects of one name, from every selected cluster that has it.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public Task<FleetObjects> GetAsync(FleetGetQuery query, CancellationToken cancellationToken) => throw Unfinished(query);

    /// <summary>How many objects a query finds, grouped.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public Task<FleetCounts> CountAsync(FleetCountQuery query, CancellationToken cancellationToken) => throw Unfinished(query);

    /// <summary>The present or the changes since a revision, then every change. Ends only by cancellation or after a batch that says why.</summary>
    /// <remarks>The request is checked when the enumeration begins. Batches must be read steadily: a reader that falls too far behind is cut off.</remarks>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public IAsyncEnumerable<FleetWatchBatch> WatchAsync(FleetWatchQuery query, CancellationToken cancellationToken) => throw Unfinished(query);

    /// <summary>The kinds that the selected clusters serve.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public Task<FleetKinds> KindsAsync(ClusterSelection clusters, CancellationToken cancellationToken) => throw Unfinished(clusters);

    private FleetUnavailableException Unfinished(object query) =>
        new($"Reads are being built: {query.GetType().Name} over {fleet.Current.Clusters.Count} clusters {grains.GetType().Name} {clock.Now()} {time.LocalTimeZone}.");
}
