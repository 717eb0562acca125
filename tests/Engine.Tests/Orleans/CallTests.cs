using Microsoft.Extensions.DependencyInjection;
using MultiCluster.TestSupport;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class CallTests
{
    [Fact]
    public async Task Exception_OfAGrain_ReachesTheCallerWithTypeAndMessage()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("g");

        OddException e = await Assert.ThrowsAsync<OddException>(() => grain.Fail("broken pipe")).Soon();

        Assert.Equal(("broken pipe", 7), (e.Message, e.Code));
        await grain.Ping().Soon();
    }

    [Fact]
    public async Task Call_WithoutAnswer_TimesOutAtItsLimitAndTheWaitingOneNeverRuns()
    {
        var probe = new Probe();
        var time = new ManualTimeProvider();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo => silo.Services.AddSingleton<TimeProvider>(time));
        ITurnGrain grain = cluster.Client.GetGrain<ITurnGrain>("g");
        Task holding = grain.Hold("x");
        await probe.Seen("x entered");
        Task shortly = cluster.Client.GetGrain<ITurnGrain>("h").HoldShortly("y");
        await probe.Seen("y entered");
        Task<int> waiting = grain.Count();

        time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(shortly.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAsync<TimeoutException>(() => shortly).Soon();
        time.Advance(TimeSpan.FromSeconds(26));
        Assert.False(waiting.IsCompleted || holding.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        TimeoutException running = await Assert.ThrowsAsync<TimeoutException>(() => holding).Soon();
        TimeoutException queued = await Assert.ThrowsAsync<TimeoutException>(() => waiting).Soon();
        Assert.Contains("still runs", running.Message, StringComparison.Ordinal);
        Assert.Contains("never started", queued.Message, StringComparison.Ordinal);
        probe.Signal("x");
        probe.Signal("y");
        Assert.Equal(1, await grain.Count().Soon());
    }

    [Fact]
    public async Task Cancel_RunningCall_CallerIsDoneAtOnceAndTheGrainHearsItInATurn()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        using var stop = new CancellationTokenSource();
        Task<string> call = cluster.Client.GetGrain<ILifeGrain>("g").Wait(stop.Token);
        await probe.Seen("waiting");

        await stop.CancelAsync();

        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call).Soon();
        Assert.Equal(stop.Token, e.CancellationToken);
        await probe.Seen("cancelled");
        Assert.Contains("turn True", probe.Journal);
    }

    [Fact]
    public async Task Cancel_WaitingCall_NeverRuns()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("slow");
        using var stop = new CancellationTokenSource();
        Task<string> call = grain.Wait(stop.Token);
        await probe.Seen("starting");

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call).Soon();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => grain.Wait(stop.Token)).Soon();
        probe.Signal("start");
        await grain.Activation().Soon();

        Assert.Equal(["activate slow"], probe.Journal);
    }

    [Fact]
    public async Task Timeout_OfACallWithToken_EndsTheToken()
    {
        var probe = new Probe();
        var time = new ManualTimeProvider();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo => silo.Services.AddSingleton<TimeProvider>(time));
        Task<string> call = cluster.Client.GetGrain<ILifeGrain>("g").Wait(CancellationToken.None);
        await probe.Seen("waiting");

        time.Advance(TimeSpan.FromSeconds(30));

        await Assert.ThrowsAsync<TimeoutException>(() => call).Soon();
        await probe.Seen("cancelled");
    }

    [Fact]
    public async Task Mailbox_Full_RejectsWithTheLimitAndRecovers()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(
            probe, silo => silo.Configure<SiloMessagingOptions>(o => o.MaxEnqueuedRequestsHardLimit = 3));
        ITurnGrain grain = cluster.Client.GetGrain<ITurnGrain>("full");
        Task holding = grain.Hold("x");
        await probe.Seen("x entered");
        Task<int>[] waiting = [grain.Count(), grain.Count(), grain.Count()];

        LimitExceededException e = await Assert.ThrowsAsync<LimitExceededException>(grain.Count).Soon();

        Assert.Contains("MaxEnqueuedRequestsHardLimit", e.Message, StringComparison.Ordinal);
        probe.Signal("x");
        await Task.WhenAll([holding, .. waiting]).Soon();
        Assert.Equal(4, await grain.Count().Soon());
    }

    [Fact]
    public async Task RequestContext_FlowsDownTheChainAndNeverBack()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        RequestContext.Set("user", "ada");
        try
        {
            string? seen = await cluster.Client.GetGrain<ILifeGrain>("a").Context("user", cluster.Client.GetGrain<ILifeGrain>("b")).Soon();

            Assert.Equal("ada changed", seen);
            Assert.Equal("ada", RequestContext.Get("user"));
        }
        finally
        {
            RequestContext.Clear();
        }

        Assert.Null(await cluster.Client.GetGrain<ILifeGrain>("a").Context("user", null).Soon());
    }

    [Fact]
    public async Task Filters_OnBothSides_SeeAndChangeTheCall()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo => silo
            .AddOutgoingGrainCallFilter(async context =>
            {
                RequestContext.Set("user", "from filter");
                await context.Invoke();
                probe.Note($"out {context.MethodName} {context.Result}");
            })
            .AddIncomingGrainCallFilter(async context =>
            {
                if (context.MethodName == nameof(ILifeGrain.Fail))
                {
                    context.Request.SetArgument(0, "replaced");
                }

                await context.Invoke();
                probe.Note($"in {context.ImplementationMethod.DeclaringType!.Name}.{context.MethodName} of {context.TargetId} for {context.SourceId?.ToString() ?? "nobody"}");
                context.Result = context.Result is string text ? text + "!" : context.Result;
            }));
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("f");

        Assert.Equal("from filter!", await grain.Context("user", null).Soon());
        OddException e = await Assert.ThrowsAsync<OddException>(() => grain.Fail("original")).Soon();

        Assert.Equal("replaced", e.Message);
        Assert.Equal(["activate f", "in LifeGrain.Context of life/f for nobody", "out Context from filter!"], probe.Journal);
    }

    [Fact]
    public async Task Observer_CalledByAGrainThroughAReference_UntilDeleted()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());
        var observer = new Listener();
        IListener reference = cluster.Client.CreateObjectReference<IListener>(observer);

        await reference.Heard("one").Soon();
        await reference.Heard("two").Soon();
        cluster.Client.DeleteObjectReference<IListener>(reference);

        Assert.Equal(["one", "two"], observer.All);
        await Assert.ThrowsAsync<InvalidOperationException>(() => reference.Heard("three")).Soon();
    }

    internal interface IListener : IGrainObserver
    {
        Task Heard(string what);
    }

    private sealed class Listener : IListener
    {
        public List<string> All { get; } = [];

        public Task Heard(string what)
        {
            All.Add(what);
            return Task.CompletedTask;
        }
    }
}
