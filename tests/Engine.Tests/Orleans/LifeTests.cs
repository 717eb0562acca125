using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Actors;
using MultiCluster.TestSupport;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class LifeTests
{
    [Fact]
    public async Task FirstCalls_Racing_StartExactlyOneActivation()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        using var start = new Barrier(8);

        string[] activations = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Probe.Patience);
                return cluster.Client.GetGrain<ILifeGrain>("race").Activation();
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap())).Soon();

        Assert.Single(activations.Distinct(StringComparer.Ordinal));
        Assert.Equal(["activate race"], probe.Journal);
    }

    [Fact]
    public async Task Activation_Fails_EveryWaitingCallerGetsTheErrorAndTheNextTriesAgain()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("broken");

        OddException e = await Assert.ThrowsAsync<OddException>(grain.Activation).Soon();
        await Assert.ThrowsAsync<OddException>(grain.Activation).Soon();

        Assert.Equal(("no luck", 42), (e.Message, e.Code));
        Assert.Equal(["activate broken", "dispose", "activate broken", "dispose"], probe.Journal);
    }

    [Fact]
    public async Task Constructor_Fails_CallerGetsItsOwnException()
    {
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(new Probe());

        OddException e = await Assert.ThrowsAsync<OddException>(cluster.Client.GetGrain<IUnbuildableGrain>("g").Any).Soon();

        Assert.Equal(9, e.Code);
    }

    [Fact]
    public async Task Deactivation_RunningCallEndsFirst_WaitingCallGoesToTheNextActivation()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("g");
        string first = await grain.Activation().Soon();
        Task leaving = grain.LeaveWhile("x");
        await probe.Seen("x left");

        Task<string> second = grain.Activation();
        Task ping = grain.Ping();   // even what interleaves waits for the next life
        probe.Signal("x");

        Assert.NotEqual(first, await second.Soon());
        await Task.WhenAll(leaving, ping).Soon();
        Assert.Equal(["activate g", "call ended", "deactivate ApplicationRequested", "dispose", "activate g"], probe.Journal);
    }

    [Fact]
    public async Task Deactivation_CallsKeepComing_NoneIsLostAndNoTwoLivesOverlap()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("churn");

        await Task.WhenAll(Enumerable.Range(0, 16).Select(n => Task.Run(async () =>
        {
            for (int i = 0; i < 100; i++)
            {
                await (n == 0 ? grain.Leave() : grain.Activation());
            }
        }))).Soon();

        string[] journal = probe.Journal;
        Assert.All(journal.Index(), entry => Assert.Equal(
            (entry.Index % 3) switch { 0 => "activate churn", 1 => "deactivate ApplicationRequested", _ => "dispose" }, entry.Item));
    }

    [Fact]
    public async Task Deactivation_WhileItStarts_HappensOnceItHasStarted()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("slow");
        Task<string> call = grain.Activation();
        await probe.Seen("starting");

        Task ended = cluster.DeactivateAsync((IAddressable)grain);
        probe.Signal("start");

        await ended.Soon();
        await call.Soon();
        Assert.Equal(["activate slow", "deactivate RuntimeRequested", "dispose", "activate slow"], probe.Journal);
    }

    [Fact]
    public async Task IdleGrain_IsCollectedAfterItsAgeAndNotBefore()
    {
        var probe = new Probe();
        var time = new ManualTimeProvider();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo =>
        {
            silo.Services.AddSingleton<TimeProvider>(time);
            silo.Configure<GrainCollectionOptions>(o => o.CollectionAge = TimeSpan.FromMinutes(5));
        });
        ILifeGrain idle = cluster.Client.GetGrain<ILifeGrain>("idle");
        ILifeGrain kept = cluster.Client.GetGrain<ILifeGrain>("kept");
        await idle.Activation().Soon();
        await kept.Stay(TimeSpan.FromHours(1)).Soon();
        ActivationDirectory directory = cluster.Silos[0].ServiceProvider.GetRequiredService<ActorRuntime>().Directory;
        GrainActivation living = directory.Find(idle.GetGrainId())!;

        time.Advance(TimeSpan.FromMinutes(4));
        Assert.False(living.Deactivated.IsCompleted);
        Assert.Equal(2, directory.CountByType["life"]);
        time.Advance(TimeSpan.FromMinutes(1));

        await living.Deactivated.Soon();
        Assert.Equal(["activate idle", "activate kept", "deactivate ActivationIdle", "dispose"], probe.Journal);
        Assert.NotNull(directory.Find(kept.GetGrainId()));
    }

    [Fact]
    public async Task Stop_EndsAllGrainsAndRefusesNewOnes()
    {
        var probe = new Probe();
        InProcessTestCluster cluster = await TestCluster.StartAsync(probe);
        IClusterClient client = cluster.Client;
        await client.GetGrain<ILifeGrain>("a").Activation().Soon();
        await client.GetGrain<ILifeGrain>("b").Activation().Soon();

        await cluster.StopAllSilosAsync().Soon();

        Assert.Equal(2, probe.Journal.Count(j => j == "deactivate ShuttingDown"));
        await Assert.ThrowsAsync<SiloUnavailableException>(client.GetGrain<ILifeGrain>("a").Activation).Soon();
        await cluster.DisposeAsync();
    }

    [Fact]
    public async Task Deactivation_HangsInTheGrain_IsLeftAloneAtItsLimit()
    {
        var probe = new Probe();
        var time = new ManualTimeProvider();
        await using InProcessTestCluster cluster = await TestCluster.StartAsync(probe, silo =>
        {
            silo.Services.AddSingleton<TimeProvider>(time);
            silo.Configure<GrainCollectionOptions>(o => o.DeactivationTimeout = TimeSpan.FromSeconds(10));
        });
        ILifeGrain grain = cluster.Client.GetGrain<ILifeGrain>("stuck once");
        string first = await grain.Activation().Soon();
        await grain.Leave().Soon();
        await probe.Seen("stuck");

        Task<string> next = grain.Activation();
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(next.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.NotEqual(first, await next.Soon());
    }
}
