using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Actors;
using MultiCluster.TestSupport;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class ReminderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-reminders-").FullName;
    private readonly ManualTimeProvider _time = new();

    internal interface IRemindedGrain : IGrainWithStringKey, IRemindable
    {
        Task Register(string name, TimeSpan due, TimeSpan period);

        Task<string[]> Names();

        Task Unregister(string name);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

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
        var entry = new ReminderEntry(GrainId.Create("t", "k"), "r", start, TimeSpan.FromMinutes(1));

        Assert.Equal(start.AddSeconds(expectedSeconds), ReminderService.NextTick(entry, start.AddSeconds(nowSeconds)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reminder_TicksAtItsTimes_AlsoWhenTheGrainIsNotActive(bool files)
    {
        var probe = new Probe();
        await using InProcessTestCluster cluster = await StartAsync(probe, files);
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
        await using (InProcessTestCluster cluster = await StartAsync(new Probe(), files: true))
        {
            await cluster.Client.GetGrain<IRemindedGrain>("g").Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10)).Soon();
        }

        _time.Advance(TimeSpan.FromMinutes(25));   // ticks at 1, 11 and 21 are missed
        var probe = new Probe();
        await using InProcessTestCluster again = await StartAsync(probe, files: true);
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
        await using InProcessTestCluster cluster = await StartAsync(probe, files: true);
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
        Assert.Empty(Directory.GetFiles(_folder, "*.json", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Reminder_PeriodTooShort_IsRefusedWithTheLimit()
    {
        await using InProcessTestCluster cluster = await StartAsync(new Probe(), files: false);

        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(
            () => cluster.Client.GetGrain<IRemindedGrain>("g").Register("r", TimeSpan.Zero, TimeSpan.FromSeconds(59))).Soon();

        Assert.Contains("00:01:00", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReminderFile_Damaged_OthersTickAndItIsNeverOverwritten()
    {
        await using (InProcessTestCluster cluster = await StartAsync(new Probe(), files: true))
        {
            await cluster.Client.GetGrain<IRemindedGrain>("bad").Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1)).Soon();
            await cluster.Client.GetGrain<IRemindedGrain>("good").Register("r", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1)).Soon();
        }

        string file = Directory.GetFiles(_folder, "bad.*.json", SearchOption.AllDirectories).Single();
        await File.WriteAllTextAsync(file, "{\"Grain\"");
        var probe = new Probe();
        await using InProcessTestCluster again = await StartAsync(probe, files: true);
        _time.Advance(TimeSpan.FromMinutes(1));
        await probe.Seen("good r 1 at 60");

        ReminderException e = await Assert.ThrowsAsync<ReminderException>(
            () => again.Client.GetGrain<IRemindedGrain>("bad").Register("r", TimeSpan.Zero, TimeSpan.FromMinutes(1))).Soon();

        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        Assert.Equal("{\"Grain\"", await File.ReadAllTextAsync(file));
    }

    private Task<InProcessTestCluster> StartAsync(Probe probe, bool files) => TestCluster.StartAsync(probe, silo =>
    {
        silo.Services.AddSingleton<TimeProvider>(_time);
        silo.UseInMemoryReminderService();
        if (files)
        {
            silo.UseFileStorage(_folder);
        }
    });

    internal sealed class RemindedGrain(Probe probe) : Grain, IRemindedGrain
    {
        private int _ticks;

        public Task Register(string name, TimeSpan due, TimeSpan period) => this.RegisterOrUpdateReminder(name, due, period);

        public async Task<string[]> Names() => (await this.GetReminders()).Select(r => r.ReminderName).ToArray();

        public async Task Unregister(string name) => await this.UnregisterReminder((await this.GetReminder(name))!);

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
