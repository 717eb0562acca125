using MultiCluster.Clusters;

namespace MultiCluster.Grains.Cluster;

/// <summary>How a cluster's server stands, and what has been seen that does not show yet.</summary>
/// <remarks>Immutable; <see cref="Next"/> is a pure function, so the whole behaviour is a table.</remarks>
/// <param name="Phase">What shows: <c>Pending</c> until the first probe, then <c>Online</c>, <c>Degraded</c>, <c>AuthFailed</c> or <c>Offline</c>.</param>
/// <param name="Fault">Why it is not <c>Online</c>.</param>
/// <param name="Since">When it began to show.</param>
internal sealed record HealthState(ClusterPhase Phase, ClusterFault? Fault, DateTimeOffset Since)
{
    /// <summary>Probes in a row that were worse (negative) or better (positive) than what shows.</summary>
    public int Streak { get; init; }

    /// <summary>Whether the last probe found all well, and that shows.</summary>
    public bool IsWell => Phase == ClusterPhase.Online && Streak == 0;

    /// <summary>Nothing heard yet.</summary>
    public static HealthState Unknown(DateTimeOffset now) => new(ClusterPhase.Pending, null, now);

    /// <summary>What shows after one more probe.</summary>
    /// <remarks>
    /// The first probe counts at once. After that a worse state must be seen <paramref name="downAfter"/> times in a row and a
    /// better one <paramref name="upAfter"/> times; seen is anything worse, or better, than what shows, and what then shows is
    /// the last of them. A probe that finds what shows starts both counts anew and brings its reason up to date.
    /// A refusal by a server that was unreachable must hold as a worse state must: one that starts refuses everybody until it
    /// has loaded its roles.
    /// </remarks>
    public HealthState Next(in ProbeReading probe, DateTimeOffset now, int downAfter, int upAfter)
    {
        ClusterPhase seen = PhaseOf(probe.Verdict);
        if (Phase == ClusterPhase.Pending)
        {
            return new HealthState(seen, probe.Fault, now);
        }

        if (seen == Phase)
        {
            return this with { Fault = probe.Fault, Streak = 0 };
        }

        bool better = probe.Verdict > VerdictOf(Phase);
        int streak = better ? Math.Max(Streak, 0) + 1 : Math.Min(Streak, 0) - 1;
        int wanted = !better ? downAfter : probe.Verdict == ProbeVerdict.Refused ? Math.Max(upAfter, downAfter) : upAfter;
        return Math.Abs(streak) >= wanted
            ? new HealthState(seen, probe.Fault, now)
            : this with { Streak = streak };
    }

    private static ClusterPhase PhaseOf(ProbeVerdict verdict) => verdict switch
    {
        ProbeVerdict.Healthy => ClusterPhase.Online,
        ProbeVerdict.Unhealthy => ClusterPhase.Degraded,
        ProbeVerdict.Refused => ClusterPhase.AuthFailed,
        _ => ClusterPhase.Offline,
    };

    private static ProbeVerdict VerdictOf(ClusterPhase phase) => phase switch
    {
        ClusterPhase.Online => ProbeVerdict.Healthy,
        ClusterPhase.Degraded => ProbeVerdict.Unhealthy,
        ClusterPhase.AuthFailed => ProbeVerdict.Refused,
        _ => ProbeVerdict.Unreachable,
    };
}

/// <summary>The phase of a cluster as users see it: its server's health joined with the state of its mirror.</summary>
/// <param name="Phase">Phase.</param>
/// <param name="Fault">Why it is not <c>Online</c>.</param>
/// <param name="Since">Since when.</param>
internal sealed record ClusterStanding(ClusterPhase Phase, ClusterFault? Fault, DateTimeOffset Since)
{
    /// <summary>The standing that follows from this one.</summary>
    /// <param name="health">Health of the server.</param>
    /// <param name="mirror">What is wrong with the mirror; null where nothing is.</param>
    /// <param name="now">Time that the new phase is stamped with where it differs.</param>
    public ClusterStanding With(HealthState health, ClusterFault? mirror, DateTimeOffset now)
    {
        // A server that is worse than degraded explains its mirror; the reason nearest to the cause shows.
        (ClusterPhase phase, ClusterFault? fault) = health.Phase == ClusterPhase.Online && mirror is not null
            ? (ClusterPhase.Degraded, mirror)
            : (health.Phase, health.Fault);
        return phase == Phase ? this with { Fault = fault } : new ClusterStanding(phase, fault, now);
    }
}
