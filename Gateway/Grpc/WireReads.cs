using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Grpc;

/// <summary>Puts reads into the messages of <c>multicluster.v1</c>, and back.</summary>
internal static class WireReads
{
    public static ObjectQuery FromWire(V1.ObjectQuery wire) => new()
    {
        Kind = wire.Kind,
        Namespaces = [.. wire.Namespaces],
        Names = [.. wire.Names],
        Text = NullIfEmpty(wire.Text),
        LabelSelector = NullIfEmpty(wire.LabelSelector),
        FieldSelector = NullIfEmpty(wire.FieldSelector),
        Readiness = [.. wire.Readiness.Where(r => r != V1.Readiness.Unspecified).Select(FromWire)],
        Owner = wire.Owner is { } owner
            ? new OwnerQuery
            {
                Uid = NullIfEmpty(owner.Uid),
                Kind = NullIfEmpty(owner.Kind),
                Name = NullIfEmpty(owner.Name),
                Depth = owner.Depth == 0 ? 3 : owner.Depth,
            }
            : null,
    };

    public static Projection FromWire(V1.Projection wire) => wire switch
    {
        V1.Projection.Metadata => Projection.Metadata,
        V1.Projection.None => Projection.None,
        V1.Projection.Object or V1.Projection.Unspecified => Projection.Object,
        _ => throw Unknown("projection", wire),
    };

    public static ReadSource FromWire(V1.Source wire) => wire switch
    {
        V1.Source.Live => ReadSource.Live,
        V1.Source.Mirror or V1.Source.Unspecified => ReadSource.Mirror,
        _ => throw Unknown("source", wire),
    };

    public static ReadinessState FromWire(V1.Readiness wire) => wire switch
    {
        V1.Readiness.NotApplicable => ReadinessState.NotApplicable,
        V1.Readiness.Ready => ReadinessState.Ready,
        V1.Readiness.Progressing => ReadinessState.Progressing,
        V1.Readiness.NotReady => ReadinessState.NotReady,
        V1.Readiness.Failed => ReadinessState.Failed,
        V1.Readiness.Completed => ReadinessState.Completed,
        V1.Readiness.Unknown => ReadinessState.Unknown,
        _ => throw Unknown(ReadFields.Readiness, wire),
    };

    public static V1.Readiness ToWire(this ReadinessState state) => state switch
    {
        ReadinessState.NotApplicable => V1.Readiness.NotApplicable,
        ReadinessState.Ready => V1.Readiness.Ready,
        ReadinessState.Progressing => V1.Readiness.Progressing,
        ReadinessState.NotReady => V1.Readiness.NotReady,
        ReadinessState.Failed => V1.Readiness.Failed,
        ReadinessState.Completed => V1.Readiness.Completed,
        _ => V1.Readiness.Unknown,
    };

    public static GroupBy FromWire(V1.GroupBy wire) => wire switch
    {
        V1.GroupBy.Cluster => GroupBy.Cluster,
        V1.GroupBy.Namespace => GroupBy.Namespace,
        V1.GroupBy.Phase => GroupBy.Phase,
        V1.GroupBy.Node => GroupBy.Node,
        V1.GroupBy.Image => GroupBy.Image,
        V1.GroupBy.Readiness => GroupBy.Readiness,
        _ => GroupBy.None,
    };

    public static V1.Coverage ToWire(this ClusterCoverage coverage) => new()
    {
        Cluster = coverage.Cluster,
        State = coverage.State switch
        {
            CoverageState.Ok => V1.CoverageState.Ok,
            CoverageState.Stale => V1.CoverageState.Stale,
            CoverageState.Syncing => V1.CoverageState.Syncing,
            CoverageState.Offline => V1.CoverageState.Offline,
            CoverageState.Forbidden => V1.CoverageState.Forbidden,
            CoverageState.NotServed => V1.CoverageState.NotServed,
            CoverageState.Timeout => V1.CoverageState.Timeout,
            CoverageState.Disabled => V1.CoverageState.Disabled,
            CoverageState.NotMirrored => V1.CoverageState.NotMirrored,
            CoverageState.Failed => V1.CoverageState.Failed,
            _ => V1.CoverageState.Unspecified,
        },
        Age = coverage.Age is { } age ? Duration.FromTimeSpan(age) : null,
        Items = coverage.Items,
        Fault = coverage.Fault?.ToWire(),
    };

    /// <summary>One object; its JSON is wrapped, not copied, so it must not change afterwards.</summary>
    public static V1.Object ToWire(string cluster, in ObjectRow row, ReadOnlyMemory<byte> json) => new()
    {
        Cluster = cluster,
        Namespace = row.Namespace,
        Name = row.Name,
        Uid = row.Uid == Guid.Empty ? "" : row.Uid.ToString(),
        Readiness = row.Readiness.ToWire(),
        ReadinessReason = row.ReadinessReason ?? "",
        Json = UnsafeByteOperations.UnsafeWrap(json),
    };

    // A newer client may know values that this service does not; to answer something else than it asked for would be worse than an error.
    private static InvalidQueryException Unknown<T>(string field, T value)
        where T : struct, System.Enum =>
        new(field, $"{value:D} is no value of {typeof(T).Name} that this service knows.");

    private static string? NullIfEmpty(string text) => text.Length == 0 ? null : text;
}
