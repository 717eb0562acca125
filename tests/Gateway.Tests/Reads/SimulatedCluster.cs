using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;
using ClusterFault = MultiCluster.Clusters.ClusterFault;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>A cluster whose mirror the test writes; read by the real reader, behind the interface of a cluster grain.</summary>
public sealed class SimulatedCluster : IClusterGrain, IDisposable
{
    internal static readonly ResourceType ConfigMaps = new("", "v1", "configmaps", "ConfigMap", true) { Singular = "configmap", ShortNames = ["cm"], Verbs = ["list", "watch", "get"] };
    internal static readonly ResourceType Pods = new("", "v1", "pods", "Pod", true) { Singular = "pod", ShortNames = ["po"], Verbs = ["list", "watch", "get"] };
    internal static readonly ResourceType Nodes = new("", "v1", "nodes", "Node", false) { Singular = "node", ShortNames = ["no"], Verbs = ["list", "watch", "get"] };
    internal static readonly ResourceType ReplicaSets = new("apps", "v1", "replicasets", "ReplicaSet", true) { Singular = "replicaset", ShortNames = ["rs"], Verbs = ["list", "watch", "get"] };
    internal static readonly ResourceType Deployments = new("apps", "v1", "deployments", "Deployment", true) { Singular = "deployment", ShortNames = ["deploy"], Verbs = ["list", "watch", "get"] };

    private static readonly ApiSurface Served = new([new ApiGroup("", ["v1"]), new ApiGroup("apps", ["v1"])], [ConfigMaps, Pods, Nodes, ReplicaSets, Deployments], []);

    private readonly Source _source;
    private readonly ClusterReader _reader;
    private CancellationTokenSource _streams = new();
    private long _version = 1;
    private int _calls;
    private int _failures;
    private int _hanging;
    private Exception? _break;
    private Exception? _failure;

    internal SimulatedCluster(string name, FleetClock clock, TimeProvider time, MirrorBounds? bounds = null)
    {
        Name = name;
        Mirror = new ClusterMirror(name, clock, time, bounds ?? new MirrorBounds(), hasJustJoined: true);
        foreach (ResourceType type in Served.Resources)
        {
            Relist(type, []);
        }

        _source = new Source(this);
        _reader = new ClusterReader(_source, time);
    }

    public string Name { get; }

    internal ClusterMirror Mirror { get; }

    internal ClusterPhase Phase { get; set; } = ClusterPhase.Online;

    internal ApiSurface? Surface { get; set; } = Served;

    /// <summary>Watches that are told that there is no such cluster, as by a grain that is still being registered.</summary>
    internal int UnknownTo { get; set; }

    /// <summary>Calls answered, of every kind.</summary>
    public int Calls
    {
        get => Volatile.Read(ref _calls);
        set => Volatile.Write(ref _calls, value);
    }

    /// <summary>Set to let every read hang until it is cancelled.</summary>
    public bool Hangs { get; set; }

    /// <summary>Set to let open watches say nothing more, not even that nothing happens, as when their silo hangs.</summary>
    public bool IsMute { get; set; }

    /// <summary>Set to let every read fail.</summary>
    public bool Breaks { get; set; }

    /// <summary>Lets the next calls end with an exception.</summary>
    public void FailNext(Exception with, int times) => (_failure, _failures) = (with, times);

    /// <summary>Lets the next calls hang until they are cancelled; they come before those that <see cref="FailNext"/> ends.</summary>
    public void HangNext(int times) => _hanging = times;

    internal KindTable Table(ResourceType type) => Mirror.AddKind(type);

    /// <summary>Puts an object into the mirror as a watch event would.</summary>
    internal void Put(ResourceType type, string ns, string name, string labels = "", string rest = "", Guid? uid = null,
        (string ApiVersion, string Kind, string Name, Guid Uid)? owner = null)
    {
        byte[] json = Json(type, ns, name, labels, rest, uid, owner);
        bool isNew = Table(type).Snapshot.Get(ns, name) is null;
        Table(type).Apply(isNew ? WatchChange.Added : WatchChange.Modified, json);
    }

    internal byte[] Json(ResourceType type, string ns, string name, string labels = "", string rest = "", Guid? uid = null,
        (string ApiVersion, string Kind, string Name, Guid Uid)? owner = null)
    {
        string owners = owner is { } o
            ? $$""","ownerReferences":[{"apiVersion":"{{o.ApiVersion}}","kind":"{{o.Kind}}","name":"{{o.Name}}","uid":"{{o.Uid}}","controller":true}]"""
            : "";
        Guid id = uid ?? UidOf(type, ns, name);
        string place = ns.Length == 0 ? "" : $"\"namespace\":\"{ns}\",";
        return Encoding.UTF8.GetBytes(
            $$"""{"apiVersion":"{{type.ApiVersion}}","kind":"{{type.Kind}}","metadata":{"name":"{{name}}",{{place}}"uid":"{{id}}","resourceVersion":"{{_version++}}","labels":{"""
            + labels + "}" + owners + "}" + rest + "}");
    }

    internal void Delete(ResourceType type, string ns, string name)
    {
        if (Table(type).Snapshot.Get(ns, name) is { } row)
        {
            Table(type).Apply(WatchChange.Deleted, row.ToJson());
        }
    }

    /// <summary>Takes over a list, as after a watch that was lost.</summary>
    internal void Relist(ResourceType type, IEnumerable<byte[]> objects)
    {
        KindTable table = Table(type);
        table.BeginReplace();
        foreach (byte[] item in objects)
        {
            table.Replace(item);
        }

        table.EndReplace((_version++).ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Breaks every open stream, as when the silo of the grain goes down and its memory does not.</summary>
    /// <param name="with">What they end with; a broken connection where nothing is given.</param>
    public void BreakStreams(Exception? with = null)
    {
        _break = with;
        Interlocked.Exchange(ref _streams, new CancellationTokenSource()).Cancel();
    }

    public async Task<ClusterPage> ListAsync(ClusterListRequest request, CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken);
        return await _reader.ListAsync(request, cancellationToken);
    }

    public async Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken);
        return await _reader.GetAsync(request, cancellationToken);
    }

    public async Task<ClusterCounts> CountAsync(ClusterCountRequest request, CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken);
        return await _reader.CountAsync(request, cancellationToken);
    }

    public async IAsyncEnumerable<ClusterWatchBatch> WatchAsync(ClusterWatchRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await EnterAsync(cancellationToken);
        if (UnknownTo-- > 0)
        {
            yield return new ClusterWatchBatch
            {
                Through = request.Revision,
                Coverage = new ClusterCoverage { Cluster = Name, State = CoverageState.Failed, Fault = new ClusterFault(ClusterFault.NotRegistered, "No such cluster.") },
                InitialEnd = request.Since is null,
                End = WatchEnd.Left,
            };
            yield break;
        }

        CancellationTokenSource streams = _streams;
        await foreach (ClusterWatchBatch batch in _reader.WatchAsync(request, cancellationToken).WithCancellation(cancellationToken))
        {
            if (IsMute)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }

            yield return batch;
            if (streams.IsCancellationRequested)
            {
                throw _break ?? new IOException("The stream broke.");
            }
        }
    }

    public Task<MoveReadiness> PrepareMoveAsync(string standby, bool copies = false) => throw new NotSupportedException();

    public IAsyncEnumerable<MirrorPiece> CopyAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ClusterKinds> GetKindsAsync() => Task.FromResult(new ClusterKinds
    {
        Coverage = new ClusterCoverage { Cluster = Name, State = CoverageState.Ok },
        Kinds = [.. (Surface ?? ApiSurface.Empty).Resources.Select(r => new MirroredKind
        {
            Group = r.Group, Version = r.Version, Plural = r.Plural, Kind = r.Kind, Namespaced = r.Namespaced, ShortNames = r.ShortNames,
        })],
    });

    public Task<RegistrationReply> RegisterAsync(RegisterCluster request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async Task<ClusterReply> UpdateAsync(UpdateCluster request)
    {
        await EnterAsync(CancellationToken.None);
        return new ClusterReply { Cluster = Description.Cluster };
    }

    public Task<RegistrationReply> ReplaceCredentialsAsync(ReplaceCredentials request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ClusterReply> RemoveAsync() => throw new NotSupportedException();

    /// <summary>What it says of itself.</summary>
    public ClusterDescription Description { get; set; } = new();

    public async Task<ClusterDescription> DescribeAsync()
    {
        await EnterAsync(CancellationToken.None);
        return Description;
    }

    /// <summary>The silo that it says it lives on.</summary>
    public string Silo { get; set; } = "";

    public async Task<string> LocateAsync()
    {
        await EnterAsync(CancellationToken.None);
        return Silo;
    }

    public Task<bool> EnsureRunningAsync() => throw new NotSupportedException();

    public void Dispose() => _streams.Dispose();

    internal static Guid UidOf(ResourceType type, string ns, string name)
    {
        byte[] hash = System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes($"{type.Plural}/{ns}/{name}"));
        return new Guid(hash.AsSpan(0, 16));
    }

    private async Task EnterAsync(CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _calls);
        if (Volatile.Read(ref _hanging) > 0 && Interlocked.Decrement(ref _hanging) >= 0)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        }

        if (_failure is { } failure && Interlocked.Decrement(ref _failures) >= 0)
        {
            throw failure;
        }

        if (Hangs)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        }

        if (Breaks)
        {
            throw new InvalidOperationException("secret: inner workings");
        }
    }

    private sealed class Source(SimulatedCluster owner) : IClusterReadSource
    {
        public string Cluster => owner.Name;

        public ClusterMirror Mirror => owner.Mirror;

        public ClusterPhase Phase => owner.Phase;

        public ClusterFault? Fault => owner.Phase == ClusterPhase.Online ? null : new ClusterFault(owner.Phase.ToString(), "It is sick.");

        public ApiSurface? Surface => owner.Surface;

        public KubeClient? Client => null;

        public KindStanding? StandingOf(string groupResource) => null;

        public Guid Registration => Guid.Empty;

        public TimeSpan ResumeWithin => TimeSpan.FromMinutes(5);

        public Task<string> ReadPastAsync(PastList list, string token, Action<ReadOnlySpan<byte>> take, CancellationToken cancellationToken) =>
            Task.FromException<string>(new KubeException(KubeErrorKind.Gone, "This cluster has no past."));
    }
}
