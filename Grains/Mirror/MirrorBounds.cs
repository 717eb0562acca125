namespace MultiCluster.Grains.Mirror;

/// <summary>Bounds of the mirror of one member cluster.</summary>
internal sealed record MirrorBounds
{
    /// <summary>Most bytes that the objects of one cluster may take, packed and with their columns.</summary>
    /// <remarks>A kind that would go beyond it stays as it is and reports itself out of sync; it recovers when there is room at its next list.</remarks>
    /// <value>Default null: no bound. At least 1 MiB.</value>
    public long? ByteBudget { get; init; }

    /// <summary>Most changes of one cluster that are kept for watches that resume.</summary>
    /// <remarks>More let watchers stay away longer; each costs about 100 bytes beside the old state of its object.</remarks>
    /// <value>Default 20,000: over an hour of a cluster with 100,000 pods at 5 changes a second. From 256 to 10,000,000.</value>
    public int HistoryChanges { get; init; } = 20_000;

    /// <summary>Most bytes of old states that the history keeps beyond what the mirror itself holds.</summary>
    /// <value>Default 16 MiB; from 64 KiB to 16 GiB.</value>
    public long HistoryBytes { get; init; } = 16 * 1024 * 1024;
}
