using System.Collections.Immutable;
using MultiCluster.Fleet;

namespace MultiCluster.Clusters;

/// <summary>How a cluster stands.</summary>
[GenerateSerializer, Alias("multicluster.cluster-phase")]
public enum ClusterPhase
{
    /// <summary>Registered, not yet heard from; or its silo is lost, and it is about to be read anew on another.</summary>
    Pending,

    /// <summary>Reachable and healthy, its mirror in step or on its first way there.</summary>
    Online,

    /// <summary>Reachable, but unhealthy, or some kinds are out of sync or stale.</summary>
    Degraded,

    /// <summary>Not reachable: network, name, TLS or no answer.</summary>
    Offline,

    /// <summary>Reachable, but it refuses our credentials (401) or our probe (403).</summary>
    AuthFailed,

    /// <summary>Switched off by a user.</summary>
    Disabled,
}

/// <summary>Something that is wrong, in words a user can act on.</summary>
/// <param name="Kind">A name of <c>KubeErrorKind</c>, or one of the constants here.</param>
/// <param name="Message">What happened and what to do; never holds a credential.</param>
/// <param name="Field">Field of the request that is at fault, where there is one.</param>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-fault")]
public sealed record ClusterFault(
    [property: Id(0)] string Kind,
    [property: Id(1)] string Message,
    [property: Id(2)] string? Field = null)
{
    /// <summary>No cluster is registered under the name.</summary>
    public const string NotRegistered = "NotRegistered";

    /// <summary>A cluster is registered under the name already.</summary>
    public const string AlreadyRegistered = "AlreadyRegistered";

    /// <summary>The request demands a generation that is not the present one.</summary>
    public const string GenerationConflict = "GenerationConflict";

    /// <summary>A field of the request has no valid value.</summary>
    public const string InvalidRequest = "InvalidRequest";

    /// <summary>The stored or given credentials cannot be decrypted with this service's keys.</summary>
    public const string CredentialsUnreadable = "CredentialsUnreadable";

    /// <summary>Rights are missing without which nothing can be mirrored.</summary>
    public const string MissingPermissions = "MissingPermissions";

    /// <summary>The kind holds more bytes than the cluster's budget allows.</summary>
    public const string OverBudget = "OverBudget";

    /// <summary>The server answers, but takes too long to say that it is well.</summary>
    public const string Slow = "Slow";

    /// <summary>Kinds of the mirror cannot be brought into step, or have not been heard of for too long.</summary>
    public const string OutOfSync = "OutOfSync";

    /// <summary>The server is another one than the one that is registered under the name.</summary>
    public const string OtherServer = "OtherServer";

    /// <summary>Kind of the fault of a cluster whose silo may not act for it at present.</summary>
    public const string CutOff = "CutOff";

    /// <summary>Something of ours broke; the log has the details.</summary>
    public const string Internal = "Internal";
}

/// <summary>Which kinds of a cluster are mirrored.</summary>
/// <remarks>Kinds are named by group-resource, such as <c>pods</c> or <c>deployments.apps</c>; <c>*.example.com</c> stands for a whole group.</remarks>
[GenerateSerializer, Immutable, Alias("multicluster.mirror-scope")]
public sealed record MirrorScope
{
    /// <summary>Everything that can be listed and watched but the deny list.</summary>
    public static readonly MirrorScope Default = new();

    /// <summary>Only these kinds; empty or <c>*</c> means every kind. A kind of the deny list is mirrored only when it is named here in full.</summary>
    [Id(0)] public ImmutableArray<string> Include { get; init; } = [];

    /// <summary>Not these kinds; wins over <see cref="Include"/>.</summary>
    [Id(1)] public ImmutableArray<string> Exclude { get; init; } = [];

    /// <summary>True to mirror the data of secrets too; without it only their metadata is kept, and only when secrets are included.</summary>
    [Id(2)] public bool SecretData { get; init; }

    /// <summary>Most bytes of compressed objects that the mirror may hold for this cluster; 0 for no limit.</summary>
    [Id(3)] public long ByteBudget { get; init; }
}

/// <summary>Request to take a cluster into the fleet.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.register-cluster")]
public sealed record RegisterCluster
{
    /// <summary>Labels to select it by.</summary>
    [Id(0)] public ImmutableSortedDictionary<string, string> Labels { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Server and credentials, encrypted by the gateway: they travel and rest in this form only.</summary>
    [Id(1)] public required ProtectedConnection Connection { get; init; }

    /// <summary>Registers as <c>Pending</c> even where the cluster cannot be reached or refuses us.</summary>
    [Id(2)] public bool Force { get; init; }

    /// <summary>Runs the checks and changes nothing.</summary>
    [Id(3)] public bool DryRun { get; init; }

    /// <summary>Which kinds are mirrored.</summary>
    [Id(4)] public MirrorScope Mirror { get; init; } = MirrorScope.Default;
}

/// <summary>A <c>ClusterConnection</c> in its JSON form, encrypted with the service's Data Protection keys.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.protected-connection")]
public sealed record ProtectedConnection
{
    /// <summary>Purpose string of the protector: <c>IDataProtectionProvider.CreateProtector(Purpose)</c>.</summary>
    public const string Purpose = "MultiCluster.ClusterConnection.v1";

    /// <summary>Ciphertext.</summary>
    [Id(0)] public required byte[] Ciphertext { get; init; }

    /// <inheritdoc/>
    public override string ToString() => "ProtectedConnection";
}

/// <summary>Request to change a registered cluster; null leaves a part as it is.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.update-cluster")]
public sealed record UpdateCluster
{
    /// <summary>All labels it shall have from now on.</summary>
    [Id(0)] public ImmutableSortedDictionary<string, string>? Labels { get; init; }

    /// <summary>Whether it is enabled.</summary>
    [Id(1)] public bool? Enabled { get; init; }

    /// <summary>Which kinds are mirrored.</summary>
    [Id(2)] public MirrorScope? Mirror { get; init; }

    /// <summary>Generation that the caller has seen; 0 changes whatever is there.</summary>
    [Id(3)] public long IfGeneration { get; init; }
}

/// <summary>Request to use other credentials for a registered cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.replace-credentials")]
public sealed record ReplaceCredentials
{
    /// <summary>The new server and credentials.</summary>
    [Id(0)] public required ProtectedConnection Connection { get; init; }

    /// <summary>Takes them even where the check fails.</summary>
    [Id(1)] public bool Force { get; init; }
}

/// <summary>What the checks of a connection found.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.connection-checks")]
public sealed record ConnectionChecks
{
    /// <summary>Whether the server answered.</summary>
    [Id(0)] public bool Reachable { get; init; }

    /// <summary>Whether it took the credentials.</summary>
    [Id(1)] public bool Authenticated { get; init; }

    /// <summary>Its version, such as <c>v1.32.1</c>.</summary>
    [Id(2)] public string Version { get; init; } = "";

    /// <summary>Who we are there.</summary>
    [Id(3)] public string User { get; init; } = "";

    /// <summary>Our groups there.</summary>
    [Id(4)] public ImmutableArray<string> Groups { get; init; } = [];

    /// <summary>Rights that the mirror would need and lacks, such as <c>list secrets</c>; each costs only what it names.</summary>
    [Id(5)] public ImmutableArray<string> MissingPermissions { get; init; } = [];

    /// <summary>Time of the probe.</summary>
    [Id(6)] public TimeSpan Latency { get; init; }
}

/// <summary>What came of a registration or of new credentials.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.registration-reply")]
public sealed record RegistrationReply
{
    /// <summary>The cluster as registered; null where it was refused or the request was a dry run.</summary>
    [Id(0)] public ClusterEntry? Cluster { get; init; }

    /// <summary>What the checks found.</summary>
    [Id(1)] public ConnectionChecks Checks { get; init; } = new();

    /// <summary>Why it was refused; with <c>Force</c>, what was overlooked.</summary>
    [Id(2)] public ImmutableArray<ClusterFault> Faults { get; init; } = [];

    /// <summary>What the user should know all the same.</summary>
    [Id(3)] public ImmutableArray<string> Warnings { get; init; } = [];

    /// <summary>Version of the fleet that shows it.</summary>
    [Id(4)] public long FleetVersion { get; init; }
}

/// <summary>What came of a change of a registered cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-reply")]
public sealed record ClusterReply
{
    /// <summary>The cluster after the change; null where it was refused or the cluster is gone.</summary>
    [Id(0)] public ClusterEntry? Cluster { get; init; }

    /// <summary>Why it was refused.</summary>
    [Id(1)] public ClusterFault? Fault { get; init; }

    /// <summary>Version of the fleet that shows it.</summary>
    [Id(2)] public long FleetVersion { get; init; }
}

/// <summary>What a cluster grain tells the fleet, at most once a second.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-summary")]
public sealed record ClusterSummary
{
    /// <summary>Name of the cluster.</summary>
    [Id(0)] public required string Name { get; init; }

    /// <summary>Registration it speaks of.</summary>
    [Id(1)] public Guid Uid { get; init; }

    /// <summary>Where it stands, after hysteresis.</summary>
    [Id(2)] public ClusterPhase Phase { get; init; }

    /// <summary>Why it is not <c>Online</c>.</summary>
    [Id(3)] public ClusterFault? Fault { get; init; }

    /// <summary>Since when it has been in this phase.</summary>
    [Id(4)] public DateTimeOffset Since { get; init; }

    /// <summary>Version of its API server.</summary>
    [Id(5)] public string Version { get; init; } = "";

    /// <summary>Nodes that are ready.</summary>
    [Id(6)] public int NodesReady { get; init; }

    /// <summary>All nodes.</summary>
    [Id(7)] public int Nodes { get; init; }

    /// <summary>Sum of what its nodes can give.</summary>
    [Id(8)] public ResourceAmounts Allocatable { get; init; }

    /// <summary>Sum of what pods that are bound and not finished ask for.</summary>
    [Id(9)] public ResourceAmounts Requested { get; init; }

    /// <summary>Pods by phase.</summary>
    [Id(10)] public ImmutableSortedDictionary<string, int> PodsByPhase { get; init; } = ImmutableSortedDictionary<string, int>.Empty;

    /// <summary>Objects in the mirror.</summary>
    [Id(11)] public long Objects { get; init; }

    /// <summary>Compressed bytes in the mirror.</summary>
    [Id(12)] public long Bytes { get; init; }

    /// <summary>Kinds that are mirrored.</summary>
    [Id(13)] public int Kinds { get; init; }

    /// <summary>Kinds whose first list is not yet in.</summary>
    [Id(14)] public int KindsSyncing { get; init; }

    /// <summary>Kinds that have not been heard of for longer than their bookmarks explain.</summary>
    [Id(15)] public int KindsStale { get; init; }

    /// <summary>When the kind that was silent longest was last heard of.</summary>
    [Id(16)] public DateTimeOffset? HeardAt { get; init; }

    /// <summary>Changes per second over the last report.</summary>
    [Id(17)] public double ChangesPerSecond { get; init; }

    /// <summary>Counts the reports of one activation; an older one never replaces a newer.</summary>
    [Id(18)] public long Sequence { get; init; }

    /// <summary>Generation of the entry that its grain holds; a fleet that holds an older one asks for it by refusing the report.</summary>
    [Id(19)] public long Generation { get; init; }

    /// <summary>Kinds kept out of step by an error that stays.</summary>
    [Id(20)] public int KindsFailing { get; init; }

    /// <summary>Name of the silo that the cluster's grain lives on, another one after each start of its process; empty where there is but one.</summary>
    [Id(21)] public string Silo { get; init; } = "";
}

/// <summary>Amounts of what a pod may ask for.</summary>
/// <param name="CpuMillis">CPU in thousandths of a core.</param>
/// <param name="MemoryBytes">Memory in bytes.</param>
/// <param name="Pods">Number of pods.</param>
/// <param name="Gpus">Extended GPU resources, all vendors.</param>
[GenerateSerializer, Immutable, Alias("multicluster.resource-amounts")]
public readonly record struct ResourceAmounts(
    [property: Id(0)] long CpuMillis,
    [property: Id(1)] long MemoryBytes,
    [property: Id(2)] long Pods,
    [property: Id(3)] long Gpus);

/// <summary>Everything known of one cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-description")]
public sealed record ClusterDescription
{
    /// <summary>The registration; null where there is none.</summary>
    [Id(0)] public ClusterEntry? Cluster { get; init; }

    /// <summary>Who we are there and what we lack, as of the last check; null where the cluster's grain could not be asked.</summary>
    [Id(1)] public ConnectionChecks? Checks { get; init; }

    /// <summary>The kinds, ordered by group-resource; none where the cluster's grain could not be asked.</summary>
    [Id(2)] public ImmutableArray<MirroredKind> Kinds { get; init; } = [];

    /// <summary>When the last probe ended.</summary>
    [Id(3)] public DateTimeOffset? ProbedAt { get; init; }
}

/// <summary>How the mirror stands with one kind.</summary>
[GenerateSerializer, Alias("multicluster.mirror-state")]
public enum MirrorState
{
    /// <summary>Served by the cluster and left out of the mirror by its scope; live reads work.</summary>
    NotMirrored,

    /// <summary>The first list is not yet whole.</summary>
    Syncing,

    /// <summary>In step with the server.</summary>
    Synced,

    /// <summary>Was in step, but has not heard from the server for too long.</summary>
    Stale,

    /// <summary>The server forbids us to list or watch it.</summary>
    Forbidden,

    /// <summary>Kept out of step by an error that stays.</summary>
    Failed,
}

/// <summary>One kind of one cluster, and how the mirror stands with it.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.mirrored-kind")]
public sealed record MirroredKind
{
    /// <summary>API group; empty for the core group.</summary>
    [Id(0)] public required string Group { get; init; }

    /// <summary>Version that is mirrored.</summary>
    [Id(1)] public required string Version { get; init; }

    /// <summary>Plural name.</summary>
    [Id(2)] public required string Plural { get; init; }

    /// <summary>Kind of one object.</summary>
    [Id(3)] public required string Kind { get; init; }

    /// <summary>Whether its objects live in namespaces.</summary>
    [Id(4)] public bool Namespaced { get; init; }

    /// <summary>Short names.</summary>
    [Id(5)] public ImmutableArray<string> ShortNames { get; init; } = [];

    /// <summary>How the mirror stands with it.</summary>
    [Id(6)] public MirrorState State { get; init; }

    /// <summary>Objects in the mirror.</summary>
    [Id(7)] public long Objects { get; init; }

    /// <summary>Compressed bytes in the mirror.</summary>
    [Id(8)] public long Bytes { get; init; }

    /// <summary>When the server was last heard of it.</summary>
    [Id(9)] public DateTimeOffset? HeardAt { get; init; }

    /// <summary>Revision of the server that the mirror has reached.</summary>
    [Id(10)] public string ResourceVersion { get; init; } = "";

    /// <summary>Lists so far; more than one means that the watch was lost beyond repair.</summary>
    [Id(11)] public long Lists { get; init; }

    /// <summary>What keeps it from being in step.</summary>
    [Id(12)] public ClusterFault? Fault { get; init; }
}

/// <summary>The kinds of one cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.cluster-kinds")]
public sealed record ClusterKinds
{
    /// <summary>How far this answer can be trusted.</summary>
    [Id(0)] public required Reads.ClusterCoverage Coverage { get; init; }

    /// <summary>The kinds, ordered by group-resource.</summary>
    [Id(1)] public ImmutableArray<MirroredKind> Kinds { get; init; } = [];
}
