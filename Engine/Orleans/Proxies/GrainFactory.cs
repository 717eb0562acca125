using System.Runtime.CompilerServices;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>The grain factory of a host or client. Thread-safe.</summary>
internal sealed class GrainFactory(ActorRuntime runtime, IServiceProvider services) : IClusterClient
{
    private readonly ConditionalWeakTable<IGrainObserver, GrainActivation> _observers = [];

    public IServiceProvider ServiceProvider => services;

    public TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithStringKey => (TGrainInterface)(object)Get(typeof(TGrainInterface), NotEmpty(primaryKey), grainClassNamePrefix);

    public TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithIntegerKey => (TGrainInterface)(object)Get(typeof(TGrainInterface), GrainKeys.Write(primaryKey), grainClassNamePrefix);

    public TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithGuidKey => (TGrainInterface)(object)Get(typeof(TGrainInterface), GrainKeys.Write(primaryKey), grainClassNamePrefix);

    public TGrainInterface GetGrain<TGrainInterface>(GrainId grainId) where TGrainInterface : IAddressable =>
        (TGrainInterface)(object)runtime.References.Create(grainId, typeof(TGrainInterface));

    public IGrain GetGrain(Type grainInterfaceType, string grainPrimaryKey) => (IGrain)Get(grainInterfaceType, NotEmpty(grainPrimaryKey), null);

    public IGrain GetGrain(Type grainInterfaceType, long grainPrimaryKey) => (IGrain)Get(grainInterfaceType, GrainKeys.Write(grainPrimaryKey), null);

    public IGrain GetGrain(Type grainInterfaceType, Guid grainPrimaryKey) => (IGrain)Get(grainInterfaceType, GrainKeys.Write(grainPrimaryKey), null);

    public TGrainObserverInterface CreateObjectReference<TGrainObserverInterface>(IGrainObserver obj) where TGrainObserverInterface : IGrainObserver
    {
        ArgumentNullException.ThrowIfNull(obj);
        GrainActivation activation = _observers.GetValue(obj, observer =>
        {
            var made = new GrainActivation(
                runtime, GrainClass.Observer, GrainId.Create(GrainClass.Observer.GrainType, Guid.NewGuid().ToString("N")), observer);
            runtime.Directory.Add(made);
            return made;
        });
        return (TGrainObserverInterface)(object)runtime.References.Create(activation.GrainId, typeof(TGrainObserverInterface));
    }

    public void DeleteObjectReference<TGrainObserverInterface>(IGrainObserver obj) where TGrainObserverInterface : IGrainObserver
    {
        // The caller has either the object or a reference to it.
        GrainActivation? activation = obj is GrainReference reference ? runtime.Directory.Find(reference.GrainId)
            : _observers.TryGetValue(obj, out GrainActivation? known) ? known : null;
        if (activation is { GrainInstance: IGrainObserver observer })
        {
            _observers.Remove(observer);
            activation.Deactivate(new DeactivationReason(DeactivationReasonCode.ApplicationRequested, "The observer was deleted."));
        }
    }

    private static string NotEmpty(string key) =>
        string.IsNullOrWhiteSpace(key) ? throw new ArgumentException("A grain key must not be empty.", nameof(key)) : key;

    private GrainReference Get(Type interfaceType, string key, string? prefix) =>
        runtime.References.Create(GrainId.Create(runtime.Catalog.Find(interfaceType, prefix).GrainType, key), interfaceType);
}
