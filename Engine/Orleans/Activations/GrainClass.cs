using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Concurrency;
using Orleans.Configuration;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>What the runtime knows of one grain class.</summary>
internal sealed class GrainClass
{
    private readonly Func<GrainActivation, object?>[] _arguments = [];
    private readonly ConstructorInvoker? _constructor;

    public GrainClass(Type type, GrainCollectionOptions collection)
    {
        Type = type;
        GrainType = type.GetCustomAttribute<GrainTypeAttribute>()?.GrainType ?? GrainType.Create(NameOf(type));
        Interfaces = type.GetInterfaces().Where(IsGrainInterface).ToArray();
        DefaultInterface = Interfaces.FirstOrDefault(i => i.Name == "I" + type.Name) ?? Interfaces.FirstOrDefault() ?? typeof(IGrain);
        IsReentrant = type.IsDefined(typeof(ReentrantAttribute), inherit: true);
        MaxWorkers = type.GetCustomAttribute<StatelessWorkerAttribute>()?.MaxLocalWorkers ?? 0;
        FiltersItself = typeof(IIncomingGrainCallFilter).IsAssignableFrom(type);
        CollectionAge = collection.ClassSpecificCollectionAge.TryGetValue(type.FullName!, out TimeSpan configured) ? configured
            : type.IsDefined(typeof(KeepAliveAttribute), inherit: true) ? Timeout.InfiniteTimeSpan
            : type.GetCustomAttribute<CollectionAgeLimitAttribute>()?.AgeLimit ?? collection.CollectionAge;
        ConstructorInfo constructor = ChooseConstructor(type);
        _constructor = ConstructorInvoker.Create(constructor);
        _arguments = constructor.GetParameters().Select(p => Resolver(type, p)).ToArray();
    }

    private GrainClass()
    {
        Type = typeof(IGrainObserver);
        GrainType = GrainType.Create("sys.observer");
        DefaultInterface = typeof(IGrainObserver);
        CollectionAge = Timeout.InfiniteTimeSpan;
        IsObserver = true;
    }

    /// <summary>The class of objects that are no grains but can be called by them.</summary>
    public static GrainClass Observer { get; } = new();

    public Type Type { get; }

    public GrainType GrainType { get; }

    public Type[] Interfaces { get; } = [];

    /// <summary>The interface of the references that activations give away without saying which they mean.</summary>
    public Type DefaultInterface { get; }

    public bool IsReentrant { get; }

    public bool IsObserver { get; }

    /// <summary>Whether the class is a filter around its own calls.</summary>
    public bool FiltersItself { get; }

    /// <summary>How many activations of one key may live side by side; 0 for a grain that is only ever one.</summary>
    public int MaxWorkers { get; }

    /// <summary>How long an activation may be idle; infinite for ever.</summary>
    public TimeSpan CollectionAge { get; }

    public object Create(GrainActivation activation)
    {
        object?[] arguments = new object?[_arguments.Length];
        for (int i = 0; i < arguments.Length; i++)
        {
            arguments[i] = _arguments[i](activation);
        }

        return _constructor!.Invoke(arguments.AsSpan());
    }

    internal static bool IsGrainInterface(Type type) => type.IsInterface && typeof(IGrain).IsAssignableFrom(type) && type != typeof(IGrain)
        && type != typeof(IGrainWithStringKey) && type != typeof(IGrainWithIntegerKey) && type != typeof(IGrainWithGuidKey);

    private static string NameOf(Type type)
    {
        string name = type.Name.ToLowerInvariant();
        return name.Length > 5 && name.EndsWith("grain", StringComparison.Ordinal) ? name[..^5] : name;
    }

    private static ConstructorInfo ChooseConstructor(Type type)
    {
        ConstructorInfo[] all = type.GetConstructors();
        return all.Length == 1 ? all[0]
            : all.SingleOrDefault(c => c.IsDefined(typeof(ActivatorUtilitiesConstructorAttribute)))
            ?? throw new OrleansConfigurationException(
                $"Grain class {type.FullName} needs one public constructor, or one of them marked with [ActivatorUtilitiesConstructor].");
    }

    private static Func<GrainActivation, object?> Resolver(Type type, ParameterInfo parameter)
    {
        Type wanted = parameter.ParameterType;
        if (parameter.GetCustomAttribute<PersistentStateAttribute>() is { } state)
        {
            if (!wanted.IsGenericType || wanted.GetGenericTypeDefinition() != typeof(IPersistentState<>))
            {
                throw new OrleansConfigurationException(
                    $"Parameter {parameter.Name} of {type.FullName} is marked with [PersistentState] and so must be an IPersistentState.");
            }

            return PersistentStateFactory.For(wanted.GenericTypeArguments[0], state, type);
        }

        if (wanted == typeof(IGrainContext))
        {
            return static activation => activation;
        }

        object? key = parameter.GetCustomAttribute<FromKeyedServicesAttribute>()?.Key;
        if (parameter.HasDefaultValue)
        {
            object? fallback = parameter.DefaultValue;
            return key is null
                ? activation => activation.ActivationServices.GetService(wanted) ?? fallback
                : activation => activation.ActivationServices.GetKeyedServices(wanted, key).FirstOrDefault() ?? fallback;
        }

        return key is null
            ? activation => activation.ActivationServices.GetRequiredService(wanted)
            : activation => activation.ActivationServices.GetRequiredKeyedService(wanted, key);
    }
}
