using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Actors;
using Orleans.Runtime;

namespace Orleans;

/// <summary>Base class of grains.</summary>
/// <remarks>
/// The runtime builds it, runs every line of it as a turn of its activation, and never two turns at a time unless the
/// class or method is marked to interleave. Fields therefore need no lock, but may have changed after every await.
/// </remarks>
public abstract class Grain : IGrainBase, IAddressable
{
    /// <summary>For grains that the runtime builds.</summary>
    protected Grain() : this(RuntimeContext.Current!)
    {
    }

    /// <summary>For grains that a test builds with its own context.</summary>
    protected Grain(IGrainContext grainContext) => GrainContext = grainContext;

    /// <summary>The activation that this object lives in.</summary>
    public IGrainContext GrainContext { get; }

    /// <summary>A reference to this grain that may be given away.</summary>
    public GrainReference GrainReference => EnsureContext().GrainReference;

    /// <summary>The identity as text.</summary>
    public string IdentityString => EnsureContext().GrainId.ToString();

    /// <summary>Name of the silo: empty, since this process is all there is.</summary>
    public string RuntimeIdentity => string.Empty;

    /// <summary>Makes references to other grains.</summary>
    protected IGrainFactory GrainFactory => ServiceProvider.GetRequiredService<IGrainFactory>();

    /// <summary>Services that live as long as this activation.</summary>
    protected internal IServiceProvider ServiceProvider => EnsureContext().ActivationServices;

    /// <summary>Runs before the first call; when it fails, the waiting callers get its exception.</summary>
    public virtual Task OnActivateAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Runs after the last call, unless the process dies first. The token ends when the runtime stops waiting.</summary>
    public virtual Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Ends this activation once its running calls are done.</summary>
    protected void DeactivateOnIdle() => GrainBaseExtensions.DeactivateOnIdle(this);

    /// <summary>Keeps this activation from idle collection for at least that long; zero or less takes it back.</summary>
    protected void DelayDeactivation(TimeSpan timeSpan) => ((GrainActivation)EnsureContext()).DelayDeactivation(timeSpan);

    private IGrainContext EnsureContext() => GrainContext
        ?? throw new InvalidOperationException($"{GetType().Name} was built outside of the runtime. Get grains from IGrainFactory instead of new.");
}
