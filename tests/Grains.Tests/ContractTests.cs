using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.CompilerServices;
using MultiCluster.Fleet;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Grains.Tests;

/// <summary>The grain interfaces and every message that they reach, checked for what only a cluster of machines would notice.</summary>
public sealed class ContractTests
{
    // What Orleans carries by itself. A new one is added here after a look at its codecs.
    private static readonly HashSet<Type> KnownTypes =
    [
        typeof(void), typeof(string), typeof(decimal), typeof(DateTime), typeof(DateTimeOffset), typeof(TimeSpan), typeof(DateOnly), typeof(TimeOnly),
        typeof(Guid), typeof(Uri), typeof(Version), typeof(CancellationToken), typeof(GrainId), typeof(TickStatus), typeof(Task), typeof(ValueTask),
    ];

    private static readonly HashSet<Type> KnownGenerics =
    [
        typeof(Task<>), typeof(ValueTask<>), typeof(IAsyncEnumerable<>), typeof(Nullable<>), typeof(KeyValuePair<,>), typeof(ReadOnlyMemory<>),
        typeof(ImmutableArray<>), typeof(ImmutableList<>), typeof(ImmutableHashSet<>), typeof(ImmutableSortedSet<>), typeof(ImmutableDictionary<,>),
        typeof(ImmutableSortedDictionary<,>), typeof(ImmutableQueue<>), typeof(ImmutableStack<>),
    ];

    private static readonly Type[] Interfaces = typeof(IFleetGrain).Assembly.GetTypes()
        .Where(t => t.IsInterface && typeof(IAddressable).IsAssignableFrom(t)).ToArray();

    [Fact]
    public void Contract_EveryReachableType_CanTravelBetweenMachines()
    {
        Assert.NotEmpty(Interfaces);
        var faults = new List<string>();
        var seen = new HashSet<Type>();
        foreach (Type contract in Interfaces)
        {
            Require(contract.IsDefined(typeof(AliasAttribute)), $"{contract.Name} has no [Alias]", faults);
            foreach (MethodInfo method in contract.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance))
            {
                Require(method.IsDefined(typeof(AliasAttribute)), $"{contract.Name}.{method.Name} has no [Alias]", faults);
                foreach (Type type in method.GetParameters().Select(p => p.ParameterType).Append(method.ReturnType))
                {
                    Walk(type, $"{contract.Name}.{method.Name}", seen, faults);
                }
            }

            RequireUnique(contract.GetMethods().Select(AliasOf), $"{contract.Name} has two methods of alias", faults);
        }

        RequireUnique(seen.Where(IsOurs).Concat(Interfaces).Select(AliasOf), "Two types have the alias", faults);
        Assert.True(faults.Count == 0, string.Join(Environment.NewLine, faults));
    }

    [Theory]
    [InlineData(typeof(NoMark), "NoMark has no [GenerateSerializer]")]
    [InlineData(typeof(NoAlias), "NoAlias has no [Alias]")]
    [InlineData(typeof(NoId), "NoId.Value has no [Id]")]
    [InlineData(typeof(SameIds), "SameIds has two members of id 0")]
    [InlineData(typeof(CanBeSet), "CanBeSet.Value can be set after it was made")]
    [InlineData(typeof(Mutable), "Mutable.Values is a List`1, which is not on the list of types that travel")]
    [InlineData(typeof(Dictionary<string, int>), "is a Dictionary`2, which is not on the list of types that travel")]
    [InlineData(typeof(ImmutableArray<NoId?>), "NoId.Value has no [Id]")]
    public void Walk_BrokenMessage_IsFound(Type message, string fault)
    {
        var faults = new List<string>();
        Walk(message, "IAny.Method", [], faults);

        Assert.Contains(faults, f => f.Contains(fault, StringComparison.Ordinal));
    }

    private static void Walk(Type type, string from, HashSet<Type> seen, List<string> faults)
    {
        if (type.IsArray)
        {
            // A byte array is bytes; any other array could be changed by its receiver.
            Require(type == typeof(byte[]), $"{from} is an array of {type.GetElementType()!.Name}; use ImmutableArray", faults);
            return;
        }

        if (type.IsGenericType)
        {
            foreach (Type argument in type.GenericTypeArguments)
            {
                Walk(argument, from, seen, faults);
            }
        }

        if (!seen.Add(type) || type.IsPrimitive || KnownTypes.Contains(type) || typeof(IAddressable).IsAssignableFrom(type)
            || (type.IsGenericType && (KnownGenerics.Contains(type.GetGenericTypeDefinition()) || IsTuple(type))))
        {
            return;
        }

        if (!IsOurs(type))
        {
            faults.Add($"{from} is a {type.Name}, which is not on the list of types that travel");
            return;
        }

        Require(type.IsDefined(typeof(GenerateSerializerAttribute), inherit: false), $"{type.Name} has no [GenerateSerializer]", faults);
        Require(type.IsDefined(typeof(AliasAttribute), inherit: false), $"{type.Name} has no [Alias]", faults);
        if (!type.IsEnum)
        {
            WalkMembers(type, seen, faults);
        }
    }

    private static void WalkMembers(Type type, HashSet<Type> seen, List<string> faults)
    {
        var ids = new List<uint>();
        for (Type? level = type; level is not null && level != typeof(object) && level != typeof(ValueType); level = level.BaseType)
        {
            foreach (FieldInfo field in level.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                PropertyInfo? property = PropertyOf(level, field);
                MemberInfo member = property is null ? field : property;
                string name = $"{type.Name}.{member.Name}";
                if (member.GetCustomAttribute<IdAttribute>() is { } id)
                {
                    ids.Add(id.Id);
                }
                else
                {
                    faults.Add($"{name} has no [Id]");
                }

                bool canBeSet = property is null
                    ? !field.IsInitOnly
                    : property.SetMethod is { } set && !set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));
                Require(!canBeSet, $"{name} can be set after it was made; make it init", faults);
                Walk(field.FieldType, name, seen, faults);
            }
        }

        RequireUnique(ids.Select(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture)), $"{type.Name} has two members of id", faults);
    }

    private static PropertyInfo? PropertyOf(Type type, FieldInfo field) =>
        field.Name.StartsWith('<') && field.Name.IndexOf(">k__", StringComparison.Ordinal) is > 0 and var end
            ? type.GetProperty(field.Name[1..end], BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            : null;

    private static bool IsOurs(Type type) => type.Assembly == typeof(IFleetGrain).Assembly || type.Assembly == typeof(ContractTests).Assembly;

    private static bool IsTuple(Type type) => type.IsValueType && type.IsAssignableTo(typeof(ITuple));

    private static string? AliasOf(MemberInfo member) => member.GetCustomAttribute<AliasAttribute>(inherit: false)?.Alias;

    private static void Require(bool holds, string fault, List<string> faults)
    {
        if (!holds)
        {
            faults.Add(fault);
        }
    }

    private static void RequireUnique(IEnumerable<string?> names, string fault, List<string> faults) =>
        faults.AddRange(names.OfType<string>().GroupBy(n => n, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => $"{fault} {g.Key}"));

    internal sealed record NoMark;

    [GenerateSerializer]
    internal sealed record NoAlias;

    [GenerateSerializer, Alias("no-id")]
    internal sealed record NoId(int Value);

#pragma warning disable ORLEANS0012 // Orleans' own analyzer refuses it too, but only in a build with Orleans.
    [GenerateSerializer, Alias("same-ids")]
    internal sealed record SameIds([property: Id(0)] int A, [property: Id(0)] int B);
#pragma warning restore ORLEANS0012

    [GenerateSerializer, Alias("can-be-set")]
    internal sealed class CanBeSet
    {
        [Id(0)] public int Value { get; set; }
    }

    [GenerateSerializer, Alias("mutable")]
    internal sealed record Mutable([property: Id(0)] List<int> Values);
}
