using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Errors;

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

/// <summary>Whether a mirror that is out of step shows, which must hold as a worse probe must.</summary>
/// <remarks>
/// Immutable and pure. A server that restarts loses every watch for some seconds, and each kind fails a few times in a row
/// meanwhile; coverage says so at once, but the cluster is not degraded by it.
/// </remarks>
/// <param name="Shows">The fault that shows; null where none does.</param>
/// <param name="Streak">Probes in a row during which the mirror was worse (negative) or better (positive) than what shows.</param>
internal sealed record MirrorCondition(ClusterFault? Shows, int Streak)
{
    public static readonly MirrorCondition Well = new(null, 0);

    /// <summary>What shows at a probe. <paramref name="now"/> is what is wrong with the mirror; null where nothing is.</summary>
    public MirrorCondition AtProbe(ClusterFault? now, int downAfter, int upAfter)
    {
        if ((now is null) == (Shows is null))
        {
            return new MirrorCondition(now, 0);
        }

        int streak = now is null ? Math.Max(Streak, 0) + 1 : Math.Min(Streak, 0) - 1;
        return Math.Abs(streak) >= (now is null ? upAfter : downAfter) ? new MirrorCondition(now, 0) : this with { Streak = streak };
    }

    /// <summary>What shows at a look between two probes: a reason that has changed, and recovery where one good look is enough.</summary>
    public MirrorCondition Between(ClusterFault? now, int upAfter) => (Shows, now) switch
    {
        (null, null) => Well,
        (not null, not null) => this with { Shows = now },
        (not null, null) when upAfter == 1 => Well,
        _ => this,
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
    /// <param name="reads">Whether some kind is in step, so that the credentials do work.</param>
    public ClusterStanding With(HealthState health, ClusterFault? mirror, DateTimeOffset now, bool reads = false)
    {
        // Forbidden from the paths of health alone: the roles are for objects only. Refused (401) is refused everywhere.
        if (reads && health is { Phase: ClusterPhase.AuthFailed, Fault.Kind: nameof(KubeErrorKind.Forbidden) })
        {
            health = health with { Phase = ClusterPhase.Online, Fault = null };
        }

        // A server that is worse than degraded explains its mirror; the reason nearest to the cause shows.
        (ClusterPhase phase, ClusterFault? fault) = health.Phase == ClusterPhase.Online && mirror is not null
            ? (ClusterPhase.Degraded, mirror)
            : (health.Phase, health.Fault);
        return phase == Phase ? this with { Fault = fault } : new ClusterStanding(phase, fault, now);
    }
}
