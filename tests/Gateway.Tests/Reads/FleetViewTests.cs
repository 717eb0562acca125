using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.TestSupport;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>A gateway's copy of the fleet, while the silo that tells of it is in trouble.</summary>
public sealed class FleetViewTests
{
    [Fact]
    public async Task Watch_FleetFallsSilent_IsAskedAnewWithinSeconds_AndCountsAsLostMeanwhile()
    {
        var time = new ManualTimeProvider();
        var clock = new FleetClock(time);
        var fleet = new HangingFleet(clock);
        using var view = new FleetView(() => fleet, clock, time, NullLogger<FleetView>.Instance);
        await view.StartAsync(CancellationToken.None);
        long first = (await view.KnownAsync(FleetQuery.DefaultDeadline, CancellationToken.None).WaitAsync(Soon)).Through;

        bool wasLost = false;
        TimeSpan waited = TimeSpan.Zero;
        for (; view.Current.Version < 2; waited += Step)
        {
            Assert.True(waited < TimeSpan.FromSeconds(6), "The view still waits for a fleet that says nothing.");
            time.Advance(Step);
            await Task.WhenAny(fleet.IsAskedAgain, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None));
            wasLost |= view.LostFor is not null;
        }

        Assert.True(wasLost);
        Assert.Null(view.LostFor);
        Assert.True(view.Current.Through > first);

        // The end waits a moment for a stream that does not listen, and then leaves it behind.
        Task stopping = view.StopAsync(CancellationToken.None);
        for (waited = TimeSpan.Zero; !stopping.IsCompleted; waited += Step)
        {
            Assert.True(waited < Soon, "The view does not end.");
            time.Advance(Step);
            await Task.WhenAny(stopping, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None));
        }
    }

    [Fact]
    public async Task Known_NothingHeardYet_WaitsForIt_AndNeverAnswersWithAnEmptyFleet()
    {
        var time = new ManualTimeProvider();
        using var view = new FleetView((Func<IFleetGrain>)null!, new FleetClock(time), time, NullLogger<FleetView>.Instance);
        var commands = new ClusterCommands(_ => null!, view, new ConnectionSealer(new EphemeralDataProtectionProvider(), time), time, NullLogger.Instance);

        Task<ImmutableArray<ClusterEntry>> inVain = commands.SelectAsync([], null, CancellationToken.None);
        Assert.False(inVain.IsCompleted);
        time.Advance(FleetQuery.DefaultDeadline);
        await Assert.ThrowsAsync<FleetUnavailableException>(() => inVain.WaitAsync(Soon));

        Task<ImmutableArray<ClusterEntry>> asked = commands.SelectAsync([], null, CancellationToken.None);
        view.Apply(new FleetChange { Version = 1, Whole = true, Through = 1, Clusters = [new ClusterEntry { Name = "eu-1", Uid = Guid.NewGuid() }] });
        Assert.Equal("eu-1", Assert.Single(await asked.WaitAsync(Soon)).Name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Apply_ChangeFromAFleetThatHasHeardNoReportYet_KeepsWhatWasReported(bool isWhole)
    {
        var time = new ManualTimeProvider();
        using var view = new FleetView((Func<IFleetGrain>)null!, new FleetClock(time), time, NullLogger<FleetView>.Instance);
        var entry = new ClusterEntry { Name = "eu-1", Uid = Guid.NewGuid(), Summary = new ClusterSummary { Name = "eu-1", Phase = ClusterPhase.Online, Objects = 7 } };
        view.Apply(new FleetChange { Version = 1, Whole = true, Through = 1, Clusters = [entry] });

        view.Apply(new FleetChange { Version = 2, Whole = isWhole, Through = 2, Clusters = [entry with { Generation = 2, Summary = null }] });
        Assert.Equal((2, 7), (view.Current.Clusters["eu-1"].Generation, view.Current.Clusters["eu-1"].Summary!.Objects));

        // One that was registered anew is another cluster.
        view.Apply(new FleetChange { Version = 3, Whole = isWhole, Through = 3, Clusters = [entry with { Uid = Guid.NewGuid(), Summary = null }] });
        Assert.Null(view.Current.Clusters["eu-1"].Summary);
    }

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(250);

    /// <summary>Says what it knows, and nothing more, whatever its caller's token says: as a silo that hangs.</summary>
    private sealed class HangingFleet(FleetClock clock) : IFleetGrain
    {
        private readonly TaskCompletionSource _askedAgain = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _asked;

        public Task IsAskedAgain => _askedAgain.Task;

        public async IAsyncEnumerable<FleetChange> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            int asked = Interlocked.Increment(ref _asked);
            yield return new FleetChange { Version = asked, Whole = true, Through = clock.Tick() };
            if (asked > 1)
            {
                _askedAgain.TrySetResult();
            }

            await new TaskCompletionSource().Task;
        }

        public Task<Admission> AdmitAsync(ClusterEntry entry) => throw new NotSupportedException();

        public Task<long> DismissAsync(string name, long leftAt) => throw new NotSupportedException();

        public Task<bool> ReportAsync(ClusterSummary summary) => throw new NotSupportedException();

        public Task<FleetChange> GetAsync() => throw new NotSupportedException();
    }
}
