using Microsoft.Extensions.DependencyInjection;
using MultiCluster.TestSupport;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class StreamTests
{
    [Theory]
    [InlineData(0, 100)]
    [InlineData(1, 100)]
    [InlineData(999, 1)]
    [InlineData(1000, 7)]
    [InlineData(1000, 100)]
    public async Task Stream_ReadToTheEnd_BringsEveryElementInOrder(int count, int batch)
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);

        List<int> read = [];
        await foreach (int i in cluster.Client.GetGrain<IStreamGrain>("s").Numbers(count).WithBatchSize(batch))
        {
            read.Add(i);
        }

        Assert.Equal(Enumerable.Range(0, count), read);
        await probe.Seen("producer disposed");
    }

    [Fact]
    public async Task Stream_ReaderStops_ProducerIsAtMostABatchAndAStepAhead()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        IStreamGrain grain = cluster.Client.GetGrain<IStreamGrain>("s");
        await using IAsyncEnumerator<int> reader = grain.Numbers(100_000).WithBatchSize(5).GetAsyncEnumerator();

        for (int i = 0; i < 7; i++)
        {
            Assert.True(await reader.MoveNextAsync().AsTask().Soon());
        }

        Assert.InRange(await grain.Produced().Soon(), 7, 11);   // two batches of five, and one step under way
    }

    [Fact]
    public async Task Stream_ElementsComeOneByOne_EachIsDeliveredBeforeTheNextExists()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        await using IAsyncEnumerator<int> reader = cluster.Client.GetGrain<IStreamGrain>("s").Steps("step").GetAsyncEnumerator();

        for (int i = 0; i < 3; i++)
        {
            ValueTask<bool> next = reader.MoveNextAsync();
            probe.Signal($"step{i}");
            Assert.True(await next.AsTask().Soon());
            Assert.Equal(i, reader.Current);
        }

    }

    [Fact]
    public async Task Stream_WaitsForAnElement_GrainAnswersOtherCalls()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        IStreamGrain grain = cluster.Client.GetGrain<IStreamGrain>("s");
        IAsyncEnumerator<int> reader = grain.Steps("quiet").GetAsyncEnumerator();
        ValueTask<bool> next = reader.MoveNextAsync();

        Assert.Equal(0, await grain.Produced().Soon());

        probe.Signal("quiet0");
        Assert.True(await next.AsTask().Soon());
        await reader.DisposeAsync().AsTask().Soon();
    }

    [Fact]
    public async Task Stream_ProducerFails_ElementsBeforeItArriveThenTheError()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        List<int> read = [];

        OddException e = await Assert.ThrowsAsync<OddException>(async () =>
        {
            await foreach (int i in cluster.Client.GetGrain<IStreamGrain>("s").FailAfter(3))
            {
                read.Add(i);
            }
        }).Soon();

        Assert.Equal([0, 1, 2], read);
        Assert.Equal(3, e.Code);
    }

    [Fact]
    public async Task Stream_ReaderLeaves_ProducerIsDisposed()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);

        await foreach (int i in cluster.Client.GetGrain<IStreamGrain>("s").Numbers(1000))
        {
            if (i == 5)
            {
                break;
            }
        }

        await probe.Seen("producer disposed");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stream_Cancelled_ReaderIsDoneAtOnceAndProducerIsDisposed(bool throughTheCall)
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        using var stop = new CancellationTokenSource();
        IAsyncEnumerable<int> numbers = cluster.Client.GetGrain<IStreamGrain>("s").Numbers(3, throughTheCall ? stop.Token : default);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (int i in numbers.WithCancellation(throughTheCall ? default : stop.Token))
            {
                if (i == 2)
                {
                    await stop.CancelAsync();
                }
            }
        }).Soon();

        await probe.Seen("producer disposed");
    }

    [Fact]
    public async Task Stream_ReaderIsSilentForAResponseTimeout_IsTakenForDead()
    {
        var probe = new Probe();
        var time = new ManualTimeProvider();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo => silo.Services.AddSingleton<TimeProvider>(time));
        IAsyncEnumerator<int> reader = cluster.Client.GetGrain<IStreamGrain>("s").Numbers(1000).WithBatchSize(1).GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync().AsTask().Soon());

        time.Advance(TimeSpan.FromSeconds(29));
        Assert.True(await reader.MoveNextAsync().AsTask().Soon());
        time.Advance(TimeSpan.FromSeconds(30));
        await probe.Seen("producer disposed");

        await Assert.ThrowsAsync<EnumerationAbortedException>(() => reader.MoveNextAsync().AsTask()).Soon();
    }

    [Fact]
    public async Task Stream_ReaderWaitsLong_IsNotTakenForDead()
    {
        var probe = new Probe();
        var time = new ManualTimeProvider();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo => silo.Services.AddSingleton<TimeProvider>(time));
        IStreamGrain grain = cluster.Client.GetGrain<IStreamGrain>("s");
        await using IAsyncEnumerator<int> reader = grain.Steps("late").GetAsyncEnumerator();
        ValueTask<bool> next = reader.MoveNextAsync();
        await grain.Produced().Soon();

        time.Advance(TimeSpan.FromHours(1));   // no timeout, no idle collection
        probe.Signal("late0");

        Assert.True(await next.AsTask().Soon());
    }

    [Fact]
    public async Task Stream_GrainIsDeactivated_ReaderIsToldToStartAgain()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        IStreamGrain grain = cluster.Client.GetGrain<IStreamGrain>("s");
        IAsyncEnumerator<int> reader = grain.Numbers(3).GetAsyncEnumerator();
        for (int i = 0; i < 3; i++)
        {
            Assert.True(await reader.MoveNextAsync().AsTask().Soon());
        }

        ValueTask<bool> waiting = reader.MoveNextAsync();
        await grain.Leave().Soon();

        await Assert.ThrowsAsync<EnumerationAbortedException>(() => waiting.AsTask()).Soon();
        await probe.Seen("producer disposed");
        await reader.DisposeAsync().AsTask().Soon();
    }
}
