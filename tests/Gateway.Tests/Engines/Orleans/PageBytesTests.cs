using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Tests.Continuity;
using MultiCluster.Grains.Cluster;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;
using Orleans.TestingHost;
using Xunit.Abstractions;

namespace MultiCluster.Gateway.Tests.Engines.Orleans;

/// <summary>How often the bytes of objects are copied on their way between silos, seen by what is allocated for them.</summary>
[Collection(MemoryTests.Name)]
public sealed class PageBytesTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Page_FromAnotherSilo_IsPutTogetherOnceAndTakenOutOfTheMessageOnce()
    {
        const int pods = 4_000;
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.SeedPods(new PodSeed(pods));
        await using MovingFleet fleet = await MovingFleet.StartAsync(silos: 2);
        await fleet.JoinAsync("eu-1", member, "pods");
        ILookup<bool, InProcessSiloHandle> silos = fleet.Host.Silos.ToLookup(s => s.ServiceProvider.GetRequiredService<LocalClusters>().Names.Contains("eu-1"));
        var request = new ClusterListRequest { Query = new ObjectQuery { Kind = "pods" }, Limit = pods, MaxBytes = 64 << 20, Revision = 1 };

        double near = await AllocatedPerByteAsync(silos[true].Single());
        double far = await AllocatedPerByteAsync(silos[false].Single());

        output.WriteLine($"{near:F2} bytes allocated per byte of the answer of the same silo, {far:F2} of another");

        // The answer's bytes, and their copy at whoever asked; what lies between is lent from pools.
        Assert.True(near < 1.5, $"{near:F2} bytes allocated for each byte of an answer of the same silo.");
        Assert.True(far - near < 1.5, $"{far - near:F2} bytes allocated for each byte on the way between silos.");

        async Task<double> AllocatedPerByteAsync(InProcessSiloHandle from)
        {
            IClusterGrain grain = from.ServiceProvider.GetRequiredService<global::Orleans.IGrainFactory>().GetGrain<IClusterGrain>("eu-1");
            double least = double.MaxValue;
            for (int i = 0; i < 20; i++)
            {
                long before = GC.GetTotalAllocatedBytes(precise: true);
                ClusterPage page = await grain.ListAsync(request, CancellationToken.None).WaitAsync(MovingFleet.Patience);
                Assert.Equal(pods, page.Rows.Length);

                // The first fill the pools, and now and then something else goes on; what it takes by itself is the least.
                least = Math.Min(least, (double)(GC.GetTotalAllocatedBytes(precise: true) - before) / page.Payload.Length);
            }

            return least;
        }
    }
}
