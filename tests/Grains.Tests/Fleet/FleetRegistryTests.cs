using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Fleet;

namespace MultiCluster.Grains.Tests.Fleet;

public sealed class FleetRegistryTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Since_SeveralChangesOfOneCluster_AreJoined()
    {
        var fleet = new FleetRegistry();
        ClusterEntry a = Entry("a");
        fleet.Admit(a, 1);
        fleet.Admit(Entry("b"), 2);
        fleet.Report(Summary(a, 1), 3, out _);
        fleet.Report(Summary(a, 2), 4, out _);

        FleetChange change = fleet.Since(2)!;

        Assert.False(change.Whole);
        Assert.Equal(4, change.Version);
        ClusterEntry only = Assert.Single(change.Clusters);
        Assert.Equal(("a", 2), (only.Name, only.Summary!.Sequence));
    }

    [Fact]
    public void Since_PresentVersion_IsNothing()
    {
        var fleet = new FleetRegistry();
        fleet.Admit(Entry("a"), 1);

        Assert.Null(fleet.Since(1));
    }

    [Fact]
    public void Since_ClusterLeftAndCameBack_ShowsBoth()
    {
        var fleet = new FleetRegistry();
        ClusterEntry first = Entry("a");
        ClusterEntry second = Entry("a");
        fleet.Admit(first, 1);
        fleet.Dismiss(Departed(first, Start), 2);
        fleet.Admit(second, 3);

        FleetChange change = fleet.Since(1)!;

        Assert.Equal(first.Uid, Assert.Single(change.Departures).Uid);
        Assert.Equal(second.Uid, Assert.Single(change.Clusters).Uid);
    }

    [Fact]
    public void Since_BeforeAForgottenDeparture_IsTheWholeFleet()
    {
        var fleet = new FleetRegistry();
        ClusterEntry gone = Entry("a");
        fleet.Admit(gone, 1);
        fleet.Admit(Entry("b"), 2);
        fleet.Dismiss(Departed(gone, Start), 3);
        fleet.Forget(Start.AddTicks(1), 100);

        Assert.True(fleet.Since(2)!.Whole);
        Assert.Empty(fleet.Whole().Departures);
        Assert.Null(fleet.Since(3));
    }

    [Fact]
    public void Forget_MoreThanTheMost_DropsTheOldest()
    {
        var fleet = new FleetRegistry();
        foreach (int i in Enumerable.Range(0, 5))
        {
            ClusterEntry entry = Entry($"c{i}");
            fleet.Admit(entry, (2 * i) + 1);
            fleet.Dismiss(Departed(entry, Start), (2 * i) + 2);
        }

        fleet.Forget(DateTimeOffset.MinValue, 2);

        Assert.Equal(["c3", "c4"], fleet.Whole().Departures.Select(left => left.Name));
    }

    [Fact]
    public void Report_UnknownOrOtherRegistration_IsRefused()
    {
        var fleet = new FleetRegistry();
        fleet.Admit(Entry("a"), 1);

        Assert.False(fleet.Report(Summary(Entry("a"), 1), 2, out _));
        Assert.False(fleet.Report(Summary(Entry("b"), 1), 2, out _));
        Assert.Null(fleet.Since(1));
    }

    [Fact]
    public void Report_OlderThanKnown_ChangesNothing()
    {
        var fleet = new FleetRegistry();
        ClusterEntry a = Entry("a");
        fleet.Admit(a, 1);
        fleet.Report(Summary(a, 5), 2, out _);

        Assert.True(fleet.Report(Summary(a, 4), 3, out bool changed));
        Assert.False(changed);
        Assert.Equal(5, fleet.Find("a")!.Summary!.Sequence);
    }

    [Fact]
    public void Admit_ChangedEntryOfTheSameRegistration_KeepsItsSummary()
    {
        var fleet = new FleetRegistry();
        ClusterEntry a = Entry("a");
        fleet.Admit(a, 1);
        fleet.Report(Summary(a, 1), 2, out _);

        fleet.Admit(a with { Generation = 2 }, 3);

        Assert.Equal((2, 1), (fleet.Find("a")!.Generation, fleet.Find("a")!.Summary!.Sequence));
    }

    private static ClusterEntry Entry(string name) => new() { Name = name, Uid = Guid.NewGuid() };

    private static ClusterSummary Summary(ClusterEntry entry, long sequence) => new() { Name = entry.Name, Uid = entry.Uid, Sequence = sequence };

    private static DepartureRecord Departed(ClusterEntry entry, DateTimeOffset at) => new(new Departure(entry.Name, entry.Uid, 0), at);
}
