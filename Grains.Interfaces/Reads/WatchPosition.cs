using System.Collections.Immutable;

namespace MultiCluster.Reads;

/// <summary>Where a watch over one cluster stands, so that it can go on exactly there.</summary>
/// <remarks>
/// A grain sends it with its batches; the reader gives the last one back when it opens the stream again and reads nothing of it but
/// <see cref="Stamp"/>. While the grain has kept its history, the stamp says it all. A grain that has lost its memory asks the member for the
/// state at <see cref="Points"/> instead, and tells what has become of it. It holds versions of one member and never leaves the service.
/// </remarks>
[GenerateSerializer, Immutable, Alias("multicluster.watch-position")]
public sealed record WatchPosition
{
    /// <summary>The registration that was watched. Another one under the name of the cluster cannot go on from it.</summary>
    [Id(0)] public required Guid Registration { get; init; }

    /// <summary>The history that <see cref="Stamp"/> belongs to; empty where only <see cref="Points"/> tell what was seen.</summary>
    [Id(1)] public required Guid History { get; init; }

    /// <summary>Fleet revision to go on from.</summary>
    [Id(2)] public required long Stamp { get; init; }

    /// <summary>What was seen, as versions of the member; empty where that cannot be told.</summary>
    /// <remarks>In list order, each from behind the one before; the last goes to the end. Usually there is one.</remarks>
    [Id(3)] public ImmutableArray<MemberPoint> Points { get; init; } = [];

    /// <summary>At which versions the kinds of owners stood, where the query asks for owners.</summary>
    [Id(4)] public ImmutableArray<MemberKindVersion> Owners { get; init; } = [];

    /// <summary>Of the present state, objects up to this one were told; null once all of it is.</summary>
    [Id(5)] public ObjectKey? PresentThrough { get; init; }
}

/// <summary>Objects up to a key were seen as of one version of the member.</summary>
/// <param name="Version">The member's resourceVersion; 0 where there was nothing.</param>
/// <param name="Through">Last key; null for all that follow.</param>
/// <param name="Count">Where it is the whole kind: how many objects of it there were, whether shown or not; negative where that is not known.</param>
/// <param name="Since">Where it is the whole kind: an earlier version from which on it was the same; 0 where none is known.</param>
[GenerateSerializer, Immutable, Alias("multicluster.member-point")]
public readonly record struct MemberPoint(
    [property: Id(0)] long Version,
    [property: Id(1)] ObjectKey? Through,
    [property: Id(2)] int Count = -1,
    [property: Id(3)] long Since = 0);

/// <summary>At which version of the member a kind stood.</summary>
/// <param name="GroupResource">The kind.</param>
/// <param name="Version">The member's resourceVersion; 0 where there was nothing.</param>
[GenerateSerializer, Immutable, Alias("multicluster.member-kind-version")]
public readonly record struct MemberKindVersion(
    [property: Id(0)] string GroupResource,
    [property: Id(1)] long Version);
