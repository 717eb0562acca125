using System.Diagnostics.CodeAnalysis;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>The described types of the API, read once from the texts in <c>Schemas/</c>.</summary>
/// <remarks>Immutable after loading and safe for any thread.</remarks>
internal sealed class SchemaCatalog
{
    private static readonly Lazy<SchemaCatalog> Loaded = new(SchemaReader.ReadEmbedded);

    private readonly Dictionary<(string Group, string Kind), SchemaNode> _kinds = [];
    private readonly List<SchemaType> _types;

    public SchemaCatalog(List<SchemaType> types)
    {
        _types = types;
        foreach (SchemaType type in types)
        {
            if (type.Kind is { } kind)
            {
                // The first version of a kind wins; merge rules do not differ between versions of the simulator's kinds.
                _kinds.TryAdd((kind.Group, kind.Kind), new SchemaNode { Shape = ValueShape.Struct, Type = type });
            }
        }
    }

    /// <summary>The built-in types.</summary>
    public static SchemaCatalog BuiltIn => Loaded.Value;

    public IReadOnlyList<SchemaType> Types => _types;

    public bool TryFind(string group, string kind, [NotNullWhen(true)] out SchemaNode? node) =>
        _kinds.TryGetValue((group, kind), out node);

    /// <summary>The type of a kind, or <see cref="SchemaNode.Unknown"/>.</summary>
    public SchemaNode FindOrUnknown(string group, string kind) => TryFind(group, kind, out SchemaNode? node) ? node : SchemaNode.Unknown;
}
