using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Benchmarks.Reads;
using MultiCluster.Fleet;
using MultiCluster.Reads;
using Orleans;
using Orleans.Concurrency;

namespace MultiCluster.Benchmarks.Engine;

/// <summary>Answers reads of one object as the cluster grain does, with its messages, its reader and a mirror of sample pods.</summary>
internal interface IPodGrain : IPlacedGrain
{
    /// <summary>One pod of some 4 KB.</summary>
    [AlwaysInterleave]
    Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken);
}

/// <inheritdoc/>
internal sealed class PodGrain : Grain, IPodGrain
{
    private readonly MirroredCluster _cluster = SamplePodReads.CreateCluster();

    public Task<int> PlaceAsync() => Task.FromResult(Environment.ProcessId);

    public Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken) => _cluster.GetAsync(request, cancellationToken);
}

/// <summary>Reads of one sample pod after the other.</summary>
internal sealed class SamplePodReads
{
    private const int Pods = 100;

    private readonly ClusterGetRequest[] _requests =
    [
        .. Enumerable.Range(0, Pods).Select(static i => new ClusterGetRequest { Kind = "pods", Key = new ObjectKey(SamplePods.NamespaceOf(i), SamplePods.NameOf(i)) }),
    ];

    /// <summary>A cluster that has the pods.</summary>
    public static MirroredCluster CreateCluster()
    {
        var cluster = new MirroredCluster("sample", new FleetClock(TimeProvider.System));
        cluster.Fill(0, Pods);
        return cluster;
    }

    /// <summary>Reads the pod that comes next for a caller, and looks whether it came.</summary>
    /// <returns>Bytes of its JSON.</returns>
    public async Task<int> ReadAsync(int number, Func<ClusterGetRequest, Task<ClusterPage>> get)
    {
        ClusterGetRequest request = _requests[number % Pods];
        ClusterPage page = await get(request);
        return page.Rows is [var row] && row.Name == request.Key.Name && row.Length > 3_000
            ? row.Length
            : throw new InvalidOperationException($"{request.Key} was asked for; {page.Rows.Length} objects with {page.Payload.Length} bytes came.");
    }
}
