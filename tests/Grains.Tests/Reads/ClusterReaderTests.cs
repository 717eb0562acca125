using System.Text;
using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Grains.Tests.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Querying;
using MultiCluster.Kubernetes.Selectors;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;
using MultiCluster.TestSupport;
using ReadinessState = MultiCluster.Reads.ReadinessState;

namespace MultiCluster.Grains.Tests.Reads;

public sealed class ClusterReaderTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);
    private static readonly ResourceType Gadgets = new("example.com", "v1", "gadgets", "Gadget", Namespaced: true);

    private static readonly ApiSurface Served = new(
        [new ApiGroup("", ["v1"]), new ApiGroup("example.com", ["v2", "v1"])],
        [SampleObjects.Pods with { ShortNames = ["po"] }, SampleObjects.Nodes, SampleObjects.ConfigMaps, Gadgets, Gadgets with { Version = "v2" }],
        []);

    private static readonly string[] Conditions =
    [
        "metadata.name = p1", "metadata.name in (p1, p2, 'p10')", "metadata.name != p3", "metadata.namespace = a", "metadata.namespace notin (a, b)",
        "spec.nodeName =", "spec.nodeName !=", "spec.nodeName = node-1", "spec.nodeName exists", "!spec.nodeName",
        "status.phase = Running", "status.phase != Running", "status.phase in (Pending, '')", "status.phase exists",
        "metadata.labels.app = web", "metadata.labels['tier'] exists", "metadata.labels.nope !exists", "metadata.labels.app notin (web)",
        "metadata.creationTimestamp >= 2026-11-21", "metadata.creationTimestamp < now-1d", "metadata.creationTimestamp = 2026-11-21T02:07:03Z",
        "spec.containers[*].image = 'registry.k8s.io/pause:3.9'", "spec.containers[0].resources.requests.cpu > 100m", "metadata.uid exists",
    ];

    private readonly ManualTimeProvider _time = new();
    private readonly ClusterMirror _mirror;
    private readonly ReadSource _source;
    private readonly ClusterReader _reader;
    private int _version = 1;

    public ClusterReaderTests()
    {
        _mirror = new ClusterMirror("eu-1", new FleetClock(_time), _time, new MirrorBounds(), hasJustJoined: true);
        _source = new ReadSource(_mirror) { Surface = Served };
        _reader = new ClusterReader(_source, _time);
        foreach (ResourceType type in (ResourceType[])[SampleObjects.Pods, SampleObjects.Nodes, SampleObjects.ConfigMaps])
        {
            KindTable table = _mirror.AddKind(type);
            table.BeginReplace();
            table.EndReplace("1");
        }
    }

    [Fact]
    public void List_AnyQueryAndPageSize_FindsWhatReadingEveryObjectFinds()
    {
        var random = new Random(11);
        for (int i = 0; i < 300; i++)
        {
            Put(i, $"{"abc"[random.Next(3)]}{(random.Next(4) == 0 ? "-x" : "")}", $"p{i % 40}", random);
        }

        Gen<ObjectQuery> queries =
            from fields in Gen.Elements(Conditions).ListOf().Resize(3)
            from labels in Gen.Elements(null, "app=web", "app in (web, api)", "tier", "!tier", "app!=web", "app=nobody")
            from names in Gen.Elements("p1", "p2*", "p?", "*9").ListOf().Resize(2)
            from namespaces in Gen.Elements("a", "a-x", "b", "none").ListOf().Resize(2)
            from text in Gen.Elements(null, null, "FRON", "p3", "nothing")
            from ready in Gen.Elements(ReadinessState.Ready, ReadinessState.Progressing, ReadinessState.Completed).ListOf().Resize(2)
            select new ObjectQuery
            {
                Kind = "pods",
                FieldSelector = string.Join(',', fields),
                LabelSelector = labels,
                Names = [.. names],
                Namespaces = [.. namespaces],
                Text = text,
                Readiness = [.. ready],
            };

        Prop.ForAll(queries.ToArbitrary(), Gen.Choose(1, 40).ToArbitrary(), (query, limit) =>
        {
            Assert.True(_mirror.TryGetKind("pods", out KindTable? table));
            string[] expected = [.. table.Snapshot.AsEnumerable().Where(row => Plainly(query, row)).Select(row => $"{row.Namespace}/{row.Name}")];
            Assert.Equal(expected, Pages(query, limit));
            ClusterCounts counts = _reader.CountAsync(new ClusterCountRequest { Query = query, Revision = 1 }, default).GetAwaiter().GetResult();
            Assert.Equal(expected.Length, counts.Total);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    [Fact]
    public async Task List_ByteLimit_EndsThePageButNeverBeforeItsFirstObject()
    {
        for (int i = 0; i < 10; i++)
        {
            Put(i, "a", $"p{i}", new Random(1));
        }

        ClusterPage page = await List(new ObjectQuery { Kind = "po" }, 10, maxBytes: 1);
        Assert.Single(page.Rows);
        Assert.True(page.More);
        Assert.Equal(page.Rows[0].Length, page.Payload.Length);

        page = await List(new ObjectQuery { Kind = "po" }, 10, maxBytes: page.Payload.Length * 5 / 2);
        Assert.Equal(2, page.Rows.Length);
        page = await List(new ObjectQuery { Kind = "Pod" }, 10);
        Assert.Equal(10, page.Rows.Length);
        Assert.False(page.More);
        foreach (ObjectRow row in page.Rows)
        {
            using var json = System.Text.Json.JsonDocument.Parse(page.Payload.AsMemory(row.Offset, row.Length));
            Assert.Equal(row.Name, json.RootElement.GetProperty("metadata").GetProperty("name").GetString());
        }
    }

    [Theory]
    [InlineData(ClusterPhase.AuthFailed, CoverageState.Forbidden)]
    [InlineData(ClusterPhase.Offline, CoverageState.Offline)]
    public async Task List_StateComesFromTheCluster_SoDoesTheReason(ClusterPhase phase, CoverageState state)
    {
        Put(1, "a", "p1", new Random(1));
        (_source.Phase, _source.Fault) = (phase, new ClusterFault("Cluster", "of the cluster"));
        _source.Standing = new KindStanding(MirrorState.Failed, new ClusterFault("Kind", "of the kind"), null);
        ClusterCoverage coverage = (await List(new ObjectQuery { Kind = "pods" }, 1)).Coverage;
        Assert.Equal((state, "Cluster"), (coverage.State, coverage.Fault!.Kind));
    }

    [Fact]
    public async Task List_Coverage_SaysHowItStands()
    {
        Put(1, "a", "p1", new Random(1));
        Assert.Equal((CoverageState.Ok, 1), await Ask("pods"));
        _source.Standing = new KindStanding(MirrorState.Stale, null, _time.GetUtcNow() - TimeSpan.FromSeconds(40));
        Assert.Equal((CoverageState.Stale, 1), await Ask("pods"));
        Assert.Equal(TimeSpan.FromSeconds(40), (await List(new ObjectQuery { Kind = "pods" }, 1)).Coverage.Age);
        _source.Standing = new KindStanding(MirrorState.Forbidden, new ClusterFault("Forbidden", "no"), null);
        Assert.Equal((CoverageState.Forbidden, 1), await Ask("pods"));
        _source.Standing = null;
        _source.Phase = ClusterPhase.Offline;
        Assert.Equal((CoverageState.Offline, 1), await Ask("pods"));
        _source.Phase = ClusterPhase.AuthFailed;
        Assert.Equal((CoverageState.Forbidden, 1), await Ask("pods"));
        _source.Phase = ClusterPhase.Disabled;
        Assert.Equal((CoverageState.Disabled, 0), await Ask("pods"));
        _source.Phase = ClusterPhase.Online;
        Assert.Equal((CoverageState.NotServed, 0), await Ask("gizmos"));
        Assert.Equal((CoverageState.NotMirrored, 0), await Ask("gadgets"));

        // Just found: neither mirrored nor left out yet, and nothing that a reader should mend.
        _source.Standing = new KindStanding(MirrorState.Syncing, null, null);
        Assert.Equal((CoverageState.Syncing, null), ((await List(new ObjectQuery { Kind = "gadgets" }, 1)).Coverage.State, (await List(new ObjectQuery { Kind = "gadgets" }, 1)).Coverage.Fault));
        _source.Standing = null;
        _mirror.AddKind(Gadgets with { Version = "v2" });
        Assert.Equal((CoverageState.Syncing, 0), await Ask("gadgets"));
        Assert.Equal((CoverageState.NotMirrored, 0), await Ask("example.com/v1/gadgets"));
        Assert.Equal((CoverageState.NotMirrored, 0), await Ask("gadgets.v1.example.com"));
        Assert.Equal((CoverageState.Syncing, 0), await Ask("example.com/v2/gadgets"));
        _source.Surface = null;
        Assert.Equal((CoverageState.Syncing, 0), await Ask("pods"));
    }

    [Fact]
    public async Task Get_NamespaceThatDoesNotFitTheKind_IsAnErrorOfTheRequest()
    {
        ClusterPage page = await _reader.GetAsync(new ClusterGetRequest { Kind = "nodes", Key = new ObjectKey("a", "n") }, default);
        Assert.Equal((ClusterFault.InvalidRequest, "namespace"), (page.Coverage.Fault!.Kind, page.Coverage.Fault.Field));
        page = await _reader.GetAsync(new ClusterGetRequest { Kind = "pods", Key = new ObjectKey("", "n") }, default);
        Assert.Equal((ClusterFault.InvalidRequest, "namespace"), (page.Coverage.Fault!.Kind, page.Coverage.Fault.Field));
    }

    [Fact]
    public async Task List_Cancelled_Stops()
    {
        Put(1, "a", "p1", new Random(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _reader.ListAsync(
            new ClusterListRequest { Query = new ObjectQuery { Kind = "pods" }, Limit = 1, Revision = 1 }, new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Watch_KindThatAppearsLaterAndVanishes_IsFollowed()
    {
        await using var watch = new Batches(_reader, new ClusterWatchRequest { Query = new ObjectQuery { Kind = "widgets" }, Revision = 1 });
        ClusterWatchBatch first = await watch.NextAsync();
        Assert.True(first.InitialEnd);
        Assert.Equal(CoverageState.NotServed, first.Coverage!.State);

        var widgets = new ResourceType("example.com", "v1", "widgets", "Widget", Namespaced: true);
        _source.Surface = new ApiSurface(Served.Groups, [.. Served.Resources, widgets], []);
        KindTable table = _mirror.AddKind(widgets);
        table.BeginReplace();
        table.Replace("""{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"a","uid":"u1","resourceVersion":"5"}}"""u8);
        table.EndReplace("5");
        Assert.Equal(["Added w"], await watch.ChangesAsync(1));

        _source.Surface = Served;
        _mirror.RemoveKind("widgets.example.com");
        Assert.Equal(["Deleted w"], await watch.ChangesAsync(1));
    }

    [Fact]
    public async Task Watch_WithoutChanges_SaysHowFarItIs()
    {
        await using var watch = new Batches(
            _reader, new ClusterWatchRequest { Query = new ObjectQuery { Kind = "pods" }, Revision = 1, ProgressEvery = TimeSpan.FromSeconds(1) });
        ClusterWatchBatch first = await watch.NextAsync();
        ClusterWatchBatch second = await watch.NextAsync();
        Task<ClusterWatchBatch> next = watch.NextAsync();
        await _time.TimerArmed(1).WaitAsync(Soon);
        _time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.False(next.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        ClusterWatchBatch third = await next;
        Assert.Empty(third.Changes);
        Assert.True(third.Through > second.Through && second.Through >= first.Through);
    }

    [Fact]
    public async Task Watch_TakingLeave_DeletesEverythingThatMatches()
    {
        long since = _mirror.Clock.Now();
        Put(1, "a", "p1", new Random(1));
        Put(2, "a", "p2", new Random(1));
        await using var watch = new Batches(
            _reader, new ClusterWatchRequest { Query = new ObjectQuery { Kind = "pods", Names = ["p1"] }, Since = since, Revision = since, Leave = true });
        Assert.Equal(["Added p1", "Deleted p1"], await watch.ChangesAsync(2));
        Assert.Equal(WatchEnd.Left, watch.Last!.End);
    }

    [Fact]
    public async Task Watch_SwitchedOffCluster_StillTakesLeave()
    {
        Put(1, "a", "p1", new Random(1));
        long since = _mirror.Clock.Now();
        _source.Phase = ClusterPhase.Disabled;
        await using var watch = new Batches(
            _reader, new ClusterWatchRequest { Query = new ObjectQuery { Kind = "pods" }, Since = since, Revision = since, Leave = true });
        Assert.Equal(["Deleted p1"], await watch.ChangesAsync(1));
    }

    private async Task<(CoverageState State, int Rows)> Ask(string kind)
    {
        ClusterPage page = await List(new ObjectQuery { Kind = kind }, 10);
        return (page.Coverage.State, page.Rows.Length);
    }

    private List<string> Pages(ObjectQuery query, int limit)
    {
        List<string> found = [];
        ObjectKey? after = null;
        while (true)
        {
            ClusterPage page = _reader.ListAsync(new ClusterListRequest { Query = query, After = after, Limit = limit, Revision = 1 }, default).GetAwaiter().GetResult();
            Assert.Null(page.Coverage.Fault);
            found.AddRange(page.Rows.Select(r => $"{r.Namespace}/{r.Name}"));
            if (!page.More)
            {
                return found;
            }

            after = new ObjectKey(page.Rows[^1].Namespace, page.Rows[^1].Name);
        }
    }

    /// <summary>The query, evaluated over the whole object without columns and indexes.</summary>
    private bool Plainly(ObjectQuery query, MirrorRow row)
    {
        using var json = System.Text.Json.JsonDocument.Parse(row.ToJson());
        Dictionary<string, string> labels = json.RootElement.GetProperty("metadata").GetProperty("labels").EnumerateObject()
            .ToDictionary(l => l.Name, l => l.Value.GetString()!);
        Assert.True(FieldExpression.TryParse(query.FieldSelector, out FieldExpression? fields, out _));
        return fields.Matches(row.ToJson(), _time.GetUtcNow())
            && LabelSelector.Parse(query.LabelSelector).Matches(labels)
            && (query.Namespaces.IsEmpty || query.Namespaces.Contains(row.Namespace))
            && (query.Names.IsEmpty || query.Names.Any(n => IsNamed(row.Name, n)))
            && (query.Text is null || labels.Values.Append(row.Name).Append(row.Namespace).Any(t => t.Contains(query.Text, StringComparison.OrdinalIgnoreCase)))
            && (query.Readiness.IsEmpty || query.Readiness.Select(r => r.ToString()).Contains(row.Status.Readiness.ToString()));
    }

    private static bool IsNamed(string name, string glob) => Regex.IsMatch(
        name,
        $"^{Regex.Escape(glob).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal)}$",
        RegexOptions.ExplicitCapture,
        TimeSpan.FromSeconds(1));

    private Task<ClusterPage> List(ObjectQuery query, int limit, int maxBytes = 16 << 20) =>
        _reader.ListAsync(new ClusterListRequest { Query = query, Limit = limit, MaxBytes = maxBytes, Revision = 1 }, default).WaitAsync(Soon);

    private void Put(int number, string ns, string name, Random random)
    {
        string phase = ((string[])["Running", "Pending", "Succeeded"])[random.Next(3)];
        string node = random.Next(3) == 0 ? "" : $"node-{random.Next(3)}";
        byte[] pod = SampleObjects.Pod(
            ns, name, number, _version++, phase, node, random.Next(2) == 0 ? "web" : "api", random.Next(2) == 0 ? "100m" : "1");
        if (random.Next(2) == 0)
        {
            pod = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(pod).Replace(",\"tier\":\"front\"", "", StringComparison.Ordinal));
        }

        Assert.True(_mirror.TryGetKind("pods", out KindTable? table));
        table.Apply(WatchChange.Added, pod);
    }

    private sealed class Batches(ClusterReader reader, ClusterWatchRequest request) : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private IAsyncEnumerator<ClusterWatchBatch>? _batches;

        public ClusterWatchBatch? Last { get; private set; }

        public async Task<ClusterWatchBatch> NextAsync()
        {
            _batches ??= reader.WatchAsync(request, _stop.Token).GetAsyncEnumerator(_stop.Token);
            Assert.True(await _batches.MoveNextAsync().AsTask().WaitAsync(Soon));
            return Last = _batches.Current;
        }

        public async Task<string[]> ChangesAsync(int count)
        {
            List<string> seen = [];
            while (seen.Count < count)
            {
                ClusterWatchBatch batch = await NextAsync();
                seen.AddRange(batch.Changes.Select(c => $"{c.Type} {c.Row.Name}"));
            }

            return [.. seen];
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            if (_batches is not null)
            {
                await _batches.DisposeAsync();
            }

            _stop.Dispose();
        }
    }
}
