namespace MultiCluster.Simulator.OpenApi;

/// <summary>The JSON shape of a value.</summary>
internal enum ValueShape
{
    String, Int32, Int64, Boolean, Double, Time, MicroTime, Quantity, IntOrString, Bytes, Any,

    /// <summary>An object with declared fields.</summary>
    Struct,

    /// <summary>An object with free keys and one type of value.</summary>
    Map,

    /// <summary>A list with one type of item.</summary>
    List,
}

/// <summary>How a list, map or object is merged: as one value, as a set of scalars, by the keys of its items, or part by part.</summary>
internal enum MergeKind { Granular, Atomic, Set, Keyed }

/// <summary>A key field of a keyed list; the default stands in where an item leaves the key out.</summary>
internal sealed record ListKey(string Name, string? Default);

/// <summary>The type of a field, list item or map value. Immutable after the catalog is loaded.</summary>
internal sealed class SchemaNode
{
    /// <summary>Of a type nobody described: objects merge part by part, lists are replaced whole.</summary>
    public static readonly SchemaNode Unknown = new() { Shape = ValueShape.Any };

    public required ValueShape Shape { get; init; }
    public MergeKind Merge { get; init; }

    /// <summary>The declared fields; only of a struct.</summary>
    public SchemaType? Type { get; init; }

    /// <summary>Item or value; only of lists and maps.</summary>
    public SchemaNode? Element { get; init; }

    /// <summary>What identifies an item for server-side apply; only of keyed lists.</summary>
    public IReadOnlyList<ListKey> Keys { get; init; } = [];

    /// <summary>What identifies an item for strategic merge patch; null when such a patch replaces the list.</summary>
    public string? PatchMergeKey { get; init; }

    /// <summary>True when a strategic merge patch merges this list (of scalars when there is no merge key).</summary>
    public bool PatchMerges { get; init; }

    /// <summary>True when a strategic merge patch names the keys to keep in the items.</summary>
    public bool RetainKeys { get; init; }

    /// <summary>The node of a field of an object, of a map's value; unknown when undeclared.</summary>
    public SchemaNode Child(string name) => Shape switch
    {
        ValueShape.Struct when Type!.Fields.TryGetValue(name, out SchemaField? field) => field.Node,
        ValueShape.Map => Element!,
        _ => Unknown,
    };
}

/// <summary>One field of a type.</summary>
/// <param name="Always">True when the field is written even while it holds its zero value.</param>
internal sealed record SchemaField(string Name, SchemaNode Node, string Description, bool Required, bool Always);

/// <summary>An object type: its fields in declaration order.</summary>
internal sealed class SchemaType(string name, string definition, string description)
{
    public string Name { get; } = name;

    /// <summary>The name in OpenAPI documents, such as io.k8s.api.apps.v1.Deployment.</summary>
    public string Definition { get; } = definition;

    public string Description { get; } = description;
    public OrderedDictionary<string, SchemaField> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>Group, version and kind of a top-level type; null of a part.</summary>
    public (string Group, string Version, string Kind)? Kind { get; init; }
}
