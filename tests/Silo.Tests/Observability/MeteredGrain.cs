using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace MultiCluster.Silo.Tests.Observability;

/// <summary>Ends its calls in every way there is.</summary>
[Alias("tests.metered")]
public interface IMeteredGrain : IGrainWithStringKey
{
    [Alias("answer")]
    Task<int> AnswerAsync(int value);

    [Alias("fail")]
    Task FailAsync();

    [Alias("give-up")]
    Task GiveUpAsync();

    [Alias("wait"), AlwaysInterleave]
    Task WaitAsync(CancellationToken cancellationToken);

    /// <summary>Holds its turn until the gate opens.</summary>
    [Alias("hold")]
    Task HoldAsync();

    [Alias("stream"), AlwaysInterleave]
    IAsyncEnumerable<int> StreamAsync(int count, bool fails, CancellationToken cancellationToken);

    [Alias("leave")]
    Task LeaveAsync();

    Task NamelessAsync();
}

/// <inheritdoc/>
[GrainType("metered")]
public sealed class MeteredGrain(Gate gate) : Grain, IMeteredGrain
{
    public Task<int> AnswerAsync(int value) => Task.FromResult(value);

    public Task FailAsync() => throw new InvalidDataException("as asked for");

    public Task GiveUpAsync() => throw new OperationCanceledException("nobody asked for this");

    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        gate.Arrived();
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
    }

    public async Task HoldAsync() => await gate.Opened;

    public async IAsyncEnumerable<int> StreamAsync(int count, bool fails, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (int i = 0; i < count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return i;
            await Task.Yield();
        }

        if (fails)
        {
            throw new InvalidDataException("as asked for");
        }
    }

    public Task LeaveAsync()
    {
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public Task NamelessAsync() => Task.CompletedTask;
}

/// <summary>Where calls wait until the test goes on.</summary>
public sealed class Gate
{
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _arrivals = new(0);

    public Task Opened => _open.Task;

    public void Open() => _open.TrySetResult();

    public void Arrived() => _arrivals.Release();

    public Task ArrivalAsync() => _arrivals.WaitAsync();
}
