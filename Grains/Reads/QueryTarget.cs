using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>What a query means in one cluster at one moment: the kind, its table, and what can be said of them.</summary>
/// <param name="Type">The kind; null where it is not served or nothing may be shown.</param>
/// <param name="Table">The table to read; null where there is none.</param>
/// <param name="Coverage">What an answer from it covers; its item count is still 0.</param>
internal sealed record QueryTarget(ResourceType? Type, KindTable? Table, ClusterCoverage Coverage)
{
    /// <summary>Finds what a kind means here and now.</summary>
    public static QueryTarget Resolve(IClusterReadSource source, string kind, DateTimeOffset now)
    {
        if (source.Phase == ClusterPhase.Disabled)
        {
            return Nothing(source, CoverageState.Disabled, source.Fault);
        }

        if (source.Surface is not { } surface)
        {
            CoverageState state = source.Phase switch
            {
                ClusterPhase.Offline => CoverageState.Offline,
                ClusterPhase.AuthFailed => CoverageState.Forbidden,
                _ => CoverageState.Syncing,
            };
            return Nothing(source, state, source.Fault);
        }

        // What the server no longer announces is kept for a while, since a server that has just started forgets to; so it stays readable.
        if ((surface.Find(kind) ?? KeptKind(source.Mirror, kind)) is not { } type)
        {
            return Nothing(source, CoverageState.NotServed, null);
        }

        KindStanding? standing = source.StandingOf(type.GroupResource);
        if (!source.Mirror.TryGetKind(type.GroupResource, out KindTable? table))
        {
            // Only what is left out is worth the hint; what has just been found is about to be mirrored.
            (CoverageState state, ClusterFault? fault) = standing is { State: not MirrorState.NotMirrored } known
                ? (StateOf(known.State, source.Phase), known.Fault ?? source.Fault)
                : (CoverageState.NotMirrored, standing?.Fault ?? Hint(type));
            return new QueryTarget(type, null, new ClusterCoverage { Cluster = source.Cluster, State = state, Fault = fault });
        }

        if (table.Type.Version != type.Version && NamesVersion(kind))
        {
            // Objects of another version are other documents; only the server can convert them.
            return new QueryTarget(type, null, new ClusterCoverage
            {
                Cluster = source.Cluster,
                State = CoverageState.NotMirrored,
                Fault = new ClusterFault(
                    ClusterFault.InvalidRequest,
                    $"{type.GroupResource} are mirrored in version {table.Type.Version}; ask for that, or for {type.Version} with the live source."),
            });
        }

        return new QueryTarget(table.Type, table, CoverageOf(source, table, standing, now));
    }

    private static ClusterCoverage CoverageOf(IClusterReadSource source, KindTable table, KindStanding? standing, DateTimeOffset now)
    {
        CoverageState state = standing is { } known ? StateOf(known.State, source.Phase) : StateOf(table.IsSynced ? MirrorState.Synced : MirrorState.Syncing, source.Phase);
        return new ClusterCoverage
        {
            Cluster = source.Cluster,
            State = state,
            Age = standing?.HeardAt is { } heard ? Max(now - heard) : table.IsSynced ? table.SinceHeard : null,
            // The reason belongs to whatever decided the state.
            Fault = state is CoverageState.Ok ? null
                : source.Phase is ClusterPhase.Offline or ClusterPhase.AuthFailed ? source.Fault ?? standing?.Fault
                : standing?.Fault ?? source.Fault,
        };
    }

    private static CoverageState StateOf(MirrorState state, ClusterPhase phase) => (phase, state) switch
    {
        (ClusterPhase.Offline, _) => CoverageState.Offline,
        (ClusterPhase.AuthFailed, _) => CoverageState.Forbidden,
        (_, MirrorState.NotMirrored) => CoverageState.NotMirrored,
        (_, MirrorState.Syncing) => CoverageState.Syncing,
        (_, MirrorState.Synced) => CoverageState.Ok,
        (_, MirrorState.Stale) => CoverageState.Stale,
        (_, MirrorState.Forbidden) => CoverageState.Forbidden,
        _ => CoverageState.Failed,
    };

    private static ResourceType? KeptKind(ClusterMirror mirror, string kind)
    {
        foreach (KindTable table in mirror.Kinds)
        {
            ResourceType type = table.Type;
            if (Is(type.GroupResource) || Is(type.Plural) || Is(type.Kind) || Is(type.Singular) || type.ShortNames.Any(Is))
            {
                return type;
            }
        }

        return null;

        bool Is(string name) => name.Equals(kind, StringComparison.OrdinalIgnoreCase);
    }

    private static QueryTarget Nothing(IClusterReadSource source, CoverageState state, ClusterFault? fault) =>
        new(null, null, new ClusterCoverage { Cluster = source.Cluster, State = state, Fault = fault });

    private static ClusterFault Hint(ResourceType type) => new(
        "NotMirrored", $"{type.GroupResource} are served but not mirrored here; read them with the live source, or include them in the mirror of the cluster.");

    /// <summary>Whether the user asked for a certain version: <c>apps/v1/deployments</c>, <c>deployments.v1.apps</c>.</summary>
    private static bool NamesVersion(string kind) =>
        kind.Contains('/', StringComparison.Ordinal)
        || kind.Split('.', 3) is [_, ['v' or 'V', >= '0' and <= '9', ..], ..];

    private static TimeSpan Max(TimeSpan age) => age < TimeSpan.Zero ? TimeSpan.Zero : age;
}
