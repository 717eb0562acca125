using System.Collections.Immutable;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Fleet;
using MultiCluster.Grains.Tests.Cluster;
using Orleans.Runtime;

namespace MultiCluster.Grains.Tests.Fleet;

public sealed class FleetGrainTests
{
    [Fact]
    public async Task Watch_Joins_AreNeverStampedBeforeWhatAReaderWasTold()
    {
        await using FleetHost host = await FleetHost.StartAsync(configure: DoNotSweep);
        using var stop = new CancellationTokenSource(FleetHost.Patience);
        IAsyncEnumerator<FleetChange> watch = host.Fleet.WatchAsync(stop.Token).GetAsyncEnumerator(stop.Token);
        Assert.True(await watch.MoveNextAsync());
        Assert.True(watch.Current.Whole);
        long through = watch.Current.Through;
        var seen = new HashSet<string>();

        Task joining = Task.WhenAll(Enumerable.Range(0, 50).Select(i => host.Fleet.AdmitAsync(Entry($"c{i}"))));
        while (seen.Count < 50)
        {
            Assert.True(await watch.MoveNextAsync());
            foreach (ClusterEntry entry in watch.Current.Clusters.Where(entry => seen.Add(entry.Name)))
            {
                Assert.True(entry.JoinedAt > through, $"{entry.Name} joined at {entry.JoinedAt}, and the reader was told {through}.");
                Assert.True(entry.JoinedAt <= watch.Current.Through);
            }

            through = watch.Current.Through;
        }

        await joining.WaitAsync(FleetHost.Patience);
        await watch.DisposeAsync();
    }

    [Fact]
    public async Task Watch_Quiet_SaysHowFarItIs()
    {
        await using FleetHost host = await FleetHost.StartAsync(configure: DoNotSweep);
        using var stop = new CancellationTokenSource(FleetHost.Patience);
        long last = 0;
        int messages = 0;

        await foreach (FleetChange change in host.Fleet.WatchAsync(stop.Token).WithCancellation(stop.Token))
        {
            Assert.True(change.Through > last);
            last = change.Through;
            if (++messages == 3)
            {
                break;
            }
        }
    }

    [Fact]
    public async Task Watch_SlowReader_FindsChangesJoined()
    {
        await using FleetHost host = await FleetHost.StartAsync(configure: DoNotSweep);
        ClusterEntry entry = Entry("a");
        await host.Fleet.AdmitAsync(entry);
        using var stop = new CancellationTokenSource(FleetHost.Patience);
        IAsyncEnumerator<FleetChange> watch = host.Fleet.WatchAsync(stop.Token).GetAsyncEnumerator(stop.Token);
        Assert.True(await watch.MoveNextAsync());
        for (int i = 1; i <= 1_000; i++)
        {
            Assert.True(await host.Fleet.ReportAsync(new ClusterSummary { Name = "a", Uid = entry.Uid, Generation = 1, Sequence = i, Objects = i }));
        }

        int messages = 0;
        do
        {
            Assert.True(await watch.MoveNextAsync());
            messages++;
        }
        while (watch.Current.Clusters.LastOrDefault()?.Summary?.Objects != 1_000);

        // Of a batch of the stream that was on its way already, and of everything else at once.
        Assert.InRange(messages, 1, 110);
        await watch.DisposeAsync();
    }

    [Fact]
    public async Task Admit_LabelsChanged_StampsTheSelection_OthersDoNot()
    {
        await using FleetHost host = await FleetHost.StartAsync(configure: DoNotSweep);
        ClusterEntry entry = Entry("a");
        Admission joined = await host.Fleet.AdmitAsync(entry);

        Admission scope = await host.Fleet.AdmitAsync(entry with { Generation = 2, Mirror = new MirrorScope { Exclude = ["pods"] } });
        Admission labels = await host.Fleet.AdmitAsync(entry with { Generation = 3, Labels = entry.Labels.Add("region", "eu") });
        Admission again = await host.Fleet.AdmitAsync(entry with { Generation = 3, Labels = entry.Labels.Add("region", "eu") });

        Assert.Equal((joined.Entry.JoinedAt, 0), (scope.Entry.JoinedAt, scope.Entry.SelectionChangedAt));
        Assert.True(labels.Entry.SelectionChangedAt > joined.Entry.JoinedAt);
        Assert.Equal((labels.Entry.SelectionChangedAt, labels.Version), (again.Entry.SelectionChangedAt, again.Version));
    }

    [Fact]
    public async Task Admit_OtherRegistrationOfTheName_TheFirstOneLeaves()
    {
        await using FleetHost host = await FleetHost.StartAsync(configure: DoNotSweep);
        ClusterEntry first = Entry("a");
        await host.Fleet.AdmitAsync(first);

        Admission second = await host.Fleet.AdmitAsync(Entry("a"));

        FleetChange fleet = await host.Fleet.GetAsync();
        Departure left = Assert.Single(fleet.Departures);
        Assert.Equal(first.Uid, left.Uid);
        Assert.True(left.LeftAt < second.Entry.JoinedAt);
    }

    [Fact]
    public async Task Report_OlderGenerationInTheFleet_AsksForTheEntry()
    {
        await using FleetHost host = await FleetHost.StartAsync(configure: DoNotSweep);
        ClusterEntry entry = Entry("a");
        await host.Fleet.AdmitAsync(entry);

        Assert.False(await host.Fleet.ReportAsync(new ClusterSummary { Name = "a", Uid = entry.Uid, Generation = 2, Sequence = 1 }));
        Assert.False(await host.Fleet.ReportAsync(new ClusterSummary { Name = "b", Uid = entry.Uid, Generation = 1, Sequence = 1 }));
        Assert.True(await host.Fleet.ReportAsync(new ClusterSummary { Name = "a", Uid = entry.Uid, Generation = 1, Sequence = 1 }));
    }

    [Fact]
    public async Task Admit_WriteFails_NobodySeesIt()
    {
        var durable = new DurableParts { FailWritesOf = "fleet" };
        await using FleetHost host = await FleetHost.StartAsync(durable, DoNotSweep);

        await Assert.ThrowsAnyAsync<Exception>(() => host.Fleet.AdmitAsync(Entry("a")));

        Assert.Empty((await host.Fleet.GetAsync()).Clusters);
        long before = (await host.Fleet.GetAsync()).Through;
        durable.FailWritesOf = null;
        Assert.True((await host.Fleet.AdmitAsync(Entry("a"))).Entry.JoinedAt > before);
    }

    [Fact]
    public async Task Versions_OverARestart_DoNotStepBack()
    {
        var durable = new DurableParts();
        long before;
        await using (FleetHost first = await FleetHost.StartAsync(durable, DoNotSweep))
        {
            before = (await first.Fleet.AdmitAsync(Entry("a"))).Version;
        }

        await using FleetHost second = await FleetHost.StartAsync(durable, DoNotSweep);

        FleetChange fleet = await second.Fleet.GetAsync();
        Assert.True(fleet.Version > before);
        Assert.Equal("a", Assert.Single(fleet.Clusters).Name);
    }

    [Fact]
    public async Task Stop_WhileALeftoverIsDropped_DoesNotWaitForItself()
    {
        var durable = new DurableParts();
        await using (FleetHost first = await FleetHost.StartAsync(durable, DoNotSweep))
        {
            await first.Fleet.AdmitAsync(Entry("leftover"));
        }

        var written = new TaskCompletionSource();
        durable.Writable = written.Task;
        FleetHost second = await FleetHost.StartAsync(durable, DoNotSweep);
        Task joining = second.Fleet.AdmitAsync(Entry("joining"));   // keeps the turn that the dismissal of the leftover waits for
        await UntilAsync(() => Task.FromResult(second.Log.Any(line => line.Contains("LeftoverDropped", StringComparison.Ordinal))));

        Task stopping = second.DisposeAsync().AsTask();
        int others = 0;
        await UntilAsync(async () =>
        {
            try
            {
                await second.Cluster($"other-{others++}").DescribeAsync();
                return false;
            }
            catch (Exception e) when (e is OrleansException or InvalidOperationException)
            {
                return true;
            }
        });
        written.SetResult();
        await joining.WaitAsync(FleetHost.Patience);
        await stopping.WaitAsync(FleetHost.Patience);

        Assert.DoesNotContain(second.Log, line => line.StartsWith("Warning Grain", StringComparison.Ordinal));   // that one did not end in time
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var deadline = new CancellationTokenSource(FleetHost.Patience);
        while (!await holds())
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, deadline.Token);
        }
    }

    // These entries have no cluster behind them, and the sweep would rightly drop them.
    private static void DoNotSweep(IServiceCollection services) => services.Configure<FleetOptions>(fleet =>
    {
        fleet.SweepInterval = TimeSpan.FromMinutes(10);
        fleet.Heartbeat = TimeSpan.FromMinutes(10);
    });

    private static ClusterEntry Entry(string name) => new()
    {
        Name = name,
        Uid = Guid.NewGuid(),
        Labels = ImmutableSortedDictionary<string, string>.Empty,
        Server = $"https://{name}",
    };
}
