namespace MultiCluster.Simulator.Storage;

/// <summary>How a write is to be done.</summary>
/// <param name="Manager">Field manager.</param>
internal sealed record WriteOptions(string Manager)
{
    /// <summary>Do everything but store.</summary>
    public bool DryRun { get; init; }

    /// <summary><c>status</c>, <c>scale</c> …; empty for the object itself.</summary>
    public string Subresource { get; init; } = "";

    /// <summary>Server-side apply: managedFields are already right in the new object.</summary>
    public bool IsApply { get; init; }

    /// <summary>The new object was made from the stored one (a patch), so a missing resourceVersion is no carelessness.</summary>
    public bool IsPatch { get; init; }

    /// <summary>Receives the texts of Warning headers.</summary>
    public Action<string>? Warn { get; init; }
}

/// <summary>What becomes of the objects that a deleted one owns.</summary>
internal enum Propagation { Background, Foreground, Orphan }

/// <summary>How a delete is to be done.</summary>
internal sealed record DeleteRequest
{
    /// <summary>Null for the default of the resource.</summary>
    public Propagation? Propagation { get; init; }

    /// <summary>Null for the default of the object.</summary>
    public long? GracePeriodSeconds { get; init; }

    public string? RequiredUid { get; init; }

    public string? RequiredRevision { get; init; }

    public bool DryRun { get; init; }

    /// <summary>Receives the texts of Warning headers.</summary>
    public Action<string>? Warn { get; init; }
}
