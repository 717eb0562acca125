using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;

namespace MultiCluster.Benchmarks.Reads;

/// <summary>A cluster of sample pods whose mirror is filled directly, read by the real reader; stands where the cluster grain stands.</summary>
internal sealed class MirroredCluster : IClusterGrain, IClusterReadSource
{
    private static readonly ApiSurface Served = new([new ApiGroup("", ["v1"])], [SamplePods.Type with { ShortNames = ["po"] }], []);

    private readonly ClusterReader _reader;

    public MirroredCluster(string name, FleetClock clock)
    {
        Cluster = name;
        Mirror = new ClusterMirror(name, clock, TimeProvider.System, new MirrorBounds(), hasJustJoined: true);
        Pods = Mirror.AddKind(SamplePods.Type);
        _reader = new ClusterReader(this, TimeProvider.System);
    }

    public string Cluster { get; }

    public ClusterMirror Mirror { get; }

    public KindTable Pods { get; }

    public bool Hangs { get; set; }

    public ClusterPhase Phase => ClusterPhase.Online;

    public ClusterFault? Fault => null;

    public ApiSurface? Surface => Served;

    public KubeClient? Client => null;

    public KindStanding? StandingOf(string groupResource) => new KindStanding(MirrorState.Synced, null, null);

    public Guid Registration => Guid.Empty;

    public TimeSpan ResumeWithin => TimeSpan.FromMinutes(5);

    public Task<string> ReadPastAsync(PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken) =>
        Task.FromException<string>(new KubeException(KubeErrorKind.Gone, "This cluster has no past."));

    /// <summary>Fills the mirror with pods of these numbers, as a first list would.</summary>
    public void Fill(int first, int count)
    {
        var pods = new SamplePods();
        Pods.BeginReplace();
        for (int i = first; i < first + count; i++)
        {
            Pods.Replace(pods[i]);
        }

        Pods.EndReplace("1");
    }

    /// <summary>One watch event about a pod.</summary>
    public void Change(ReadOnlySpan<byte> pod) => Pods.Apply(WatchChange.Modified, pod);

    public Task<ClusterPage> ListAsync(ClusterListRequest request, CancellationToken cancellationToken) =>
        Hangs ? Hang<ClusterPage>(cancellationToken) : _reader.ListAsync(request, cancellationToken);

    public Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken) =>
        Hangs ? Hang<ClusterPage>(cancellationToken) : _reader.GetAsync(request, cancellationToken);

    public Task<ClusterCounts> CountAsync(ClusterCountRequest request, CancellationToken cancellationToken) =>
        Hangs ? Hang<ClusterCounts>(cancellationToken) : _reader.CountAsync(request, cancellationToken);

    public IAsyncEnumerable<ClusterWatchBatch> WatchAsync(ClusterWatchRequest request, CancellationToken cancellationToken) =>
        _reader.WatchAsync(request, cancellationToken);

    public Task<MoveReadiness> PrepareMoveAsync(string standby, bool copies = false) => throw new NotSupportedException();

    public IAsyncEnumerable<MirrorPiece> CopyAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ClusterKinds> GetKindsAsync() => throw new NotSupportedException();

    public Task<RegistrationReply> RegisterAsync(RegisterCluster request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ClusterReply> UpdateAsync(UpdateCluster request) => throw new NotSupportedException();

    public Task<RegistrationReply> ReplaceCredentialsAsync(ReplaceCredentials request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ClusterReply> RemoveAsync() => throw new NotSupportedException();

    public Task<ClusterDescription> DescribeAsync() => throw new NotSupportedException();

    public Task<string> LocateAsync() => throw new NotSupportedException();

    public Task<bool> EnsureRunningAsync() => throw new NotSupportedException();

    private static async Task<T> Hang<T>(CancellationToken cancellationToken)
    {
        await Task.Delay(TimeSpan.FromSeconds(300), TimeProvider.System, cancellationToken);
        throw new TimeoutException();
    }
}
