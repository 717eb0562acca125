using MultiCluster.Engine.Actors;

namespace Orleans.Runtime;

/// <summary>Calls a grain. Equal when the grain is the same; may be kept, compared and given away. Thread-safe.</summary>
public abstract class GrainReference : IAddressable, IEquatable<GrainReference>
{
    private GrainActivation? _lastTarget;

    // Protected rather than internal: the generated references of each interface derive from this class.
    private protected GrainReference(GrainReferenceShared shared, GrainId grainId)
    {
        Shared = shared;
        GrainId = grainId;
    }

    /// <summary>Who is called.</summary>
    public GrainId GrainId { get; }

    /// <summary>The interface that it is called through.</summary>
    public GrainInterfaceType InterfaceType => Shared.InterfaceType;

    /// <summary>The full name of that interface.</summary>
    public string InterfaceName => Shared.InterfaceName;

    internal GrainReferenceShared Shared { get; }

    internal ActorRuntime Runtime => Shared.Runtime;

    /// <summary>Where the last call went; only a hint, since that activation may be dead by now.</summary>
    internal ref GrainActivation? LastTarget => ref _lastTarget;

    /// <summary>The same grain through another interface.</summary>
    public TGrainInterface Cast<TGrainInterface>() where TGrainInterface : IAddressable => this.AsReference<TGrainInterface>();

    /// <inheritdoc/>
    public bool Equals(GrainReference? other) => other is not null && GrainId == other.GrainId;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as GrainReference);

    /// <inheritdoc/>
    public override int GetHashCode() => GrainId.GetHashCode();

    /// <summary>True when both call the same grain.</summary>
    public static bool operator ==(GrainReference? reference1, GrainReference? reference2) =>
        reference1 is null ? reference2 is null : reference1.Equals(reference2);

    /// <summary>True when they call different grains.</summary>
    public static bool operator !=(GrainReference? reference1, GrainReference? reference2) => !(reference1 == reference2);

    /// <inheritdoc/>
    public sealed override string ToString() => $"GrainReference: {GrainId} through {InterfaceName}";
}
