using System.Runtime.CompilerServices;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace MultiCluster.Engine.Tests.Actors;

internal interface ILifeGrain : IGrainWithStringKey
{
    Task<string> Activation();

    Task Leave();

    Task LeaveWhile(string name);

    Task<string> Fail(string message);

    Task Stay(TimeSpan time);

    Task<string> Wait(CancellationToken token);

    Task<string?> Context(string key, ILifeGrain? next);

    [AlwaysInterleave]
    Task Ping();
}

internal sealed class OddException(string message, int code) : Exception(message)
{
    public int Code { get; } = code;
}

internal sealed class LifeGrain(Probe probe) : Grain, ILifeGrain, IAsyncDisposable
{
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        string key = this.GetPrimaryKeyString();
        probe.Note($"activate {key}");
        if (key.StartsWith("slow", StringComparison.Ordinal))
        {
            probe.Signal("starting");
            await probe.Seen("start");
        }

        if (key == "broken")
        {
            throw new OddException("no luck", 42);
        }
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        probe.Note($"deactivate {reason.ReasonCode}");
        if (this.GetPrimaryKeyString() == "stuck once" && probe.Journal.Count(j => j.StartsWith("deactivate", StringComparison.Ordinal)) == 1)
        {
            probe.Signal("stuck");
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, CancellationToken.None);
        }
    }

    public ValueTask DisposeAsync()
    {
        probe.Note("dispose");
        return ValueTask.CompletedTask;
    }

    public Task<string> Activation() => Task.FromResult(GrainContext.ActivationId.ToString());

    public Task Leave()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public async Task LeaveWhile(string name)
    {
        DeactivateOnIdle();
        probe.Signal(name + " left");
        await probe.Seen(name);
        probe.Note("call ended");
    }

    public Task<string> Fail(string message) => throw new OddException(message, 7);

    public Task Stay(TimeSpan time)
    {
        DelayDeactivation(time);
        return Task.CompletedTask;
    }

    public async Task<string> Wait(CancellationToken token)
    {
        TaskScheduler mine = TaskScheduler.Current;
        using CancellationTokenRegistration registration = token.Register(() => probe.Note($"turn {TaskScheduler.Current == mine}"));
        probe.Signal("waiting");
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
        }
        catch (OperationCanceledException)
        {
            probe.Signal("cancelled");
            throw;
        }

        return "";
    }

    public async Task<string?> Context(string key, ILifeGrain? next)
    {
        string? seen = RequestContext.Get(key) as string;
        RequestContext.Set(key, "changed");
        return next is null ? seen : $"{seen} {await next.Context(key, null)}";
    }

    public Task Ping() => Task.CompletedTask;
}

internal interface IStreamGrain : IGrainWithStringKey
{
    IAsyncEnumerable<int> Numbers(int count, CancellationToken token = default);

    IAsyncEnumerable<int> Steps(string name, CancellationToken token = default);

    IAsyncEnumerable<int> FailAfter(int count);

    Task<int> Produced();

    Task Leave();
}

internal sealed class StreamGrain(Probe probe) : Grain, IStreamGrain
{
    private int _produced;

    public async IAsyncEnumerable<int> Numbers(int count, [EnumeratorCancellation] CancellationToken token = default)
    {
        TaskScheduler mine = TaskScheduler.Current;
        try
        {
            for (int i = 0; i < count; i++)
            {
                token.ThrowIfCancellationRequested();
                _produced++;
                yield return i;
                if (TaskScheduler.Current != mine)
                {
                    throw new InvalidOperationException("The producer left its activation.");
                }

                if (i % 10 == 9)
                {
                    await Task.Yield();
                }
            }

            if (count == 3)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            }
        }
        finally
        {
            probe.Signal("producer disposed");
        }
    }

    public async IAsyncEnumerable<int> Steps(string name, [EnumeratorCancellation] CancellationToken token = default)
    {
        for (int i = 0; ; i++)
        {
            await probe.Seen($"{name}{i}").WaitAsync(token);
            _produced++;
            yield return i;
        }
    }

    public async IAsyncEnumerable<int> FailAfter(int count)
    {
        for (int i = 0; i < count; i++)
        {
            yield return i;
        }

        await Task.Yield();
        throw new OddException("ran dry", count);
    }

    public Task<int> Produced() => Task.FromResult(_produced);

    public Task Leave()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }
}

internal interface IUnbuildableGrain : IGrainWithStringKey
{
    Task Any();
}

internal sealed class UnbuildableGrain : Grain, IUnbuildableGrain
{
    public UnbuildableGrain() => throw new OddException("no constructor today", 9);

    public Task Any() => Task.CompletedTask;
}
