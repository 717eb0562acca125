using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Grains.Mirror;
using MultiCluster.Grains.Reads;
using MultiCluster.Grains.Tests.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Reads;

/// <summary>Watches that began over one mirror of a cluster go on over the one that takes its place, without a question to the member.</summary>
public sealed class TakenOverWatchTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);
    private static readonly ObjectQuery Pods = new() { Kind = "pods" };

    [Fact]
    public void Watch_AnyHistoryAndAnyMoment_GoesOnOrExpires_AndNeverMisses() =>
        Prop.ForAll<int>(seed => RunAsync(seed).GetAwaiter().GetResult()).Check(Config.QuickThrowOnFailure.WithMaxTest(120));

    [Fact]
    public async Task Watch_KindThatWasQuiet_GoesOnThoughTheNewMirrorListedLater()
    {
        var member = new Member();
        Place old = member.Open(ahead: TimeSpan.Zero);
        member.Put("a");
        member.Put("b");
        await using var watch = new Client(old.Reader);
        await watch.FollowAsync(old);
        long told = old.Mirror.Clock.Now();

        // Only other kinds change from here on: the version of the new list says that pods might have.
        member.PutOther();
        member.PutOther();
        Place next = member.Open(ahead: TimeSpan.Zero);
        next.TakeOver(old.Mirror.Trace(member.Time.GetUtcNow()), old.Mirror.Clock.Now());
        old.Close();

        Assert.Equal(member.Truth, (await watch.GoOnAsync(next)).Held);
        Assert.Equal(WatchEnd.None, watch.End);
        await using var late = new Client(next.Reader, told, watch.Held);
        await late.FollowAsync(next);
        Assert.Equal((WatchEnd.None, 0), (late.End, late.Told));
        member.Delete("a");
        Assert.Equal(member.Truth, (await watch.FollowAsync(next)).Held);
        Assert.Equal(member.Truth, (await late.FollowAsync(next)).Held);
    }

    [Fact]
    public async Task Watch_OnlyTheOldMirrorHeardABookmark_GoesOnAtOnce()
    {
        var member = new Member();
        Place old = member.Open(ahead: TimeSpan.Zero);
        member.Put("a");
        Place next = member.Open(ahead: TimeSpan.Zero);
        member.PutOther();
        old.Pods.Bookmark($"{member.Version}");
        member.PutOther();
        await using var watch = new Client(old.Reader);
        await watch.FollowAsync(old);
        next.TakeOver(old.Mirror.Trace(member.Time.GetUtcNow()), old.Mirror.Clock.Now());
        old.Close();

        // Time stands still here: whoever waited for the same bookmark would wait for good.
        Assert.Equal(member.Truth, (await watch.GoOnAsync(next)).Held);
        Assert.Equal((WatchEnd.None, 1), (watch.End, watch.Told));
    }

    [Fact]
    public async Task Watch_ObjectThatCameAndWentBetween_IsNotTakenForQuiet()
    {
        var member = new Member();
        Place old = member.Open(ahead: TimeSpan.Zero);
        member.Put("a");
        member.Put("b");
        await using var watch = new Client(old.Reader);
        await watch.FollowAsync(old);

        // As many objects as before and none newer than what was told, but another set: only the member could tell, and it is not asked here.
        member.IsSeenByOld = false;
        member.Delete("b");
        Place next = member.Open(ahead: TimeSpan.Zero);
        next.TakeOver(old.Mirror.Trace(member.Time.GetUtcNow()), old.Mirror.Clock.Now());
        await watch.GoOnAsync(next);
        Assert.Equal(WatchEnd.Expired, watch.End);
    }

    [Fact]
    public async Task Watch_RevisionOlderThanTheTrail_Expires()
    {
        var member = new Member();
        Place old = member.Open(ahead: TimeSpan.Zero);
        member.Put("a");
        long early = old.Mirror.Clock.Now();
        member.Put("b");
        member.Time.Advance(VersionTrail.Span * 2);
        member.Put("c");
        long late = old.Mirror.Clock.Now();
        Place next = member.Open(ahead: TimeSpan.Zero);
        next.TakeOver(old.Mirror.Trace(member.Time.GetUtcNow()), old.Mirror.Clock.Now());

        await using var gone = new Client(next.Reader, early, []);
        await gone.FollowAsync(next);
        await using var here = new Client(next.Reader, late, member.Truth);
        await here.FollowAsync(next);
        Assert.Equal((WatchEnd.Expired, WatchEnd.None), (gone.End, here.End));

        member.Time.Advance(TimeSpan.FromMinutes(11));
        next.Mirror.ForgetOld();
        await using var forgotten = new Client(next.Reader, late, member.Truth);
        await forgotten.FollowAsync(next);
        Assert.Equal((null, WatchEnd.Expired), (next.Mirror.Before, forgotten.End));
    }

    [Fact]
    public async Task Watch_ManyChangesBetween_AreToldInBatchesThatCanBeResumed()
    {
        var member = new Member();
        Place old = member.Open(ahead: TimeSpan.Zero);
        member.Put("first");
        await using var watch = new Client(old.Reader);
        await watch.FollowAsync(old);
        Place next = member.Open(ahead: TimeSpan.FromSeconds(-1));
        member.IsSeenByOld = false;
        for (int i = 0; i < 1700; i++)
        {
            member.Put($"n-{i}");
        }

        next.TakeOver(old.Mirror.Trace(member.Time.GetUtcNow()), old.Mirror.Clock.Now());
        int rounds = 0;
        do
        {
            await watch.GoOnAsync(next, batches: 1);   // broken off after each batch
        }
        while (watch.Held.Length < 1701 && ++rounds < 20);

        Assert.InRange(rounds, 2, 10);
        Assert.Equal(member.Truth, watch.Held);
        Assert.Equal(1701, watch.Told);
    }

    private static async Task RunAsync(int seed)
    {
        var random = new Random(seed);
        var member = new Member();
        Place old = member.Open(ahead: TimeSpan.FromMilliseconds(random.Next(3)));
        await using var watch = new Client(old.Reader);
        List<(long Revision, string[] Held)> moments = [];
        int steps = random.Next(1, 30);
        int listsAt = random.Next(steps);
        Place? next = null;
        long listedAt = 0;
        int lists = 0;
        for (int i = 0; i < steps; i++)
        {
            if (i == listsAt)
            {
                next = member.Open(ahead: TimeSpan.FromMilliseconds(random.Next(3)));
            }

            Step(member, random);
            if (next is { } place && place.Lists != lists)
            {
                (lists, listedAt) = (place.Lists, old.Mirror.Clock.Now());
            }

            await watch.FollowAsync(old);
            moments.Add((old.Mirror.Clock.Now(), member.Truth));
        }

        next!.TakeOver(old.Mirror.Trace(member.Time.GetUtcNow()), old.Mirror.Clock.Now());
        old.Close();
        for (int i = random.Next(6); i > 0; i--)
        {
            Step(member, random, relists: false);   // a list that is newer than what a watch has seen would be a case for the member
        }

        await watch.GoOnAsync(next);
        Assert.Equal(WatchEnd.None, watch.End);
        Assert.Equal(member.Truth, watch.Held);
        foreach ((long revision, string[] held) in moments)
        {
            await using var late = new Client(next.Reader, revision, held);
            await late.FollowAsync(next);
            if (late.End == WatchEnd.None)
            {
                Assert.Equal(member.Truth, late.Held);
            }
            else
            {
                // Before its first change a kind stood at a list that a later one may have replaced; that alone is not known.
                Assert.True(revision < listedAt || revision < next.Mirror.Before!.Kinds["pods"][0].From, "Everything since the list is in the history of the new mirror.");
            }
        }
    }

    private static void Step(Member member, Random random, bool relists = true)
    {
        member.Time.Advance(TimeSpan.FromMilliseconds(random.Next(2)));
        switch (random.Next(8))
        {
            case 0 or 1:
                member.PutOther();
                break;
            case 2 or 3:
                member.Delete($"p{random.Next(5)}");
                break;
            case 4:
                member.Bookmark();
                member.PutOther();
                break;
            case 5 when relists:
                member.Relist(random.Next(2));
                member.PutOther();
                break;
            default:
                member.Put($"p{random.Next(5)}");
                break;
        }
    }

    /// <summary>A cluster, and the mirrors that follow it.</summary>
    private sealed class Member
    {
        private readonly SortedDictionary<string, byte[]> _pods = new(StringComparer.Ordinal);
        private readonly List<Place> _places = [];
        private long _version = 10;
        private int _uid;

        public ManualTimeProvider Time { get; } = new();

        /// <summary>Whether the place that was opened first hears of what happens.</summary>
        public bool IsSeenByOld { get; set; } = true;

        public long Version => _version;

        public string[] Truth => [.. _pods.Select(pod => $"{pod.Key}@{VersionOf(pod.Value)}")];

        public Place Open(TimeSpan ahead)
        {
            var place = new Place(Time, ahead);
            place.List(_pods.Values, _version);
            _places.Add(place);
            return place;
        }

        public void Put(string name)
        {
            byte[] pod = SampleObjects.Pod("a", name, _pods.ContainsKey(name) && _version % 3 != 0 ? _uid : ++_uid, ++_version);
            _pods[name] = pod;
            Tell(place => place.Pods.Apply(WatchChange.Modified, pod));
        }

        public void Delete(string name)
        {
            if (!_pods.Remove(name, out byte[]? pod))
            {
                PutOther();
                return;
            }

            byte[] last = System.Text.Encoding.UTF8.GetBytes(System.Text.Encoding.UTF8.GetString(pod)
                .Replace($"\"resourceVersion\":\"{VersionOf(pod)}\"", $"\"resourceVersion\":\"{++_version}\"", StringComparison.Ordinal));
            Tell(place => place.Pods.Apply(WatchChange.Deleted, last));
        }

        public void PutOther()
        {
            byte[] node = SampleObjects.Pod("a", "other", 7_000_000, ++_version);
            Tell(place => place.Others.Apply(WatchChange.Modified, node));
        }

        public void Bookmark() => Tell(place => place.Pods.Bookmark($"{_version}"));

        /// <summary>One of the mirrors has lost its watch and lists anew.</summary>
        public void Relist(int which) => _places[which % _places.Count].List(_pods.Values, _version);

        public static string VersionOf(ReadOnlyMemory<byte> pod) =>
            System.Text.Json.JsonDocument.Parse(pod).RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString()!;

        private void Tell(Action<Place> tell)
        {
            foreach (Place place in _places.Where(place => !place.IsClosed && (IsSeenByOld || place != _places[0])))
            {
                tell(place);
            }
        }
    }

    /// <summary>A mirror of the member in one process.</summary>
    private sealed class Place
    {
        public Place(ManualTimeProvider time, TimeSpan ahead)
        {
            Mirror = new ClusterMirror("eu-1", new FleetClock(new Ahead(time, ahead)), time, new MirrorBounds());
            Pods = Mirror.AddKind(SampleObjects.Pods);
            Others = Mirror.AddKind(SampleObjects.ConfigMaps);
            Others.BeginReplace();
            Others.EndReplace("1");
            Reader = new ClusterReader(new ReadSource(Mirror) { Surface = new ApiSurface([new ApiGroup("", ["v1"])], [SampleObjects.Pods, SampleObjects.ConfigMaps], []) }, time);
        }

        public ClusterMirror Mirror { get; }

        public KindTable Pods { get; }

        public KindTable Others { get; }

        public ClusterReader Reader { get; }

        public bool IsClosed { get; private set; }

        public int Lists { get; private set; }

        public void List(IEnumerable<byte[]> pods, long version)
        {
            Pods.BeginReplace();
            foreach (byte[] pod in pods)
            {
                Pods.Replace(pod);
            }

            Pods.EndReplace($"{version}");
            Lists++;
        }

        public void TakeOver(VersionTrail trail, long movedAt)
        {
            Mirror.Clock.Observe(movedAt);
            Mirror.TakeOver(trail);
        }

        public void Close() => IsClosed = true;
    }

    private sealed class Ahead(TimeProvider time, TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + by;
    }

    /// <summary>Keeps what a watch tells, as an informer does.</summary>
    private sealed class Client : IAsyncDisposable
    {
        private readonly SortedDictionary<string, string> _held = new(StringComparer.Ordinal);
        private CancellationTokenSource _stop = new();
        private IAsyncEnumerator<ClusterWatchBatch> _batches;
        private WatchPosition? _position;

        public Client(ClusterReader reader, long? since = null, string[]? held = null)
        {
            foreach (string one in held ?? [])
            {
                _held.Add(one.Split('@')[0], one.Split('@')[1]);
            }

            _batches = Open(reader, since);
        }

        public string[] Held => [.. _held.Select(one => $"{one.Key}@{one.Value}")];

        public WatchEnd End { get; private set; }

        /// <summary>Changes that were told.</summary>
        public int Told { get; private set; }

        /// <summary>Reads all that has happened.</summary>
        public async Task<Client> FollowAsync(Place place, int batches = int.MaxValue)
        {
            long now = place.Mirror.Clock.Now();
            for (long through = 0; through < now && End == WatchEnd.None && batches > 0; batches--)
            {
                Assert.True(await _batches.MoveNextAsync().AsTask().WaitAsync(Soon));
                ClusterWatchBatch batch = _batches.Current;
                (through, End, _position) = (batch.Through, batch.End, batch.Position ?? _position);
                foreach (ObjectChange change in batch.Changes)
                {
                    Told++;
                    if (change.Type == ChangeType.Deleted)
                    {
                        _held.Remove(change.Row.Name);
                    }
                    else
                    {
                        _held[change.Row.Name] = Member.VersionOf(batch.Payload.AsMemory(change.Row.Offset, change.Row.Length));
                    }
                }
            }

            return this;
        }

        /// <summary>The stream has broken; it is opened at another place from where it was.</summary>
        public async Task<Client> GoOnAsync(Place place, int batches = int.MaxValue)
        {
            await CloseAsync();
            _stop = new CancellationTokenSource();
            _batches = Open(place.Reader, null);
            return await FollowAsync(place, batches);
        }

        public async ValueTask DisposeAsync() => await CloseAsync();

        private IAsyncEnumerator<ClusterWatchBatch> Open(ClusterReader reader, long? since) => reader
            .WatchAsync(new ClusterWatchRequest { Query = Pods, Since = since, Revision = since ?? 1, Position = _position }, _stop.Token)
            .GetAsyncEnumerator(_stop.Token);

        private async Task CloseAsync()
        {
            await _stop.CancelAsync();
            try
            {
                await _batches.DisposeAsync();
            }
            catch (Exception e) when (e is OperationCanceledException or NotSupportedException)
            {
                // How a stream ends that was under way.
            }

            _stop.Dispose();
        }
    }
}
