using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Providers;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Engine.Actors;

/// <summary>Builds the persistent states that grain constructors take.</summary>
internal static class PersistentStateFactory
{
    private static readonly MethodInfo CreateMethod =
        typeof(PersistentStateFactory).GetMethod(nameof(Create), BindingFlags.NonPublic | BindingFlags.Static)!;

    public static Func<GrainActivation, object> For(Type stateType, IPersistentStateConfiguration configuration, Type grainClass) =>
        CreateMethod.MakeGenericMethod(stateType).CreateDelegate<Func<IPersistentStateConfiguration, Type, Func<GrainActivation, object>>>()(configuration, grainClass);

    private static Func<GrainActivation, object> Create<T>(IPersistentStateConfiguration configuration, Type grainClass) => activation =>
    {
        string name = configuration.StorageName ?? ProviderConstants.DEFAULT_STORAGE_PROVIDER_NAME;
        IGrainStorage storage = activation.ActivationServices.GetKeyedService<IGrainStorage>(name)
            ?? throw new BadProviderConfigException(
                $"No storage named \"{name}\" is registered, but {grainClass.FullName} keeps its state \"{configuration.StateName}\" there. "
                + "Register it on the silo builder, for example by AddMemoryGrainStorage.");
        var state = new PersistentState<T>(storage, configuration.StateName, activation.GrainId);
        activation.ObservableLifecycle.Subscribe(configuration.StateName, GrainLifecycleStage.SetupState, state.ReadStateAsync);
        return state;
    };
}

/// <inheritdoc cref="IPersistentState{TState}"/>
internal sealed class PersistentState<T>(IGrainStorage storage, string name, GrainId grainId) : IPersistentState<T>
{
    private readonly GrainState<T> _record = new(EmptyState.Of<T>());

    public T State
    {
        get => _record.State!;
        set => _record.State = value;
    }

    public string? Etag => _record.ETag;

    public bool RecordExists => _record.RecordExists;

    public Task ReadStateAsync() => ReadStateAsync(CancellationToken.None);

    public Task ReadStateAsync(CancellationToken cancellationToken) => storage.ReadStateAsync(name, grainId, _record, cancellationToken);

    public Task WriteStateAsync() => WriteStateAsync(CancellationToken.None);

    public Task WriteStateAsync(CancellationToken cancellationToken) => storage.WriteStateAsync(name, grainId, _record, cancellationToken);

    public Task ClearStateAsync() => ClearStateAsync(CancellationToken.None);

    public Task ClearStateAsync(CancellationToken cancellationToken) => storage.ClearStateAsync(name, grainId, _record, cancellationToken);
}

/// <summary>The state of a grain that never stored one.</summary>
internal static class EmptyState
{
    private static readonly ConcurrentDictionary<Type, bool> HasConstructor = new();

    /// <summary>A new value; types without a parameterless constructor come with empty members, as in Orleans.</summary>
    public static T Of<T>() => typeof(T).IsValueType || typeof(T).IsArray || typeof(T) == typeof(string) || typeof(T).IsAbstract ? default!
        : HasConstructor.GetOrAdd(typeof(T), static type => type.GetConstructor(Type.EmptyTypes) is not null) ? Activator.CreateInstance<T>()
        : (T)RuntimeHelpers.GetUninitializedObject(typeof(T));
}
