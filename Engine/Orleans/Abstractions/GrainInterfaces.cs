using Orleans.Runtime;

namespace Orleans.Runtime
{
    /// <summary>Anything that calls can be addressed to: grains and observers.</summary>
    public interface IAddressable;
}

namespace Orleans
{
    /// <summary>Root of every grain interface.</summary>
    public interface IGrain : IAddressable;

    /// <summary>A grain that is found by a string.</summary>
    public interface IGrainWithStringKey : IGrain;

    /// <summary>A grain that is found by a 64-bit integer.</summary>
    public interface IGrainWithIntegerKey : IGrain;

    /// <summary>A grain that is found by a GUID.</summary>
    public interface IGrainWithGuidKey : IGrain;

    /// <summary>An object outside of grains that grains can call; see <see cref="IGrainFactory.CreateObjectReference{T}"/>.</summary>
    public interface IGrainObserver : IAddressable;

    /// <summary>What the runtime needs of a grain class; <see cref="Grain"/> provides it.</summary>
    public interface IGrainBase
    {
        /// <summary>The activation that this object lives in.</summary>
        IGrainContext GrainContext { get; }

        /// <summary>Runs before the first call; when it fails, the waiting callers get its exception.</summary>
        Task OnActivateAsync(CancellationToken token) => Task.CompletedTask;

        /// <summary>Runs after the last call, unless the process dies first.</summary>
        Task OnDeactivateAsync(DeactivationReason reason, CancellationToken token) => Task.CompletedTask;
    }

    /// <summary>Makes references to grains. Thread-safe; a reference costs no call and needs no activation.</summary>
    public interface IGrainFactory
    {
        /// <summary>The grain of that interface and string key.</summary>
        TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithStringKey;

        /// <summary>The grain of that interface and integer key.</summary>
        TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithIntegerKey;

        /// <summary>The grain of that interface and GUID key.</summary>
        TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithGuidKey;

        /// <summary>The grain of that identity, seen through that interface.</summary>
        TGrainInterface GetGrain<TGrainInterface>(GrainId grainId) where TGrainInterface : IAddressable;

        /// <summary>The grain of that interface and string key.</summary>
        IGrain GetGrain(Type grainInterfaceType, string grainPrimaryKey);

        /// <summary>The grain of that interface and integer key.</summary>
        IGrain GetGrain(Type grainInterfaceType, long grainPrimaryKey);

        /// <summary>The grain of that interface and GUID key.</summary>
        IGrain GetGrain(Type grainInterfaceType, Guid grainPrimaryKey);

        /// <summary>Makes a local object callable by grains. The caller keeps the object alive; the reference does not.</summary>
        TGrainObserverInterface CreateObjectReference<TGrainObserverInterface>(IGrainObserver obj) where TGrainObserverInterface : IGrainObserver;

        /// <summary>Ends a reference made by <see cref="CreateObjectReference"/>; later calls to it fail.</summary>
        void DeleteObjectReference<TGrainObserverInterface>(IGrainObserver obj) where TGrainObserverInterface : IGrainObserver;
    }

    /// <summary>The grain factory of code that runs outside of grains.</summary>
    public interface IClusterClient : IGrainFactory
    {
        /// <summary>The services of the host that owns this client.</summary>
        IServiceProvider ServiceProvider { get; }
    }
}
