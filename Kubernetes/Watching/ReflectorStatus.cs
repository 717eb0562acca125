using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>What a reflector is doing.</summary>
public enum ReflectorPhase
{
    /// <summary>Not started, or stopped.</summary>
    Idle,

    /// <summary>Waiting for a place among the lists that may run at once.</summary>
    Queued,

    /// <summary>Reading a list.</summary>
    Listing,

    /// <summary>A watch is open, or being opened again in its normal life.</summary>
    Watching,

    /// <summary>Waiting after a failure; whoever is told of it can end the wait.</summary>
    BackingOff,

    /// <summary>Opening the first watch after a list, or one after a failure.</summary>
    Opening,
}

/// <summary>The state of one reflector at one moment; immutable.</summary>
/// <param name="Phase">What it is doing.</param>
/// <param name="Since">Since when it has been doing that.</param>
public sealed record ReflectorStatus(ReflectorPhase Phase, DateTimeOffset Since)
{
    /// <summary>Why the last attempt failed; null after a list or a watch that works.</summary>
    public KubeError? Error { get; init; }

    /// <summary>Since when it has been failing without a success between; null when it is not.</summary>
    public DateTimeOffset? FailingSince { get; init; }

    /// <summary>Failures in a row.</summary>
    public int Failures { get; init; }

    /// <summary>Failures in a row that were all of the kind of <see cref="Error"/>; lists between them do not end the row, a watch that opens does.</summary>
    public int FailuresAlike { get; init; }

    /// <summary>Whether a whole list has been delivered since the start.</summary>
    public bool Synced { get; init; }

    /// <summary>When anything was last heard that proves the copy current: an event, a bookmark, the end of a list, or the server accepting the watch.</summary>
    public DateTimeOffset? LastHeard { get; init; }

    /// <summary>Revision up to which everything has been delivered; empty before the first list.</summary>
    public string ResourceVersion { get; init; } = "";

    /// <summary>Lists delivered whole since the start; above 1 the watch has had gaps.</summary>
    public int Lists { get; init; }

    /// <summary>Watches that the server has accepted since the start.</summary>
    public int Watches { get; init; }

    /// <summary>Whether the server does not serve the kind at present (404).</summary>
    public bool Vanished { get; init; }

    /// <summary>Whether the open watch is known to carry bookmarks, about one a minute.</summary>
    public bool Bookmarks { get; init; }
}
