using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class SupervisedLoopTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Body_Breaks_LoopShowsItStartsOverAndIsWellAgain()
    {
        var time = new ManualTimeProvider();
        int starts = 0;
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using SupervisedLoop loop = SupervisedLoop.Start(
            "eu-1",
            "test",
            stop =>
            {
                if (++starts == 1)
                {
                    throw new InvalidOperationException("A bug.");
                }

                running.SetResult();
                return Task.Delay(Timeout.InfiniteTimeSpan, time, stop);
            },
            time,
            NullLogger.Instance);
        await time.TimerArmed(1).WaitAsync(Patience);
        ClusterFault? broken = loop.Fault;

        time.Advance(TimeSpan.FromSeconds(1));
        await running.Task.WaitAsync(Patience);
        ClusterFault? fresh = loop.Fault;
        time.Advance(TimeSpan.FromSeconds(31));

        Assert.Equal(ClusterFault.Internal, broken!.Kind);
        Assert.DoesNotContain("A bug.", broken.Message, StringComparison.Ordinal);
        Assert.NotNull(fresh);
        Assert.Null(loop.Fault);
    }

    [Fact]
    public async Task Body_BreaksAgainAndAgain_WaitsLongerEachTime()
    {
        var time = new ManualTimeProvider();
        int starts = 0;
        await using SupervisedLoop loop = SupervisedLoop.Start(
            "eu-1",
            "test",
            _ =>
            {
                starts++;
                throw new InvalidOperationException("A bug.");
            },
            time,
            NullLogger.Instance);

        foreach ((int round, int seconds) in new[] { (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60) })
        {
            await time.TimerArmed(round).WaitAsync(Patience);
            Assert.Equal(round, starts);
            time.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromTicks(1));
            Assert.Equal(round, starts);
            time.Advance(TimeSpan.FromTicks(1));
        }
    }

    [Fact]
    public async Task Body_FailsBecauseItIsStopped_IsNoFault()
    {
        var time = new ManualTimeProvider();
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        SupervisedLoop loop = SupervisedLoop.Start(
            "eu-1",
            "test",
            async stop =>
            {
                running.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw new InvalidOperationException("The host has taken its parts away.");
            },
            time,
            NullLogger.Instance);
        await running.Task.WaitAsync(Patience);

        await loop.DisposeAsync().AsTask().WaitAsync(Patience);

        Assert.Null(loop.Fault);
    }

    [Fact]
    public async Task Dispose_WhileBackingOff_EndsAtOnce()
    {
        var time = new ManualTimeProvider();
        SupervisedLoop loop = SupervisedLoop.Start("eu-1", "test", _ => throw new InvalidOperationException("A bug."), time, NullLogger.Instance);
        await time.TimerArmed(1).WaitAsync(Patience);

        await loop.DisposeAsync().AsTask().WaitAsync(Patience);
    }
}
