using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Orleans.Runtime;

/// <summary>The key part of an identity. Compared byte by byte, any text is allowed.</summary>
[GenerateSerializer, Immutable]
public readonly record struct IdSpan
{
    [Id(0)]
    private readonly string? _value;

    private IdSpan(string? value) => _value = value;

    /// <summary>True for the value that no grain has.</summary>
    public bool IsDefault => _value is null;

    /// <summary>Makes a key from text.</summary>
    public static IdSpan Create(string id) => new(id);

    /// <inheritdoc/>
    public override string ToString() => _value ?? "";
}

/// <summary>The class part of an identity, by default the class name in lower case without "Grain".</summary>
[GenerateSerializer, Immutable]
public readonly record struct GrainType : IComparable<GrainType>
{
    /// <summary>Makes a type from its name.</summary>
    public GrainType(IdSpan id) => Value = id;

    /// <summary>True for the value that no grain has.</summary>
    public bool IsDefault => Value.IsDefault;

    /// <summary>The name.</summary>
    [Id(0)]
    public IdSpan Value { get; }

    /// <summary>Makes a type from its name.</summary>
    public static GrainType Create(string value) => new(IdSpan.Create(value));

    /// <inheritdoc/>
    public int CompareTo(GrainType other) => string.CompareOrdinal(ToString(), other.ToString());

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}

/// <summary>The name of a grain interface.</summary>
[GenerateSerializer, Immutable]
public readonly record struct GrainInterfaceType
{
    /// <summary>Makes the name.</summary>
    public GrainInterfaceType(string value) => Value = IdSpan.Create(value);

    /// <summary>True for the value that no interface has.</summary>
    public bool IsDefault => Value.IsDefault;

    /// <summary>The name.</summary>
    [Id(0)]
    public IdSpan Value { get; }

    /// <summary>Makes the name.</summary>
    public static GrainInterfaceType Create(string value) => new(value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}

/// <summary>The identity of a grain, for ever: its type and key, written <c>type/key</c>.</summary>
[GenerateSerializer, Immutable, JsonConverter(typeof(GrainIdJsonConverter))]
public readonly record struct GrainId : IComparable<GrainId>, IParsable<GrainId>
{
    /// <summary>Makes an identity.</summary>
    public GrainId(GrainType type, IdSpan key)
    {
        Type = type;
        Key = key;
    }

    /// <summary>The class part.</summary>
    [Id(0)]
    public GrainType Type { get; }

    /// <summary>The key part.</summary>
    [Id(1)]
    public IdSpan Key { get; }

    /// <summary>True for the value that no grain has.</summary>
    public bool IsDefault => Type.IsDefault && Key.IsDefault;

    /// <summary>Makes an identity.</summary>
    public static GrainId Create(GrainType type, IdSpan key) => new(type, key);

    /// <summary>Makes an identity.</summary>
    public static GrainId Create(GrainType type, string key) => new(type, IdSpan.Create(key));

    /// <summary>Makes an identity.</summary>
    public static GrainId Create(string type, string key) => new(GrainType.Create(type), IdSpan.Create(key));

    /// <summary>Reads <c>type/key</c>.</summary>
    /// <exception cref="ArgumentException">The text has no slash or nothing before it.</exception>
    public static GrainId Parse(string value) =>
        TryParse(value, out GrainId id) ? id : throw new ArgumentException($"\"{value}\" is no grain id; write it as type/key.", nameof(value));

    /// <summary>Reads <c>type/key</c>.</summary>
    public static bool TryParse([NotNullWhen(true)] string? value, out GrainId result)
    {
        int slash = value?.IndexOf('/', StringComparison.Ordinal) ?? -1;
        result = slash <= 0 ? default : Create(value![..slash], value[(slash + 1)..]);
        return slash > 0;
    }

    static GrainId IParsable<GrainId>.Parse(string s, IFormatProvider? provider) => Parse(s);

    static bool IParsable<GrainId>.TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out GrainId result) => TryParse(s, out result);

    /// <inheritdoc/>
    public int CompareTo(GrainId other)
    {
        int byType = Type.CompareTo(other.Type);
        return byType != 0 ? byType : string.CompareOrdinal(Key.ToString(), other.Key.ToString());
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Type}/{Key}";

    internal sealed class GrainIdJsonConverter : JsonConverter<GrainId>
    {
        public override GrainId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            TryParse(reader.GetString(), out GrainId id) ? id : throw new JsonException("A grain id is written type/key.");

        public override void Write(Utf8JsonWriter writer, GrainId value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());

        public override GrainId ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            Read(ref reader, typeToConvert, options);

        public override void WriteAsPropertyName(Utf8JsonWriter writer, GrainId value, JsonSerializerOptions options) =>
            writer.WritePropertyName(value.ToString());
    }
}

/// <summary>The identity of one life of a grain.</summary>
[GenerateSerializer, Immutable]
public readonly record struct ActivationId([property: Id(0)] Guid Key)
{
    /// <summary>True for the value that no activation has.</summary>
    public bool IsDefault => Key == Guid.Empty;

    /// <summary>Makes an identity that was never used.</summary>
    public static ActivationId NewId() => new(Guid.NewGuid());

    /// <inheritdoc/>
    public override string ToString() => $"@{Key:N}";
}
