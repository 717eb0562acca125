using MultiCluster.Fleet;

namespace MultiCluster.Grains.Fleet;

/// <summary>What the fleet keeps on disk: who belongs to it, and who left lately. Summaries come anew from the clusters.</summary>
[GenerateSerializer, Alias("multicluster.fleet-state")]
internal sealed class FleetState
{
    /// <summary>Last version at the time of the write; the next activation goes on above it.</summary>
    [Id(0)] public long Version { get; set; }

    /// <summary>The clusters, without their summaries.</summary>
    [Id(1)] public List<ClusterEntry> Clusters { get; set; } = [];

    /// <summary>Those that left, oldest first.</summary>
    [Id(2)] public List<DepartureRecord> Departures { get; set; } = [];
}

/// <summary>A departure and when it was noted, by which it is forgotten.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.departure-record")]
internal sealed record DepartureRecord([property: Id(0)] Departure Departure, [property: Id(1)] DateTimeOffset NotedAt);
