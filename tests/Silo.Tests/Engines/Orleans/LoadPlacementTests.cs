using System.Net;
using MultiCluster.Silo.Engines;
using MultiCluster.TestSupport;
using Orleans.Runtime;

namespace MultiCluster.Silo.Tests.Engines.Orleans;

/// <summary>Where clusters come to live that have lost their silo all at once.</summary>
public sealed class LoadPlacementTests
{
    private static readonly SiloAddress Lost = At(1);
    private static readonly SiloAddress Second = At(2);
    private static readonly SiloAddress Third = At(3);

    private readonly ManualTimeProvider _time = new();

    [Theory]
    [InlineData(true)]    // the directory still leads to the silo that was lost
    [InlineData(false)]   // it has been tidied
    public void Choose_ManyAtOnce_AreSpread_ThoughTheDatabaseKnowsOfNoneYet(bool leadsToTheLost)
    {
        string[] clusters = [.. Enumerable.Range(0, 20).Select(i => $"c{i:d2}")];
        Dictionary<string, string> places = leadsToTheLost ? clusters.ToDictionary(c => $"cluster/{c}", _ => Lost.ToParsableString(), StringComparer.Ordinal) : [];
        places["cluster/there"] = Second.ToParsableString();
        SiloPage page = Page([.. clusters, "there"], places);
        var director = new LoadPlacementDirector(null!, _time);

        ILookup<SiloAddress, string> chosen = clusters.ToLookup(c => director.Choose(GrainId.Create("cluster", c), [Second, Third], page));

        Assert.InRange(chosen[Second].Count() - chosen[Third].Count(), -1, 1);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Choose_TwoSilosPlaceTheirShareAtTheSameTime_TheyEvenOutTogether(bool leadsToTheLost)
    {
        string[] clusters = [.. Enumerable.Range(0, 60).Select(i => $"c{i:d2}")];
        string[] there = [.. Enumerable.Range(0, 20).Select(i => $"there{i:d2}")];
        Dictionary<string, string> places = there.ToDictionary(c => $"cluster/{c}", _ => Second.ToParsableString(), StringComparer.Ordinal);
        if (leadsToTheLost)
        {
            Array.ForEach(clusters, c => places[$"cluster/{c}"] = Lost.ToParsableString());
        }

        SiloPage page = Page([.. clusters, .. there], places);
        LoadPlacementDirector[] directors = [new(null!, _time), new(null!, _time)];

        int second = there.Length + clusters.Index().Count(c => directors[c.Index % 2].Choose(GrainId.Create("cluster", c.Item), [Second, Third], page).Equals(Second));

        Assert.InRange(second, 36, 44);   // of eighty
    }

    [Fact]
    public void Choose_TheDatabaseKnowsWhereItWent_ItIsCountedOnce()
    {
        var director = new LoadPlacementDirector(null!, _time);
        SiloAddress first = director.Choose(GrainId.Create("cluster", "a"), [Second, Third], Page(["a"], []));
        SiloAddress other = first.Equals(Second) ? Third : Second;
        SiloPage known = Page(["a", "x", "y"], new() { ["cluster/a"] = first.ToParsableString(), ["cluster/x"] = other.ToParsableString() }, ("x", 1.5));
        Assert.Equal(first, director.Choose(GrainId.Create("cluster", "y"), [Second, Third], known));
    }

    [Fact]
    public void Choose_ItWasDecidedLongAgo_IsForgotten()
    {
        var director = new LoadPlacementDirector(null!, _time);
        SiloAddress first = director.Choose(GrainId.Create("cluster", "a"), [Second, Third], Page(["a"], []));
        _time.Advance(TimeSpan.FromSeconds(11));
        SiloAddress other = first.Equals(Second) ? Third : Second;
        SiloPage known = Page(["x", "y"], new() { ["cluster/x"] = other.ToParsableString() });
        Assert.Equal(first, director.Choose(GrainId.Create("cluster", "y"), [Second, Third], known));
    }

    private static SiloPage Page(string[] clusters, Dictionary<string, string> places, params (string Cluster, double Weight)[] others)
    {
        Dictionary<string, double> loads = clusters.ToDictionary(c => c, _ => 1_000_000.0, StringComparer.Ordinal);
        foreach ((string cluster, double weight) in others)
        {
            loads[cluster] = weight * 1_000_000;
        }

        return new SiloPage(loads, places, new HashSet<string>());
    }

    private static SiloAddress At(int port) => SiloAddress.New(IPAddress.Loopback, port, 1);
}
