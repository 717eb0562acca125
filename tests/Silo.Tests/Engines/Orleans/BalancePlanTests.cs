using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Silo.Engines;

namespace MultiCluster.Silo.Tests.Engines.Orleans;

public sealed class BalancePlanTests
{
    private const double Mib = 1024 * 1024;

    [Theory]
    [InlineData("a silo that has just joined gets the cluster that evens out best", "a:100 a:90 a:80", "a b", "a0>b")]
    [InlineData("one huge cluster stays where it is: elsewhere it would weigh as much", "a:1000 b:10", "a b", null)]
    [InlineData("beside a huge cluster the small ones leave", "a:1000 a:200 b:100", "a b", "a1>b")]
    [InlineData("many small ones move as well, one after the other", "a:5 a:5 a:5 a:5 a:5 a:5", "a b", "a0>b")]
    [InlineData("even enough", "a:100 a:100 b:100 b:90", "a b", null)]
    [InlineData("what is small in all is not worth a list", "a:5 a:5", "a b", null)]
    [InlineData("the only silo keeps everything", "a:100 a:100", "a", null)]
    [InlineData("a silo that leaves is no target and hands over by itself", "a:100 a:100 c:500", "a b", "a0>b")]
    [InlineData("nothing is there", "", "a b", null)]
    public void Next_Table(string why, string clusters, string silos, string? expected)
    {
        (string, string, double)[] all = [.. clusters.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((one, i) =>
            ($"{one[0]}{i}", one[..1], double.Parse(one[2..], System.Globalization.CultureInfo.InvariantCulture) * Mib))];

        BalancePlan.Move? move = BalancePlan.Next(silos.Split(' '), all);

        Assert.True(expected == (move is { } m ? $"{m.Cluster}>{m.To}" : null), $"{why}: {move}");
    }

    [Fact]
    public void Next_Repeated_EvensOutAndComesToAnEnd()
    {
        Gen<(int Silo, int Load)[]> fleets = Gen.Choose(0, 4).SelectMany(silo => Gen.Choose(1, 400).Select(load => (silo, load))).ArrayOf();
        Prop.ForAll(fleets.ToArbitrary(), fleet =>
        {
            string[] silos = ["s0", "s1", "s2", "s3", "s4"];
            List<(string Cluster, string Silo, double Load)> clusters = [.. fleet.Select((c, i) => ($"c{i}", $"s{c.Silo}", c.Load * Mib))];
            double before = Spread(silos, clusters);
            int moves = 0;
            while (BalancePlan.Next(silos, clusters) is { } move)
            {
                int at = clusters.FindIndex(c => c.Cluster == move.Cluster);
                Assert.Equal(move.From, clusters[at].Silo);
                clusters[at] = clusters[at] with { Silo = move.To };
                double after = Spread(silos, clusters);
                Assert.True(after <= before, $"{before} grew to {after}");
                before = after;
                Assert.True(++moves <= 10 * (clusters.Count + 1), "no end");
            }
        }).QuickCheckThrowOnFailure();
    }

    private static double Spread(string[] silos, List<(string Cluster, string Silo, double Load)> clusters)
    {
        double[] carried = [.. silos.Select(s => clusters.Where(c => c.Silo == s).Sum(c => c.Load))];
        return carried.Max() - carried.Min();
    }
}
