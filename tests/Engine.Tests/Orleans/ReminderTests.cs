using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Actors;
using MultiCluster.TestSupport;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class ReminderTests
{
    private readonly MemoryReminderTable _table = new();
    private readonly ManualTimeProvider _time = new();

    internal interface IRemindedGrain : IGrainWithStringKey, IRemindable
    {
        Task Register(string name, TimeSpan due, TimeSpan period);

        Task<string[]> Names();

        Task Unregister(string name);

        Task Keep(string name);

        Task UnregisterKept();
    }

    [Theory]
    [InlineData(-1, 0)]
    [InlineData(0, 0)]
    [InlineData(1, 60)]
    [InlineData(60, 60)]
    [InlineData(61, 120)]
    [InlineData(3600, 3600)]
    public void NextTick_IsTheFirstOfTheRowThatIsNotPast(int nowSeconds, int expectedSeconds)
    {
        DateTime start = new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        var entry = new ReminderEntry { GrainId = GrainId.Create("t", "k"), ReminderName = "r", StartAt = start, Period = TimeSpan.FromMinutes(1) };

        Assert.Equal(start.AddSeconds(expectedSeconds), ReminderService.NextTick(entry, start.AddSeconds(nowSeconds)));
    }

    [Fact]
    public async Task Reminder_TicksAtItsTimes_AlsoWhenTheGrainIsNotActive()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await StartAsync(probe);
        IRemindedGrain grain = cluster.Client.GetGrain<IRemindedGrain>("g");
        await grain.Register("r", TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(1)).Soon();
        await cluster.DeactivateAsync(grain).Soon();

        _time.Advance(TimeSpan.FromSeconds(29));
        Assert.Null(cluster.Silos[0].ServiceProvider.GetRequiredService<ActorRuntime>().Directory.Find(grain.GetGrainId()));
        int armed = _time.ArmedCount;
        _time.Advance(TimeSpan.FromSeconds(1));
        await probe.Seen("g r 1 at 30");
        await _time.TimerArmed(armed + 2).Soon();   // the limit of the grain's start, then the next tick
        _time.Advance(TimeSpan.FromMinutes(1));
        await probe.Seen("g r 2 at 90");
    }

    [Fact]
    public async Task Reminder_AfterRestart_GoesOnAtItsTimes_MissedTicksAreSkipped()
    {
        await using (InProcessTestCluster cluster = await StartAsync(new Probe()))
        {
            await cluster.Client.GetGrain<IRemindedGrain>("g").Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10)).Soon();
        }

        _time.Advance(TimeSpan.FromMinutes(25));   // ticks at 1, 11 and 21 are missed
        var probe = new Probe();
        await using InProcessTestCluster again = await StartAsync(probe);
        _time.Advance(TimeSpan.FromMinutes(6) - TimeSpan.FromTicks(1));
        Assert.Empty(probe.Journal);
        _time.Advance(TimeSpan.FromTicks(1));

        await probe.Seen("g r 1 at 1860");
        Assert.Equal(["r"], await again.Client.GetGrain<IRemindedGrain>("g").Names().Soon());
    }

    [Fact]
    public async Task Reminder_UpdatedThenUnregistered_TicksAnewThenNeverAgain()
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await StartAsync(probe);
        IRemindedGrain grain = cluster.Client.GetGrain<IRemindedGrain>("g");
        await grain.Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1)).Soon();
        await grain.Register("r", TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5)).Soon();
        _time.Advance(TimeSpan.FromMinutes(4));
        Assert.Empty(probe.Journal);
        _time.Advance(TimeSpan.FromMinutes(1));
        await probe.Seen("g r 1 at 300");

        await grain.Unregister("r").Soon();
        Assert.Empty(await grain.Names().Soon());
        _time.Advance(TimeSpan.FromHours(1));

        Assert.Single(probe.Journal);
        Assert.Empty((await _table.ReadRows(0, 0)).Reminders);
    }

    [Fact]
    public async Task Reminder_PeriodTooShort_IsRefusedWithTheLimit()
    {
        await using InProcessTestCluster cluster = await StartAsync(new Probe());

        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(
            () => cluster.Client.GetGrain<IRemindedGrain>("g").Register("r", TimeSpan.Zero, TimeSpan.FromSeconds(59))).Soon();

        Assert.Contains("00:01:00", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reminder_UnregisteredByAnOldHandle_IsRefusedUnlessItIsGone()
    {
        await using InProcessTestCluster cluster = await StartAsync(new Probe());
        IRemindedGrain grain = cluster.Client.GetGrain<IRemindedGrain>("g");
        await grain.Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1)).Soon();
        await grain.Keep("r").Soon();
        await grain.Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2)).Soon();

        await Assert.ThrowsAsync<ReminderException>(grain.UnregisterKept).Soon();
        await grain.Unregister("r").Soon();
        await grain.UnregisterKept().Soon();

        Assert.Empty(await grain.Names().Soon());
    }

    private Task<InProcessTestCluster> StartAsync(Probe probe) => TestCluster.StartAsync(probe, silo =>
    {
        silo.Services.AddSingleton<TimeProvider>(_time);
        silo.Services.AddSingleton<IReminderTable>(_table);
        silo.AddReminders();
    });

    internal sealed class RemindedGrain(Probe probe) : Grain, IRemindedGrain
    {
        private int _ticks;
        private IGrainReminder? _kept;

        public Task Register(string name, TimeSpan due, TimeSpan period) => this.RegisterOrUpdateReminder(name, due, period);

        public async Task<string[]> Names() => (await this.GetReminders()).Select(r => r.ReminderName).ToArray();

        public async Task Unregister(string name) => await this.UnregisterReminder((await this.GetReminder(name))!);

        public async Task Keep(string name) => _kept = await this.GetReminder(name);

        public Task UnregisterKept() => this.UnregisterReminder(_kept!);

        public Task ReceiveReminder(string reminderName, TickStatus status)
        {
            _ticks++;
            double second = (status.CurrentTickTime - new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc)).TotalSeconds;
            probe.Note($"{this.GetPrimaryKeyString()} {reminderName}");
            probe.Signal($"{this.GetPrimaryKeyString()} {reminderName} {_ticks} at {second:0}");
            return Task.CompletedTask;
        }
    }
}
