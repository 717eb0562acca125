using Microsoft.Extensions.Logging;
using Orleans.Runtime;
using Orleans.Serialization.Invocation;

namespace MultiCluster.Engine.Actors;

/// <summary>One call of a grain method. A class per method is generated that holds the arguments and invokes the method.</summary>
/// <remarks>The caller's side may be completed from any thread, once; the callee's side belongs to its activation's turns.</remarks>
internal abstract partial class Call : MailItem, IInvokable
{
    private CancellationTokenSource? _cancellation;
    private CancellationTokenRegistration _registration;
    private GrainActivation? _host;
    private long _startedAt;

    public GrainReference Target { get; private set; } = null!;

    public GrainMethod Method { get; private set; } = null!;

    public IGrainContext? Source { get; private set; }

    public override bool AlwaysInterleaves => Method.AlwaysInterleaves;

    public override bool IsReadOnly => Method.IsReadOnly;

    /// <summary>Whether the method takes a <see cref="CancellationToken"/>.</summary>
    public virtual bool HasToken => false;

    /// <summary>Whether the caller no longer waits.</summary>
    public abstract bool IsAbandoned { get; }

    /// <summary>The argument of type <see cref="CancellationToken"/>; methods that have none keep this one.</summary>
    public virtual CancellationToken Token
    {
        get => CancellationToken.None;
        set { }
    }

    /// <summary>Invokes the method without telling the caller.</summary>
    public abstract Task<object?> InvokeBoxedAsync(object grain);

    /// <summary>Ends the caller's wait with this result.</summary>
    public abstract void CompleteBoxed(object? result);

    /// <summary>Runs around the send when there are outgoing filters: sends and waits.</summary>
    public abstract Task<object?> SendAndWaitAsync();

    int IInvokable.GetArgumentCount() => Method.ArgumentCount;

    object? IInvokable.GetArgument(int index) => Method.GetArgument(this, index);

    void IInvokable.SetArgument(int index, object value) => Method.SetArgument(this, index, value);

    string IInvokable.GetMethodName() => Method.Method.Name;

    string IInvokable.GetInterfaceName() => Method.Interface.FullName ?? Method.Interface.Name;

    Type IInvokable.GetInterfaceType() => Method.Interface;

    System.Reflection.MethodInfo IInvokable.GetMethod() => Method.Method;

    public override void OnActivationGone(ActorRuntime runtime) => runtime.Dispatch(this);

    public override void OnExpired(GrainActivation activation)
    {
        string where = ReferenceEquals(_host, activation) ? "it still runs" : "it never started";
        Reject(new TimeoutException(
            $"{Method} of grain {Target.GrainId} did not answer within {Method.Timeout ?? Target.Runtime.Messaging.ResponseTimeout}; {where}. "
            + "Two grains that wait for each other look like this too."));
        if (Target.Runtime.Messaging.CancelRequestOnTimeout)
        {
            CancelCallee();
        }
    }

    public override string ToString() => $"{Method} of {Target.GrainId}";

    public override void Start(GrainActivation activation)
    {
        // A full fence: either we see here that the caller has given up, or whoever cancels sees where the call runs.
        Interlocked.Exchange(ref _host, activation);
        if (IsAbandoned)
        {
            Finish(activation, wasLong: false);
            return;
        }

        if (activation.Runtime.Listener is not null)
        {
            _startedAt = activation.Runtime.Time.GetTimestamp();
        }

        Orleans.IIncomingGrainCallFilter[] filters = activation.Runtime.IncomingFilters;
        object grain = activation.GrainInstance!;
        if (filters.Length == 0 && !activation.Class.FiltersItself)
        {
            Invoke(activation, grain);
        }
        else
        {
            _ = InvokeThroughFiltersAsync(activation, filters);
        }
    }

    protected abstract void Invoke(GrainActivation activation, object grain);

    protected void Finish(GrainActivation activation, bool wasLong)
    {
        _registration.Unregister();
        activation.OnFinished(this, wasLong);
    }

    protected void Fail(GrainActivation activation, Exception e)
    {
        Tell(activation, e);
        if (Method.IsOneWay)
        {
            LogOneWayFailed(activation.Runtime.Logger, e, Method, activation.GrainId);
        }

        // After a lost write the memory of this activation is not what is stored: the next one reads anew.
        if (e is Orleans.Storage.InconsistentStateException)
        {
            activation.Deactivate(new Orleans.DeactivationReason(
                Orleans.DeactivationReasonCode.ApplicationError, e, "The stored state was changed by somebody else."));
        }

        Reject(e);
    }

    /// <summary>Tells who listens how the call has ended; before its caller is told, who may look at once.</summary>
    protected void Tell(GrainActivation activation, Exception? failure) => activation.Runtime.Listener?.OnEnded(
        activation,
        Method.Method,
        activation.Runtime.Time.GetElapsedTime(_startedAt),
        failure,
        failure is OperationCanceledException && HasToken && Token.IsCancellationRequested);

    /// <summary>Takes in what the caller's side needs, and sends.</summary>
    protected void Prepare(GrainReference target, int method)
    {
        Target = target;
        Method = target.Shared.Methods[method];
        Source = RuntimeContext.Current;
        Context = RequestContext.Snapshot;
        if (Context is not null && Context.TryGetValue(RequestContext.CallChainHeader, out object? chain))
        {
            CallChain = (Guid)chain;
        }
    }

    protected void Dispatch()
    {
        ActorRuntime runtime = Target.Runtime;
        Deadline = Method.IsOneWay ? long.MaxValue : Method.Timeout is { } own ? runtime.Clock.After(own) : runtime.ResponseDeadline();
        CancellationToken token = Token;
        if (token.IsCancellationRequested)
        {
            Reject(new OperationCanceledException(token));
            return;
        }

        if (HasToken)
        {
            // The callee gets a token of its own, since its callbacks must run as turns of the callee.
            _cancellation = new CancellationTokenSource();
            Token = _cancellation.Token;
            _registration = token.UnsafeRegister(static (call, token) => ((Call)call!).OnCallerCancelled(token), this);
        }

        runtime.Dispatch(this);
    }

    private void OnCallerCancelled(CancellationToken token)
    {
        bool waits = Owner?.TryWithdraw(this) ?? false;
        if (waits || !Target.Runtime.Messaging.WaitForCancellationAcknowledgement)
        {
            Reject(new OperationCanceledException(token));
        }

        CancelCallee();
    }

    private void CancelCallee()
    {
        if (_cancellation is { } cancellation && _host is { } host)
        {
            host.Scheduler.QueueClean(static source => ((CancellationTokenSource)source!).Cancel(), cancellation);
        }
        else
        {
            // Not started: the method will see a token that has ended already.
            _cancellation?.Cancel();
        }
    }

    private async Task InvokeThroughFiltersAsync(GrainActivation activation, Orleans.IIncomingGrainCallFilter[] filters)
    {
        try
        {
            var context = new IncomingCallContext(this, activation, filters);
            await context.Invoke();
            Tell(activation, failure: null);
            CompleteBoxed(context.Result);
        }
        catch (Exception e)
        {
            Fail(activation, e);
        }

        Finish(activation, wasLong: true);
    }

    [LoggerMessage(7004, LogLevel.Warning, "One-way call {Method} of grain {Grain} failed; nobody waits for it.", EventName = "OneWayCallFailed")]
    private static partial void LogOneWayFailed(ILogger logger, Exception exception, GrainMethod method, GrainId grain);
}

/// <summary>A call without a result.</summary>
internal abstract class VoidCall : Call
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override bool IsAbandoned => _done.Task.IsCompleted;

    public Task Send(GrainReference target, int method)
    {
        Prepare(target, method);
        if (target.Runtime.OutgoingFilters is { Length: > 0 } filters)
        {
            return new OutgoingCallContext(this, filters).Invoke();
        }

        Dispatch();
        return Method.IsOneWay ? Task.CompletedTask : _done.Task;
    }

    public ValueTask SendValue(GrainReference target, int method) => new(Send(target, method));

    public void SendAndForget(GrainReference target, int method) => _ = Send(target, method);   // failures are logged as those of a one-way call

    public override async Task<object?> SendAndWaitAsync()
    {
        Dispatch();
        if (!Method.IsOneWay)
        {
            await _done.Task;
        }

        return null;
    }

    public override void Reject(Exception cause) => _done.TrySetException(cause);

    public override void CompleteBoxed(object? result) => _done.TrySetResult();

    public override async Task<object?> InvokeBoxedAsync(object grain)
    {
        await InvokeMethod(grain);
        return null;
    }

    /// <summary>Generated: calls the method with the arguments.</summary>
    public abstract ValueTask InvokeMethod(object grain);

    protected override void Invoke(GrainActivation activation, object grain)
    {
        ValueTask running;
        try
        {
            running = InvokeMethod(grain);
            if (!running.IsCompletedSuccessfully)
            {
                _ = FinishAsync(activation, running);
                return;
            }

            running.GetAwaiter().GetResult();   // lets a pooled source go back
        }
        catch (Exception e)
        {
            Fail(activation, e);
            Finish(activation, wasLong: false);
            return;
        }

        Tell(activation, failure: null);
        _done.TrySetResult();
        Finish(activation, wasLong: false);
    }

    private async Task FinishAsync(GrainActivation activation, ValueTask running)
    {
        try
        {
            await running;
            Tell(activation, failure: null);
            _done.TrySetResult();
        }
        catch (Exception e)
        {
            Fail(activation, e);
        }

        Finish(activation, wasLong: true);
    }
}

/// <summary>A call with a result.</summary>
internal abstract class ResultCall<T> : Call
{
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override bool IsAbandoned => _done.Task.IsCompleted;

    public Task<T> Send(GrainReference target, int method)
    {
        Prepare(target, method);
        if (target.Runtime.OutgoingFilters is { Length: > 0 } filters)
        {
            return SendThroughFiltersAsync(filters);
        }

        Dispatch();
        return Method.IsOneWay ? Task.FromResult(default(T)!) : _done.Task;
    }

    public ValueTask<T> SendValue(GrainReference target, int method) => new(Send(target, method));

    public override async Task<object?> SendAndWaitAsync()
    {
        Dispatch();
        return Method.IsOneWay ? default(T) : await _done.Task;
    }

    public override void Reject(Exception cause) => _done.TrySetException(cause);

    public override void CompleteBoxed(object? result) => _done.TrySetResult((T)result!);

    public override async Task<object?> InvokeBoxedAsync(object grain) => await InvokeMethod(grain);

    /// <summary>Generated: calls the method with the arguments.</summary>
    public abstract ValueTask<T> InvokeMethod(object grain);

    protected override void Invoke(GrainActivation activation, object grain)
    {
        T result;
        try
        {
            ValueTask<T> running = InvokeMethod(grain);
            if (!running.IsCompletedSuccessfully)
            {
                _ = FinishAsync(activation, running);
                return;
            }

            result = running.GetAwaiter().GetResult();
        }
        catch (Exception e)
        {
            Fail(activation, e);
            Finish(activation, wasLong: false);
            return;
        }

        Tell(activation, failure: null);
        _done.TrySetResult(result);
        Finish(activation, wasLong: false);
    }

    private async Task FinishAsync(GrainActivation activation, ValueTask<T> running)
    {
        try
        {
            T result = await running;
            Tell(activation, failure: null);
            _done.TrySetResult(result);
        }
        catch (Exception e)
        {
            Fail(activation, e);
        }

        Finish(activation, wasLong: true);
    }

    private async Task<T> SendThroughFiltersAsync(Orleans.IOutgoingGrainCallFilter[] filters)
    {
        var context = new OutgoingCallContext(this, filters);
        await context.Invoke();
        return (T)context.Result!;
    }
}
