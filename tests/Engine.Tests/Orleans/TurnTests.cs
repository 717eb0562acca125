using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class TurnTests
{
    [Fact]
    public async Task Calls_HundredCallersOfOneGrain_NoTurnOverlapsAnother()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        ITurnGrain grain = cluster.Client.GetGrain<ITurnGrain>("one");

        int[] overlaps = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(async () =>
        {
            int worst = 0;
            for (int i = 0; i < 50; i++)
            {
                worst = Math.Max(worst, await grain.Overlaps(4));
            }

            return worst;
        }))).Soon();

        Assert.All(overlaps, o => Assert.Equal(0, o));
        Assert.Equal(100 * 50 * 4, await grain.Peek().Soon());
    }

    [Fact]
    public async Task Calls_InOrderOfOneCaller_ArriveInOrder()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        ITurnGrain grain = cluster.Client.GetGrain<ITurnGrain>("order");

        int[] counts = await Task.WhenAll(Enumerable.Range(0, 1000).Select(_ => grain.Count())).Soon();

        Assert.Equal(Enumerable.Range(1, 1000), counts);
    }

    [Fact]
    public async Task Call_WhileAnotherAwaits_WaitsForItsEnd()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ITurnGrain grain = cluster.Client.GetGrain<ITurnGrain>("busy");
        Task holding = grain.Hold("x");
        await probe.Seen("x entered");

        Task<int> waiting = grain.Count();
        Assert.Equal(0, await grain.Peek().Soon());   // the interleaving one gets through, so the other could have run
        Assert.False(waiting.IsCompleted);
        probe.Signal("x");

        Assert.Equal(1, await waiting.Soon());
        await holding.Soon();
    }

    [Fact]
    public async Task ReadOnlyCalls_RunTogetherButNotBesideOthers()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ITurnGrain grain = cluster.Client.GetGrain<ITurnGrain>("reads");

        Task<int> one = grain.Read("r");
        await probe.Seen("r read 1");
        Task<int> writing = grain.Count();
        Task<int> two = grain.Read("r");
        await probe.Seen("r read 2");
        Assert.False(writing.IsCompleted);
        probe.Signal("r");

        await Task.WhenAll(one, two, writing).Soon();
    }

    [Fact]
    public async Task ReentrantGrain_TwoCalls_MeetInside()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        IReentrantGrain grain = cluster.Client.GetGrain<IReentrantGrain>(7);

        await Task.WhenAll(grain.Meet("m"), grain.Meet("m")).Soon();
    }

    [Fact]
    public async Task CallChain_Allowed_ComesBackToTheWaitingGrain()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        ITurnGrain first = cluster.Client.GetGrain<ITurnGrain>("first");

        Assert.Equal("answered", await first.CallBack(cluster.Client.GetGrain<ITurnGrain>("second"), allowed: true).Soon());
    }

    [Fact]
    public async Task CallChain_NotAllowed_TimesOutInsteadOfHangingForEver()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(
            new Probe(), silo => silo.Configure<SiloMessagingOptions>(o => o.ResponseTimeout = TimeSpan.FromSeconds(2)));
        ITurnGrain first = cluster.Client.GetGrain<ITurnGrain>("first");

        TimeoutException e = await Assert.ThrowsAsync<TimeoutException>(
            () => first.CallBack(cluster.Client.GetGrain<ITurnGrain>("second"), allowed: false)).Soon();

        Assert.Contains("turn/", e.Message, StringComparison.Ordinal);
        Assert.Equal(1, await first.Count().Soon());   // and the grain is free again
    }

    [Fact]
    public async Task StatelessWorker_ManyCalls_AtMostSoManyActivationsSideBySide()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        IWorkerGrain grain = cluster.Client.GetGrain<IWorkerGrain>(0);

        string[] workers = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => grain.Work($"{i}", expected: 3))).Soon();

        Assert.Equal(3, workers.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task Continuations_RunOnTheActivation_UnlessTheyLeaveIt()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        Guid key = Guid.NewGuid();
        ITaskSchedulerGrain grain = cluster.Client.GetGrain<ITaskSchedulerGrain>(key);

        Assert.Equal("True True True True False", await grain.WhereContinuationsRun().Soon());
        Assert.Equal((key, true), await grain.Identity().Soon());
    }

    [Fact]
    public async Task OneWay_FailsInTheGrain_CallerIsDoneAlready()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);

        Task sent = cluster.Client.GetGrain<ITurnGrain>("oneway").Fire("fired");

        Assert.True(sent.IsCompletedSuccessfully);
        await probe.Seen("fired");
    }

    [Fact]
    public async Task Keys_OfEveryKind_ComeBack()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        foreach (string key in new[] { "a", "A/b%c", "ключ", "x y", new string('k', 400) })
        {
            Assert.Equal(key, await cluster.Client.GetGrain<ITurnGrain>(key).Key());
        }

        foreach (long key in new[] { 0, 1, -1, long.MaxValue, long.MinValue })
        {
            Assert.Equal(key, cluster.Client.GetGrain<IReentrantGrain>(key).GetPrimaryKeyLong());
        }

        GrainId id = cluster.Client.GetGrain<ITurnGrain>("a/b").GetGrainId();
        Assert.Equal("turn/a/b", id.ToString());
        Assert.Equal(id, GrainId.Parse(id.ToString()));
    }
}
