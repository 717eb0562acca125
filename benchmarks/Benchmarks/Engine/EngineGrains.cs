using System.Threading.Channels;
using Orleans;

namespace MultiCluster.Benchmarks.Engine;

/// <summary>A grain that tells where it lives.</summary>
internal interface IPlacedGrain : IGrainWithStringKey
{
    /// <summary>Makes it live, where it does not yet.</summary>
    /// <returns>Id of the process in which it lives.</returns>
    Task<int> PlaceAsync();
}

/// <summary>The least a grain can do.</summary>
internal interface ICounterGrain : IPlacedGrain
{
    Task<long> AddAsync(long number);
}

/// <inheritdoc/>
internal sealed class CounterGrain : Grain, ICounterGrain
{
    private long _sum;

    public Task<int> PlaceAsync() => Task.FromResult(Environment.ProcessId);

    public Task<long> AddAsync(long number) => Task.FromResult(_sum += number);
}

/// <summary>The least that gives the same promise without an engine: one loop over a queue, one call at a time.</summary>
internal sealed class ChannelCounter : IAsyncDisposable
{
    private readonly Channel<(long Number, TaskCompletionSource<long> Answer)> _calls =
        Channel.CreateUnbounded<(long Number, TaskCompletionSource<long> Answer)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly Task _loop;
    private long _sum;

    public ChannelCounter() => _loop = Task.Run(RunAsync);

    public Task<long> AddAsync(long number)
    {
        var answer = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        _calls.Writer.TryWrite((number, answer));
        return answer.Task;
    }

    public async ValueTask DisposeAsync()
    {
        _calls.Writer.Complete();
        await _loop;
    }

    private async Task RunAsync()
    {
        await foreach ((long number, TaskCompletionSource<long> answer) in _calls.Reader.ReadAllAsync())
        {
            answer.SetResult(_sum += number);
        }
    }
}
