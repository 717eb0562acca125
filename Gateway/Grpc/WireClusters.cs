using System.Collections.Immutable;
using Google.Protobuf.WellKnownTypes;
using MultiCluster.Clusters;
using MultiCluster.Fleet;

namespace MultiCluster.Gateway.Grpc;

/// <summary>Puts what the grains say of clusters into the messages of <c>multicluster.v1</c>, and back.</summary>
internal static class WireClusters
{
    public static V1.Cluster ToWire(this ClusterEntry entry)
    {
        var wire = new V1.Cluster
        {
            Name = entry.Name,
            Uid = entry.Uid.ToString(),
            Enabled = entry.Enabled,
            Server = entry.Server,
            RegisteredAt = Timestamp.FromDateTimeOffset(entry.RegisteredAt),
            Generation = entry.Generation,
            Mirror = entry.Mirror.ToWire(),
            Status = entry.Summary?.ToWire() ?? new V1.ClusterStatus
            {
                Phase = entry.Enabled ? V1.ClusterPhase.Pending : V1.ClusterPhase.Disabled,
                Since = Timestamp.FromDateTimeOffset(entry.RegisteredAt),
            },
        };
        wire.Labels.Add(entry.Labels);
        return wire;
    }

    public static V1.ClusterStatus ToWire(this ClusterSummary summary)
    {
        var wire = new V1.ClusterStatus
        {
            Phase = summary.Phase.ToWire(),
            Fault = summary.Fault?.ToWire(),
            Since = Timestamp.FromDateTimeOffset(summary.Since),
            Version = summary.Version,
            NodesReady = summary.NodesReady,
            Nodes = summary.Nodes,
            Allocatable = summary.Allocatable.ToWire(),
            Requested = summary.Requested.ToWire(),
            Objects = summary.Objects,
            Bytes = summary.Bytes,
            Kinds = summary.Kinds,
            KindsSyncing = summary.KindsSyncing,
            KindsFailing = summary.KindsFailing,
            KindsStale = summary.KindsStale,
            HeardAt = ToWire(summary.HeardAt),
            ChangesPerSecond = summary.ChangesPerSecond,
        };
        wire.PodsByPhase.Add(summary.PodsByPhase);
        return wire;
    }

    public static V1.ClusterPhase ToWire(this ClusterPhase phase) => phase switch
    {
        ClusterPhase.Pending => V1.ClusterPhase.Pending,
        ClusterPhase.Online => V1.ClusterPhase.Online,
        ClusterPhase.Degraded => V1.ClusterPhase.Degraded,
        ClusterPhase.Offline => V1.ClusterPhase.Offline,
        ClusterPhase.AuthFailed => V1.ClusterPhase.AuthFailed,
        ClusterPhase.Disabled => V1.ClusterPhase.Disabled,
        _ => V1.ClusterPhase.Unspecified,
    };

    public static V1.Fault ToWire(this ClusterFault fault) =>
        new() { Kind = fault.Kind, Message = fault.Message, Field = fault.Field ?? "" };

    public static V1.ResourceAmounts ToWire(this ResourceAmounts amounts) =>
        new() { CpuMillis = amounts.CpuMillis, MemoryBytes = amounts.MemoryBytes, Pods = amounts.Pods, Gpus = amounts.Gpus };

    public static V1.MirrorScope ToWire(this MirrorScope scope)
    {
        var wire = new V1.MirrorScope { SecretData = scope.SecretData, ByteBudget = scope.ByteBudget };
        wire.Include.Add(scope.Include);
        wire.Exclude.Add(scope.Exclude);
        return wire;
    }

    public static MirrorScope FromWire(V1.MirrorScope? wire) => wire is null
        ? MirrorScope.Default
        : new MirrorScope
        {
            Include = [.. wire.Include],
            Exclude = [.. wire.Exclude],
            SecretData = wire.SecretData,
            ByteBudget = wire.ByteBudget,
        };

    public static V1.ConnectionChecks ToWire(this ConnectionChecks checks)
    {
        var wire = new V1.ConnectionChecks
        {
            Reachable = checks.Reachable,
            Authenticated = checks.Authenticated,
            Version = checks.Version,
            User = checks.User,
            Latency = Duration.FromTimeSpan(checks.Latency),
        };
        wire.Groups.Add(checks.Groups);
        wire.MissingPermissions.Add(checks.MissingPermissions);
        return wire;
    }

    public static V1.MirroredKind ToWire(this MirroredKind kind)
    {
        var wire = new V1.MirroredKind
        {
            Group = kind.Group,
            Version = kind.Version,
            Plural = kind.Plural,
            Kind = kind.Kind,
            Namespaced = kind.Namespaced,
            State = kind.State switch
            {
                MirrorState.NotMirrored => V1.MirrorState.NotMirrored,
                MirrorState.Syncing => V1.MirrorState.Syncing,
                MirrorState.Synced => V1.MirrorState.Synced,
                MirrorState.Stale => V1.MirrorState.Stale,
                MirrorState.Forbidden => V1.MirrorState.Forbidden,
                MirrorState.Failed => V1.MirrorState.Failed,
                _ => V1.MirrorState.Unspecified,
            },
            Objects = kind.Objects,
            Bytes = kind.Bytes,
            HeardAt = ToWire(kind.HeardAt),
            ResourceVersion = kind.ResourceVersion,
            Lists = kind.Lists,
            Fault = kind.Fault?.ToWire(),
        };
        wire.ShortNames.Add(kind.ShortNames);
        return wire;
    }

    public static V1.GetClusterResponse ToWire(this ClusterDescription description)
    {
        var wire = new V1.GetClusterResponse
        {
            Cluster = description.Cluster?.ToWire(),
            Checks = description.Checks?.ToWire(),
            ProbedAt = ToWire(description.ProbedAt),
        };
        wire.Kinds.Add(description.Kinds.Select(ToWire));
        return wire;
    }

    public static Timestamp? ToWire(DateTimeOffset? time) => time is { } known ? Timestamp.FromDateTimeOffset(known) : null;

    public static ImmutableSortedDictionary<string, string> LabelsFromWire(IDictionary<string, string> labels) =>
        labels.ToImmutableSortedDictionary(StringComparer.Ordinal);
}
