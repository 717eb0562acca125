using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Grains.Cluster;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class HeapTidyingTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly ManualTimeProvider _time = new();
    private readonly CountingHeap _heap = new() { Size = 40 * MiB };
    private readonly HeapTidying _tidying;

    public HeapTidyingTests() => _tidying = new HeapTidying(100 * MiB, _time, _heap, NullLogger.Instance);

    public void Dispose() => _tidying.Dispose();

    [Fact]
    public void Listed_LargeFirstList_CompactsOnceWhenQuiet()
    {
        _tidying.Listed(20 * MiB);
        _time.Advance(HeapTidying.Quiet - TimeSpan.FromMilliseconds(1));
        Assert.Equal(0, _heap.Compactions);

        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, _heap.Compactions);

        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, _heap.Compactions);
    }

    [Theory]
    [InlineData(0, 40)]     // a list that found everything as it was
    [InlineData(7, 8)]      // too little
    [InlineData(9, 40)]     // little beside what is there
    [InlineData(60, 101)]   // a heap that would stand still for too long
    public void Listed_NothingToWin_DoesNothing(long grown, long size)
    {
        _heap.Size = size * MiB;
        _tidying.Listed(grown * MiB);
        _time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(0, _heap.Compactions);
    }

    [Fact]
    public void Listed_HeapThatOutgrewTheLimitMeanwhile_IsLeftAlone()
    {
        _tidying.Listed(20 * MiB);
        _heap.Size = 101 * MiB;
        _time.Advance(HeapTidying.Quiet);

        Assert.Equal(0, _heap.Compactions);
    }

    [Fact]
    public void Listed_ManySmallLists_CountTogether()
    {
        for (int i = 0; i < 10; i++)
        {
            _tidying.Listed(MiB);
        }

        _time.Advance(HeapTidying.Quiet);
        Assert.Equal(1, _heap.Compactions);
    }

    [Fact]
    public void Listed_WithoutEverBeingQuiet_CompactsAfterSomePatience()
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < HeapTidying.MostPatience; passed += TimeSpan.FromSeconds(1))
        {
            Assert.Equal(0, _heap.Compactions);
            _tidying.Listed(20 * MiB);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1, _heap.Compactions);
    }

    [Fact]
    public void Listed_SoonAgain_WaitsForTheInterval()
    {
        _tidying.Listed(20 * MiB);
        _time.Advance(HeapTidying.Quiet);
        _tidying.Listed(20 * MiB);
        _time.Advance(HeapTidying.Interval - TimeSpan.FromSeconds(1));
        Assert.Equal(1, _heap.Compactions);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, _heap.Compactions);
    }

    [Fact]
    public void Listed_SwitchedOff_NeverCompacts()
    {
        using var off = new HeapTidying(0, _time, _heap, NullLogger.Instance);
        off.Listed(50 * MiB);
        _time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(0, _heap.Compactions);
    }

    private sealed class CountingHeap : IManagedHeap
    {
        public long Size { get; set; }

        public int Compactions { get; private set; }

        public void Compact() => Compactions++;
    }
}
