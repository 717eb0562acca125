using System.Collections.Concurrent;
using System.Reflection;
using Orleans;
using Orleans.Runtime;
using Orleans.Serialization.Invocation;

namespace MultiCluster.Engine.Actors;

/// <summary>A call on its way through filters; each stage may go on more than once.</summary>
internal abstract class CallContext(Call call) : IGrainCallContext
{
    private int _next;

    public IInvokable Request => call;

    public abstract object Grain { get; }

    public GrainId? SourceId => call.Source?.GrainId;

    public GrainId TargetId => call.Target.GrainId;

    public MethodInfo InterfaceMethod => call.Method.Method;

    public GrainInterfaceType InterfaceType => call.Target.InterfaceType;

    public string InterfaceName => Request.GetInterfaceName();

    public string MethodName => call.Method.Method.Name;

    public object? Result { get; set; }

    protected Call Call => call;

    public async Task Invoke()
    {
        int stage = _next++;
        try
        {
            await InvokeStageAsync(stage);
        }
        finally
        {
            _next = stage;
        }
    }

    protected abstract Task InvokeStageAsync(int stage);
}

/// <inheritdoc/>
internal sealed class IncomingCallContext(Call call, GrainActivation target, IIncomingGrainCallFilter[] filters) : CallContext(call), IIncomingGrainCallContext
{
    private static readonly ConcurrentDictionary<(Type, MethodInfo), MethodInfo> Implementations = new();

    public override object Grain => target.GrainInstance!;

    public IGrainContext TargetContext => target;

    public MethodInfo ImplementationMethod => Implementations.GetOrAdd((Grain.GetType(), InterfaceMethod), static key =>
    {
        InterfaceMapping map = key.Item1.GetInterfaceMap(key.Item2.DeclaringType!);
        return map.TargetMethods[Array.IndexOf(map.InterfaceMethods, key.Item2)];
    });

    protected override async Task InvokeStageAsync(int stage)
    {
        if (stage < filters.Length)
        {
            await filters[stage].Invoke(this);
        }
        else if (stage == filters.Length && Grain is IIncomingGrainCallFilter own)
        {
            await own.Invoke(this);
        }
        else
        {
            Result = await Call.InvokeBoxedAsync(Grain);
        }
    }
}

/// <inheritdoc/>
internal sealed class OutgoingCallContext(Call call, IOutgoingGrainCallFilter[] filters) : CallContext(call), IOutgoingGrainCallContext
{
    public override object Grain => Call.Target;

    public IGrainContext? SourceContext => Call.Source;

    protected override async Task InvokeStageAsync(int stage)
    {
        if (stage < filters.Length)
        {
            await filters[stage].Invoke(this);
        }
        else
        {
            // Filters may have changed the request context for the callee.
            Call.Context = RequestContext.Snapshot;
            Result = await Call.SendAndWaitAsync();
        }
    }
}

internal sealed class DelegateIncomingFilter(IncomingGrainCallFilterDelegate filter) : IIncomingGrainCallFilter
{
    public Task Invoke(IIncomingGrainCallContext context) => filter(context);
}

internal sealed class DelegateOutgoingFilter(OutgoingGrainCallFilterDelegate filter) : IOutgoingGrainCallFilter
{
    public Task Invoke(IOutgoingGrainCallContext context) => filter(context);
}
