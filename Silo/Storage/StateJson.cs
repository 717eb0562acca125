using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace MultiCluster.Silo.Storage;

/// <summary>How states are written as JSON: what a state holds is written, what it computes is not.</summary>
internal static class StateJson
{
    public static JsonSerializerOptions Options { get; } = new()
    {
        Converters = { new JsonStringEnumConverter(), new ImmutableArrayConverterFactory() },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { KeepOnlyWhatIsStored } },
    };

    private static void KeepOnlyWhatIsStored(JsonTypeInfo type)
    {
        if (type.Kind != JsonTypeInfoKind.Object)
        {
            return;
        }

        foreach (JsonPropertyInfo property in type.Properties)
        {
            if (property.Set is not null || property.AttributeProvider is not PropertyInfo { DeclaringType: { } declaring } member)
            {
                continue;
            }

            bool isStored = declaring.GetField($"<{member.Name}>k__BackingField", BindingFlags.Instance | BindingFlags.NonPublic)
                ?.IsDefined(typeof(CompilerGeneratedAttribute)) ?? false;
            if (!isStored)
            {
                property.ShouldSerialize = static (_, _) => false;
            }
            else if (CanBeFilled(member.PropertyType) && !type.Properties.Any(p => p.AssociatedParameter is not null))
            {
                // Without this, a get-only collection would be written and come back empty.
                property.ObjectCreationHandling = JsonObjectCreationHandling.Populate;
            }
        }
    }

    private static bool CanBeFilled(Type type) => !type.IsArray && !type.IsValueType
        && type.GetInterfaces().Append(type).Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(ICollection<>))
        && type.Namespace != typeof(ImmutableArray).Namespace;

    /// <summary>An <see cref="ImmutableArray{T}"/> that was never set is written and read as an empty one.</summary>
    private sealed class ImmutableArrayConverterFactory : JsonConverterFactory
    {
        public override bool CanConvert(Type typeToConvert) =>
            typeToConvert.IsGenericType && typeToConvert.GetGenericTypeDefinition() == typeof(ImmutableArray<>);

        public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
            (JsonConverter)Activator.CreateInstance(typeof(Converter<>).MakeGenericType(typeToConvert.GenericTypeArguments))!;

        private sealed class Converter<T> : JsonConverter<ImmutableArray<T>>
        {
            public override bool HandleNull => true;

            public override ImmutableArray<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
                ImmutableCollectionsMarshalFrom(JsonSerializer.Deserialize<T[]>(ref reader, options));

            public override void Write(Utf8JsonWriter writer, ImmutableArray<T> value, JsonSerializerOptions options) =>
                JsonSerializer.Serialize(writer, value.IsDefault ? [] : value.AsSpan().ToArray(), options);

            private static ImmutableArray<T> ImmutableCollectionsMarshalFrom(T[]? items) =>
                items is null ? [] : System.Runtime.InteropServices.ImmutableCollectionsMarshal.AsImmutableArray(items);
        }
    }
}
