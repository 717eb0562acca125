using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Engine.Actors;

internal abstract class GrainActivation : IGrainContext
{
    public abstract GrainReference GrainReference { get; }
    public abstract GrainId GrainId { get; }
    public abstract ActivationId ActivationId { get; }
    public abstract object? GrainInstance { get; }
    public abstract IServiceProvider ActivationServices { get; }
    public abstract IGrainLifecycle ObservableLifecycle { get; }
    public abstract IWorkItemScheduler Scheduler { get; }
    public abstract Task Deactivated { get; }
    public abstract void Deactivate(DeactivationReason deactivationReason, CancellationToken cancellationToken = default);
    public abstract bool Equals(IGrainContext? other);
    public abstract object? GetComponent(Type componentType);
    public abstract object? GetTarget();
    public abstract void SetComponent<TComponent>(TComponent? value) where TComponent : class;
    public abstract void DelayDeactivation(TimeSpan time);
    public abstract void Add(object timer);
    public abstract void EnterCallChain(Guid id);
    public abstract void ExitCallChain(Guid id);
    public override bool Equals(object? obj) => ReferenceEquals(this, obj);
    public override int GetHashCode() => base.GetHashCode();
}

internal sealed class GrainTimer<T>(GrainActivation a, Func<T, CancellationToken, Task> callback, T state, GrainTimerCreationOptions o) : IGrainTimer
{
    public void Change(TimeSpan dueTime, TimeSpan period) => throw new NotSupportedException($"{a}{callback.Method}{state}{o.DueTime}");
    public void Dispose() { }
}

internal sealed class ActorRuntime
{
    public References References { get; } = new();
    public Dir Directory { get; } = new();
}

internal sealed class Dir { public GrainActivation? Find(GrainId id) => throw new NotSupportedException($"{id}"); }
internal sealed class References { public object Create(GrainId id, Type t) => throw new NotSupportedException($"{id}{t}"); }

internal sealed class GrainReferenceShared
{
    public ActorRuntime Runtime { get; } = new();
    public GrainInterfaceType InterfaceType { get; }
    public string InterfaceName { get; } = "";
}

internal sealed class ReminderService
{
    public Task<IGrainReminder> RegisterAsync(GrainId id, string n, TimeSpan d, TimeSpan p) => throw new NotSupportedException($"{id}{n}{d}{p}");
    public Task<IGrainReminder?> GetAsync(GrainId id, string n) => throw new NotSupportedException($"{id}{n}");
    public Task<List<IGrainReminder>> GetAllAsync(GrainId id) => throw new NotSupportedException($"{id}");
    public Task UnregisterAsync(GrainId id, IGrainReminder r) => throw new NotSupportedException($"{id}{r}");
}

internal sealed record StartupTask(int Stage, Func<CancellationToken, Task> Run);
internal sealed class DelegateIncomingFilter(IncomingGrainCallFilterDelegate f) : IIncomingGrainCallFilter { public Task Invoke(IIncomingGrainCallContext context) => f(context); }
internal sealed class DelegateOutgoingFilter(OutgoingGrainCallFilterDelegate f) : IOutgoingGrainCallFilter { public Task Invoke(IOutgoingGrainCallContext context) => f(context); }

internal sealed class MemoryGrainStorage : IGrainStorage
{
    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) => throw new NotSupportedException();
    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) => throw new NotSupportedException();
    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) => throw new NotSupportedException();
}

internal sealed class MemoryReminderTable;
internal static class SiloRegistration
{
    public static ISiloBuilder Add(IServiceCollection services, IConfiguration c) => throw new NotSupportedException($"{services}{c}");
    public static void AddReminderService(this IServiceCollection services, Func<IServiceProvider, object> f) => throw new NotSupportedException($"{services}{f.Method}");
}

internal abstract class GrainEnumerable<T> : IAsyncEnumerable<T>
{
    public abstract IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default);
    public abstract IAsyncEnumerable<T> WithBatchSize(int n);
}

internal sealed class ClientBuilder(IHostApplicationBuilder host) : IClientBuilder
{
    public IServiceCollection Services => host.Services;
    public IConfiguration Configuration => host.Configuration;
}

internal abstract class ClusterClient : IClusterClient
{
    protected ClusterClient(ActorRuntime r, IServiceProvider s) { ServiceProvider = s; _ = r; }
    public IServiceProvider ServiceProvider { get; }
    public abstract TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithStringKey;
    public abstract TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithIntegerKey;
    public abstract TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithGuidKey;
    public abstract TGrainInterface GetGrain<TGrainInterface>(GrainId grainId) where TGrainInterface : IAddressable;
    public abstract IGrain GetGrain(Type grainInterfaceType, string grainPrimaryKey);
    public abstract IGrain GetGrain(Type grainInterfaceType, long grainPrimaryKey);
    public abstract IGrain GetGrain(Type grainInterfaceType, Guid grainPrimaryKey);
    public abstract TGrainObserverInterface CreateObjectReference<TGrainObserverInterface>(IGrainObserver obj) where TGrainObserverInterface : IGrainObserver;
    public abstract void DeleteObjectReference<TGrainObserverInterface>(IGrainObserver obj) where TGrainObserverInterface : IGrainObserver;
}
