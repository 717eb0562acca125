using System.Collections.Immutable;
using System.Text.Json;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>Puts what the grains say into the JSON types of <c>/v1</c>, and back.</summary>
internal static class HttpMapping
{
    public static HttpCluster ToHttp(this ClusterEntry entry) => new()
    {
        Name = entry.Name,
        Uid = entry.Uid,
        Labels = entry.Labels,
        Enabled = entry.Enabled,
        Server = entry.Server,
        RegisteredAt = entry.RegisteredAt,
        Generation = entry.Generation,
        Mirror = new HttpMirrorScope
        {
            Include = entry.Mirror.Include,
            Exclude = entry.Mirror.Exclude,
            SecretData = entry.Mirror.SecretData,
            ByteBudget = entry.Mirror.ByteBudget,
        },
        Status = entry.Summary is { } summary
            ? summary.ToHttp()
            : new HttpClusterStatus { Phase = Text(entry.Enabled ? ClusterPhase.Pending : ClusterPhase.Disabled), Since = entry.RegisteredAt },
    };

    public static HttpClusterDetail ToHttp(this ClusterDescription description) => new(
        description.Cluster!.ToHttp(), description.Checks?.ToHttp(), [.. description.Kinds.Select(ToHttp)], description.ProbedAt);

    public static HttpRegistrationResult ToHttp(this RegistrationReply reply) => new(
        reply.Cluster?.ToHttp(), reply.Checks.ToHttp(), [.. reply.Faults.Select(ToHttp)], reply.Warnings);

    public static HttpFault ToHttp(this ClusterFault fault) => new(fault.Kind, fault.Message, NameOf(fault.Field));

    // The model names fields as the protocol buffers do.
    private static string? NameOf(string? field) => field switch
    {
        "label_selector" => "clusterSelector",
        "connection.client_key" => "clientKey",
        "connection.proxy_url" => "proxyUrl",
        _ => field,
    };

    public static HttpCoverage ToHttp(this ClusterCoverage coverage) => new(
        coverage.Cluster, Text(coverage.State), coverage.Age?.TotalSeconds, coverage.Items, coverage.Fault?.ToHttp());

    public static MirrorScope ToScope(this HttpMirrorScope scope) => new()
    {
        Include = Patterns(scope.Include),
        Exclude = Patterns(scope.Exclude),
        SecretData = scope.SecretData,
        ByteBudget = scope.ByteBudget,
    };

    /// <summary>The name of a value in our JSON: <c>NotServed</c> is <c>not_served</c>.</summary>
    public static string Text<T>(T value)
        where T : struct, Enum => Names<T>.Of(value);

    // What is absent in the JSON is null here, and a null among the patterns is as wrong as an empty one.
    private static ImmutableArray<string> Patterns(IReadOnlyList<string>? patterns) => [.. (patterns ?? []).Select(p => p ?? "")];

    private static HttpClusterStatus ToHttp(this ClusterSummary summary) => new()
    {
        Phase = Text(summary.Phase),
        Fault = summary.Fault?.ToHttp(),
        Since = summary.Since,
        Version = summary.Version,
        NodesReady = summary.NodesReady,
        Nodes = summary.Nodes,
        Allocatable = summary.Allocatable.ToHttp(),
        Requested = summary.Requested.ToHttp(),
        PodsByPhase = summary.PodsByPhase,
        Objects = summary.Objects,
        Bytes = summary.Bytes,
        Kinds = summary.Kinds,
        KindsSyncing = summary.KindsSyncing,
        KindsFailing = summary.KindsFailing,
        KindsStale = summary.KindsStale,
        HeardAt = summary.HeardAt,
        ChangesPerSecond = summary.ChangesPerSecond,
    };

    private static HttpAmounts ToHttp(this ResourceAmounts amounts) => new(amounts.CpuMillis, amounts.MemoryBytes, amounts.Pods, amounts.Gpus);

    private static HttpChecks ToHttp(this ConnectionChecks checks) => new(
        checks.Reachable, checks.Authenticated, checks.Version, checks.User, checks.Groups, checks.MissingPermissions, checks.Latency.TotalSeconds);

    private static HttpMirroredKind ToHttp(this MirroredKind kind) => new(
        kind.Group, kind.Version, kind.Plural, kind.Kind, kind.Namespaced, kind.ShortNames, Text(kind.State), kind.Objects, kind.Bytes,
        kind.HeardAt, kind.ResourceVersion, kind.Lists, kind.Fault?.ToHttp());

    private static class Names<T>
        where T : struct, Enum
    {
        private static readonly Dictionary<T, string> Known =
            Enum.GetValues<T>().ToDictionary(v => v, v => JsonNamingPolicy.SnakeCaseLower.ConvertName(v.ToString()));

        public static string Of(T value) => Known[value];
    }
}
