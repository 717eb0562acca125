using Microsoft.Extensions.Options;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;

namespace MultiCluster.Grains.Cluster;

/// <summary>What the mirrors of member clusters hold and how they keep in step; section <c>Mirror</c>.</summary>
public sealed class MirrorOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Mirror";

    /// <summary>Kinds, by group-resource, that are mirrored only where a cluster's scope names them.</summary>
    /// <value>
    /// Default events, leases, endpoint slices and secrets: the first three change all the time and are seldom asked for,
    /// the last should not be copied by somebody who did not say so. Configuration adds to these; it cannot take away.
    /// </value>
    public IList<string> DenyList { get; } =
    [
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "endpointslices.discovery.k8s.io",
        "secrets",
    ];

    /// <summary>Lists that run against one cluster at the same time.</summary>
    /// <value>Default 4, from 1 to 64. Higher syncs sooner and loads that API server more.</value>
    public int ListsPerCluster { get; set; } = 4;

    /// <summary>First lists that run in the whole process at the same time.</summary>
    /// <value>Default 16, from 1 to 1,024. Bounds memory and CPU when a large fleet comes back.</value>
    public int ListsPerProcess { get; set; } = 16;

    /// <summary>How long a list may keep its place among <see cref="ListsPerProcess"/>; a list that hangs goes on without one.</summary>
    /// <value>Default 30 seconds, from 100 ms to 1 hour.</value>
    public TimeSpan ListPlaceTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How often discovery is read though nothing pointed to a change.</summary>
    /// <value>Default 5 minutes, from 1 second to 1 day. CRDs that the mirror sees trigger a read at once.</value>
    public TimeSpan DiscoveryInterval { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Shortest time between two reads of discovery, so that a chart with fifty CRDs costs a few.</summary>
    /// <value>Default 1 second, from 10 ms to 1 minute.</value>
    public TimeSpan DiscoveryPause { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How often a kind that the cluster forbids is tried again.</summary>
    /// <value>Default 5 minutes, from 1 second to 1 day.</value>
    public TimeSpan ForbiddenRetry { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Failed syncs of one kind in a row after which the cluster shows as <c>Degraded</c>.</summary>
    /// <value>Default 3, from 1 to 100.</value>
    public int DegradedAfter { get; set; } = 3;

    /// <summary>Longest silence of a healthy watch: how far API servers space their bookmarks.</summary>
    /// <value>Default 60 seconds, what kube-apiserver does; from 1 second to 1 hour.</value>
    public TimeSpan BookmarkInterval { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Silence beyond what an open watch explains, as by <see cref="BookmarkInterval"/>, after which a kind counts as stale.</summary>
    /// <value>Default 10 seconds, from 100 ms to 1 hour.</value>
    public TimeSpan StaleGrace { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a kind must be missing from discovery, and answer 404, before its objects go.</summary>
    /// <value>
    /// Default 5 seconds, from 10 ms to 1 hour; ten times as long where only discovery misses it. A server that has just
    /// started forgets for a moment to name custom resources, and deleting them all for that would be a false alarm.
    /// </value>
    public TimeSpan VanishedAfter { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Most bytes that the packed objects of one cluster may take where its own scope sets no budget; 0 for no limit.</summary>
    /// <value>Default 4 GiB, else at least 1 MiB. A kind that would go beyond it stays as it is and counts as out of sync.</value>
    public long ByteBudget { get; set; } = 4L << 30;

    /// <summary>Most changes of one cluster that are kept for watches that resume.</summary>
    /// <value>Default 20,000, from 256 to 10,000,000; each costs about 100 bytes beside the old state of its object.</value>
    public int HistoryChanges { get; set; } = 20_000;

    /// <summary>Most bytes of old states that the history of one cluster keeps beyond what the mirror itself holds.</summary>
    /// <value>Default 16 MiB, from 64 KiB to 16 GiB.</value>
    public long HistoryBytes { get; set; } = 16 << 20;

    /// <summary>Largest managed heap, in bytes, that is compacted once after large first lists; 0 for never.</summary>
    /// <value>
    /// Default 256 MiB, else at least 1 MiB. Compacting gives back about a third of what the process holds then, and stops it for about a
    /// millisecond per MiB, at most once a minute.
    /// </value>
    public long CompactHeapUpTo { get; set; } = 256 << 20;

    /// <summary>How long a watch of a cluster whose grain has moved may wait until it goes on; then it expires and its reader lists again.</summary>
    /// <value>Default 5 minutes, from 1 second to 1 hour. API servers forget their earlier states after five to ten minutes.</value>
    public TimeSpan ResumeWithin { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How often the mirror's own condition is looked at: staleness, budget, discovery that fell due.</summary>
    /// <value>Default 1 second, from 10 ms to 1 minute.</value>
    public TimeSpan SuperviseInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long loops get to end when a cluster is switched off, removed or moved.</summary>
    /// <value>Default 5 seconds, from 100 ms to 1 minute. What is left after it ends by itself and can change nothing any more.</value>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(5);

    internal MirrorBounds BoundsFor(MirrorScope scope) => new()
    {
        ByteBudget = (scope.ByteBudget, ByteBudget) switch
        {
            ( > 0, _) => scope.ByteBudget,
            (_, > 0) => ByteBudget,
            _ => null,
        },
        HistoryChanges = HistoryChanges,
        HistoryBytes = HistoryBytes,
    };
}

internal sealed class MirrorOptionsValidator : IValidateOptions<MirrorOptions>
{
    public ValidateOptionsResult Validate(string? name, MirrorOptions options)
    {
        var faults = new ValidateOptionsResultBuilder();
        Require(options.ListsPerCluster is >= 1 and <= 64, "Mirror:ListsPerCluster must lie between 1 and 64.");
        Require(options.ListsPerProcess is >= 1 and <= 1_024, "Mirror:ListsPerProcess must lie between 1 and 1024.");
        Within(options.ListPlaceTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1), nameof(options.ListPlaceTimeout));
        Within(options.DiscoveryInterval, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1), nameof(options.DiscoveryInterval));
        Within(options.DiscoveryPause, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(options.DiscoveryPause));
        Within(options.ForbiddenRetry, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1), nameof(options.ForbiddenRetry));
        Require(options.DegradedAfter is >= 1 and <= 100, "Mirror:DegradedAfter must lie between 1 and 100.");
        Within(options.BookmarkInterval, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), nameof(options.BookmarkInterval));
        Within(options.StaleGrace, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1), nameof(options.StaleGrace));
        Within(options.VanishedAfter, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), nameof(options.VanishedAfter));
        Require(options.ByteBudget is 0 or >= 1 << 20, "Mirror:ByteBudget must be 0 for no limit, or at least 1048576 bytes.");
        Require(options.HistoryChanges is >= 256 and <= 10_000_000, "Mirror:HistoryChanges must lie between 256 and 10000000.");
        Require(options.HistoryBytes is >= 64 << 10 and <= 16L << 30, "Mirror:HistoryBytes must lie between 65536 and 17179869184.");
        Require(options.CompactHeapUpTo is 0 or >= 1 << 20, "Mirror:CompactHeapUpTo must be 0 for never, or at least 1048576 bytes.");
        Within(options.SuperviseInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(options.SuperviseInterval));
        Within(options.ResumeWithin, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), nameof(options.ResumeWithin));
        Within(options.StopTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1), nameof(options.StopTimeout));
        foreach (string pattern in options.DenyList)
        {
            Require(KindPattern.Check(pattern) is null, $"Mirror:DenyList holds '{pattern}', which {KindPattern.Check(pattern)}.");
        }

        return faults.Build();

        void Require(bool holds, string rule)
        {
            if (!holds)
            {
                faults.AddError(rule);
            }
        }

        void Within(TimeSpan value, TimeSpan least, TimeSpan most, string property)
            => Require(value >= least && value <= most, $"Mirror:{property} must lie between {least} and {most}; it is {value}.");
    }
}
