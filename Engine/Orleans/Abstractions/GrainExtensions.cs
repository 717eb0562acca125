using System.Globalization;
using MultiCluster.Engine.Actors;
using Orleans.Runtime;

namespace Orleans;

/// <summary>Identity and references of grains.</summary>
public static class GrainExtensions
{
    /// <summary>The identity behind a grain or a reference to one.</summary>
    public static GrainId GetGrainId(this IAddressable grain) => grain switch
    {
        GrainReference reference => reference.GrainId,
        IGrainBase activation when activation.GrainContext is { } context => context.GrainId,
        null => throw new ArgumentNullException(nameof(grain)),
        _ => throw new ArgumentException($"{grain.GetType().FullName} is neither a grain that the runtime built nor a reference to one.", nameof(grain)),
    };

    /// <summary>The string key.</summary>
    public static string GetPrimaryKeyString(this IAddressable grain) => GetGrainId(grain).Key.ToString();

    /// <summary>The integer key.</summary>
    /// <exception cref="InvalidOperationException">The grain has another kind of key.</exception>
    public static long GetPrimaryKeyLong(this IAddressable grain) =>
        GrainKeys.TryReadInteger(GetGrainId(grain), out long key) ? key : throw WrongKey(grain, "integer");

    /// <summary>The GUID key.</summary>
    /// <exception cref="InvalidOperationException">The grain has another kind of key.</exception>
    public static Guid GetPrimaryKey(this IAddressable grain) =>
        GrainKeys.TryReadGuid(GetGrainId(grain), out Guid key) ? key : throw WrongKey(grain, "GUID");

    /// <summary>True when the key reads as an integer.</summary>
    public static bool IsPrimaryKeyBasedOnLong(this IAddressable grain) => GrainKeys.TryReadInteger(GetGrainId(grain), out _);

    /// <summary>A reference to the grain through that interface; what a grain gives away instead of <c>this</c>.</summary>
    public static TGrainInterface AsReference<TGrainInterface>(this IAddressable grain) => (TGrainInterface)AsReference(grain, typeof(TGrainInterface));

    /// <summary>A reference to the grain through that interface.</summary>
    public static object AsReference(this IAddressable grain, Type interfaceType)
    {
        GrainReference reference = grain switch
        {
            GrainReference given => given,
            IGrainBase activation when activation.GrainContext is { } context => context.GrainReference,
            null => throw new ArgumentNullException(nameof(grain)),
            _ => throw new ArgumentException($"{grain.GetType().FullName} is neither a grain that the runtime built nor a reference to one.", nameof(grain)),
        };
        return interfaceType.IsInstanceOfType(reference) ? reference : reference.Runtime.References.Create(reference.GrainId, interfaceType);
    }

    /// <summary>The same grain through another interface.</summary>
    public static TGrainInterface Cast<TGrainInterface>(this IAddressable grain) => AsReference<TGrainInterface>(grain);

    /// <summary>The same grain through another interface.</summary>
    public static object Cast(this IAddressable grain, Type interfaceType) => AsReference(grain, interfaceType);

    private static InvalidOperationException WrongKey(IAddressable grain, string kind) =>
        new(string.Create(CultureInfo.InvariantCulture, $"Grain {GetGrainId(grain)} has no {kind} key."));
}
