using Microsoft.Extensions.DependencyInjection;
using MultiCluster.TestSupport;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class TimerTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly Probe _probe = new();
    private readonly ManualTimeProvider _time = new();

    internal interface ITimerGrain : IGrainWithStringKey
    {
        Task Begin(TimeSpan due, TimeSpan period, string mode);

        Task Change(TimeSpan due, TimeSpan period);

        Task End();

        [Orleans.Concurrency.AlwaysInterleave]
        Task<int> Ticks();

        Task Hold(string name);
    }

    [Fact]
    public async Task Timer_TicksAtDueTimeThenAPeriodAfterEachTick()
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(Second, 2 * Second, "").Soon();

        Advance(Second - TimeSpan.FromTicks(1));
        Assert.Equal(0, await grain.Ticks().Soon());
        Advance(TimeSpan.FromTicks(1));
        await _probe.Seen("tick 1");
        await grain.Ticks().Soon();
        await SettleAsync(grain);
        Advance(2 * Second);
        await _probe.Seen("tick 2");
    }

    [Fact]
    public async Task Timer_LongTick_NeverOverlapsAndTheNextCountsFromItsEnd()
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(Second, Second, "hold").Soon();
        Advance(Second);
        await _probe.Seen("tick 1");

        Advance(10 * Second);
        Assert.Equal(1, await grain.Ticks().Soon());
        _probe.Signal("release");
        await SettleAsync(grain);
        Advance(Second);

        await _probe.Seen("tick 2");
        Assert.Equal(2, await grain.Ticks().Soon());
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("interleave", true)]
    public async Task Timer_DuringACall_WaitsUnlessItInterleaves(string mode, bool ticks)
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(Second, Second, mode).Soon();
        Task holding = grain.Hold("call");
        await _probe.Seen("call entered");

        Advance(Second);

        if (ticks)
        {
            await _probe.Seen("tick 1");
        }

        Assert.Equal(ticks ? 1 : 0, await grain.Ticks().Soon());
        _probe.Signal("call");
        await holding.Soon();
        await _probe.Seen("tick 1");
    }

    [Fact]
    public async Task Timer_TickFails_TheNextComesAllTheSame()
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(Second, Second, "fail").Soon();

        for (int tick = 1; tick <= 3; tick++)
        {
            Advance(Second);
            await _probe.Seen($"tick {tick}");
            await SettleAsync(grain);
        }
    }

    [Fact]
    public async Task Timer_ChangedAndDisposed_DoesAsItIsTold()
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(Timeout.InfiniteTimeSpan, Second, "").Soon();
        Advance(10 * Second);
        Assert.Equal(0, await grain.Ticks().Soon());

        await grain.Change(2 * Second, Timeout.InfiniteTimeSpan).Soon();
        Advance(2 * Second);
        await _probe.Seen("tick 1");
        await SettleAsync(grain);
        Advance(10 * Second);
        Assert.Equal(1, await grain.Ticks().Soon());
        await grain.Change(Second, Second).Soon();
        await grain.End().Soon();
        Advance(10 * Second);

        Assert.Equal(1, await grain.Ticks().Soon());
    }

    [Fact]
    public async Task Timer_TickRunsWhenTheGrainLeaves_IsToldToEnd()
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(Second, Second, "until told").Soon();
        Advance(Second);
        await _probe.Seen("tick 1");

        await cluster.DeactivateAsync(grain).Soon();

        await _probe.Seen("timer grain ended");
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("keep", false)]
    public async Task Timer_OfAnIdleGrain_KeepsItOnlyWhenAskedTo(string mode, bool collected)
    {
        await using InProcessTestCluster cluster = await StartAsync();
        ITimerGrain grain = cluster.Client.GetGrain<ITimerGrain>("t");
        await grain.Begin(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), mode).Soon();

        for (int minute = 1; minute <= 5; minute++)
        {
            Advance(TimeSpan.FromSeconds(30));
            Advance(TimeSpan.FromSeconds(30));
            if (minute < 3 || mode == "keep")
            {
                await _probe.Seen($"tick {minute}");
                await SettleWithoutCallAsync(cluster, grain);
            }
        }

        if (collected)
        {
            await _probe.Seen("timer grain ended");
        }
        else
        {
            Assert.Equal(5, await grain.Ticks().Soon());
        }
    }

    private Task<InProcessTestCluster> StartAsync() => TestCluster.StartAsync(_probe, silo =>
    {
        silo.Services.AddSingleton<TimeProvider>(_time);
        silo.Configure<GrainCollectionOptions>(o => o.CollectionAge = TimeSpan.FromMinutes(3));
    });

    private void Advance(TimeSpan by) => _time.Advance(by);

    // A tick re-arms its timer before its turn ends, so a call that waits its turn comes after that.
    private static Task SettleAsync(ITimerGrain grain) => grain.Change(TimeSpan.MinValue, TimeSpan.Zero).Soon();

    private static Task SettleWithoutCallAsync(InProcessTestCluster cluster, ITimerGrain grain)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        IGrainContext? context = cluster.Silos[0].ServiceProvider.GetRequiredService<MultiCluster.Engine.Actors.ActorRuntime>()
            .Directory.Find(((IAddressable)grain).GetGrainId());
        context!.Scheduler.QueueAction(done.SetResult);
        return done.Task.Soon();
    }

    internal sealed class TimerGrain(Probe probe) : Grain, ITimerGrain
    {
        private IGrainTimer? _timer;
        private int _ticks;

        public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
        {
            probe.Signal("timer grain ended");
            return Task.CompletedTask;
        }

        public Task Begin(TimeSpan due, TimeSpan period, string mode)
        {
            _timer = this.RegisterGrainTimer(
                TickAsync,
                mode,
                new GrainTimerCreationOptions(due, period) { Interleave = mode == "interleave", KeepAlive = mode == "keep" });
            return Task.CompletedTask;
        }

        public Task Change(TimeSpan due, TimeSpan period)
        {
            if (due != TimeSpan.MinValue)
            {
                _timer!.Change(due, period);
            }

            return Task.CompletedTask;
        }

        public Task End()
        {
            _timer!.Dispose();
            return Task.CompletedTask;
        }

        public Task<int> Ticks() => Task.FromResult(_ticks);

        public async Task Hold(string name)
        {
            probe.Signal(name + " entered");
            await probe.Seen(name);
        }

        private async Task TickAsync(string mode, CancellationToken token)
        {
            probe.Signal($"tick {++_ticks}");
            if (mode == "hold")
            {
                await probe.Seen("release");
            }

            if (mode == "until told")
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            }

            if (mode == "fail")
            {
                throw new OddException("tick", 1);
            }
        }
    }
}
