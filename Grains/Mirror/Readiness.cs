using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>Whether an object does what it is there for.</summary>
internal enum ReadinessState : byte
{
    /// <summary>It should have a state and does not say it.</summary>
    Unknown,

    /// <summary>It does what it is there for.</summary>
    Ready,

    /// <summary>It is on its way there, by itself.</summary>
    Progressing,

    /// <summary>It is not there, and was or should be.</summary>
    NotReady,

    /// <summary>It has given up.</summary>
    Failed,

    /// <summary>It was to end, and has ended well.</summary>
    Completed,

    /// <summary>Objects of this kind are not ready or unready.</summary>
    NotApplicable,
}
