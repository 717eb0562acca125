namespace MultiCluster.Simulator.Patching;

/// <summary>What made a patch unusable; each value has its own HTTP answer.</summary>
internal enum PatchFailure
{
    /// <summary>The document is not shaped as a patch of its type: 400 BadRequest.</summary>
    Malformed,

    /// <summary>The patch is well formed but cannot be applied to this object (failed test, missing path): 422 Invalid.</summary>
    NotApplicable,
}

/// <summary>A patch that could not be applied; the target is unchanged.</summary>
internal sealed class PatchFailedException(PatchFailure failure, string message) : Exception(message)
{
    public PatchFailure Failure { get; } = failure;
}
