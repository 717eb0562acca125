using System.Text;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Mirror;

public sealed class KindTableTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly ClusterMirror _mirror;
    private readonly KindTable _pods;

    public KindTableTests()
    {
        _mirror = new ClusterMirror("eu-1", new FleetClock(_time), _time, new MirrorBounds());
        _pods = _mirror.AddKind(SampleObjects.Pods);
    }

    [Fact]
    public void Replace_ListArrives_ShowsAllObjectsUntouchedButForManagedFields()
    {
        byte[][] pods = [.. Enumerable.Range(0, 200).Select(i => SampleObjects.Pod("demo", $"web-{i:d3}", i, 100 + i, node: $"node-{i % 7}"))];
        List(pods);

        MirrorSnapshot snapshot = _pods.Snapshot;
        Assert.Equal(200, snapshot.Count);
        for (int i = 0; i < pods.Length; i++)
        {
            MirrorRow row = snapshot.Get("demo", $"web-{i:d3}")!;
            Assert.Equal(SampleObjects.Stored(pods[i]), Encoding.UTF8.GetString(row.ToJson()));
        }
    }

    [Fact]
    public void Row_Columns_SayWhatTheObjectSays()
    {
        List(SampleObjects.Pod("demo", "web-1", 7, 300, node: "node-b"));

        MirrorRow row = _pods.Snapshot.Get("demo", "web-1")!;
        Assert.Equal(("demo", "web-1", "node-b", "300"), (row.Namespace, row.Name, row.NodeName, row.ResourceVersion));
        Assert.Equal(SampleObjects.Uid(7), row.UidText);
        Assert.Equal(new DateTimeOffset(2026, 11, 21, 2, 7, 3, TimeSpan.Zero), row.CreatedAt);
        Assert.Equal("front", row.Family.LabelOf("tier"));
        Assert.Equal(new RowStatus("Running", ReadinessState.Ready, ""), row.Status);
        Assert.Equal("ReplicaSet", Assert.Single(row.Family.Owners).Kind);
        Assert.Equal("registry.k8s.io/pause:3.9", Assert.Single(row.Family.Images));
        Assert.Equal((100, 64 << 20), (row.Family.Resources.CpuMilli, row.Family.Resources.MemoryBytes));
    }

    private void List(params byte[][] items)
    {
        _pods.BeginReplace();
        foreach (byte[] item in items)
        {
            _pods.Replace(item);
        }

        _pods.EndReplace("1000");
    }
}
