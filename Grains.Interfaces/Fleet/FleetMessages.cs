using System.Collections.Immutable;
using MultiCluster.Clusters;

namespace MultiCluster.Fleet;

/// <summary>One registered cluster: what the user said of it, and what its grain last reported.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-entry")]
public sealed record ClusterEntry
{
    /// <summary>Name: a DNS label, unique in the fleet.</summary>
    [Id(0)] public required string Name { get; init; }

    /// <summary>Drawn at registration: a cluster that is removed and registered anew under its name has another.</summary>
    [Id(1)] public required Guid Uid { get; init; }

    /// <summary>Labels that the user gave it; clusters are selected by them.</summary>
    [Id(2)] public ImmutableSortedDictionary<string, string> Labels { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>False while a user has switched it off: its loops stand still and reads name it <c>Disabled</c>.</summary>
    [Id(3)] public bool Enabled { get; init; } = true;

    /// <summary>When it was registered.</summary>
    [Id(4)] public DateTimeOffset RegisteredAt { get; init; }

    /// <summary>Fleet revision of the registration: a watch that resumes before it has never seen this cluster.</summary>
    [Id(5)] public long JoinedAt { get; init; }

    /// <summary>Address of its API server.</summary>
    [Id(6)] public string Server { get; init; } = "";

    /// <summary>What tells this server from any other (the uid of its <c>kube-system</c> namespace); empty where it could not be read.</summary>
    [Id(7)] public string ServerIdentity { get; init; } = "";

    /// <summary>Counts the user's changes of this entry; an update may demand one.</summary>
    [Id(8)] public long Generation { get; init; } = 1;

    /// <summary>Which kinds are mirrored.</summary>
    [Id(9)] public MirrorScope Mirror { get; init; } = MirrorScope.Default;

    /// <summary>Last report of its grain; null until the first.</summary>
    [Id(10)] public ClusterSummary? Summary { get; init; }

    /// <summary>Fleet revision of the last change of <see cref="Labels"/> or <see cref="Enabled"/>; 0 where neither has changed since it joined.</summary>
    /// <remarks>A watch that resumes from before it cannot know whether this cluster was part of it then, and expires.</remarks>
    [Id(11)] public long SelectionChangedAt { get; init; }
}

/// <summary>A cluster that left, remembered for as long as a watch may resume from before it.</summary>
/// <param name="Name">Name it had.</param>
/// <param name="Uid">Registration that ended.</param>
/// <param name="LeftAt">Fleet revision of its last change.</param>
[GenerateSerializer, Immutable, Alias("multicluster.departure")]
public readonly record struct Departure(
    [property: Id(0)] string Name,
    [property: Id(1)] Guid Uid,
    [property: Id(2)] long LeftAt);

/// <summary>A change of the fleet, or all of it.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.fleet-change")]
public sealed record FleetChange
{
    /// <summary>Grows with every change of the fleet. A reader that acts on a change it made waits until it sees that version.</summary>
    [Id(0)] public required long Version { get; init; }

    /// <summary>True where <see cref="Clusters"/> and <see cref="Departures"/> are everything there is.</summary>
    [Id(1)] public required bool Whole { get; init; }

    /// <summary>Clusters that are new or different.</summary>
    [Id(2)] public ImmutableArray<ClusterEntry> Clusters { get; init; } = [];

    /// <summary>Clusters that left; to be applied before <see cref="Clusters"/>, since a name may have come back with another uid.</summary>
    [Id(3)] public ImmutableArray<Departure> Departures { get; init; } = [];

    /// <summary>Fleet revision: every join, leave and change of selection stamped up to here has been delivered, this message included.</summary>
    /// <remarks>
    /// Without it a watch could hand out a revision later than the join of a cluster that it has not yet heard of, and whoever
    /// resumed from there would never see that cluster's objects. Hence the fleet grain stamps <see cref="ClusterEntry.JoinedAt"/>,
    /// <see cref="ClusterEntry.SelectionChangedAt"/> and <see cref="Departure.LeftAt"/> later than any value it has sent here.
    /// </remarks>
    [Id(4)] public long Through { get; init; }
}

/// <summary>What the fleet says to a cluster that joins.</summary>
/// <param name="Version">Version of the fleet that holds it.</param>
/// <param name="SameServerAs">Other names under which the same server is registered; a warning to the user, no refusal.</param>
/// <param name="Entry">The cluster as the fleet holds it, with the revisions that the fleet has stamped.</param>
[GenerateSerializer, Immutable, Alias("multicluster.admission")]
public sealed record Admission(
    [property: Id(0)] long Version,
    [property: Id(1)] ImmutableArray<string> SameServerAs,
    [property: Id(2)] ClusterEntry Entry);
