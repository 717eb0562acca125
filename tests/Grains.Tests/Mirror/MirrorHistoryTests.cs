using System.Text;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Mirror;

public sealed class MirrorHistoryTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void ReadAfter_FirstListLargerThanTheRing_ExpiresNobody()
    {
        (ClusterMirror mirror, KindTable pods) = New(changes: 256);
        long before = mirror.Clock.Now();
        Relist(pods, Enumerable.Range(0, 2000).Select(static i => SampleObjects.Pod("a", $"web-{i:d4}", i, i + 1)));
        pods.Apply(WatchChange.Modified, SampleObjects.Pod("a", "web-0000", 0, 9000));

        List<Change> seen = Drain(mirror.History.ReadAfter(before), HistoryRead.CaughtUp);

        Assert.Equal(2000, seen.Select(static c => c.Row.Name).Distinct().Count());
        Assert.Equal("9000", seen.Last(static c => c.Row.Name == "web-0000").Row.ResourceVersion);
        Assert.True(mirror.History.Count <= 512);
    }

    [Fact]
    public void ReadAfter_LostDeletion_Expires()
    {
        (ClusterMirror mirror, KindTable pods) = New(changes: 256);
        HistoryCursor slow = mirror.History.ReadAfter(mirror.Clock.Now());
        Assert.Equal(HistoryRead.CaughtUp, slow.TryRead(out _));
        for (int i = 0; i < 600; i++)
        {
            pods.Apply(WatchChange.Added, SampleObjects.Pod("a", "web", i, 2 * i + 1));
            pods.Apply(WatchChange.Deleted, SampleObjects.Pod("a", "web", i, 2 * i + 2));
        }

        while (slow.TryRead(out _) is HistoryRead.Change)
        {
        }

        Assert.Equal(HistoryRead.Expired, slow.TryRead(out _));
        Assert.Equal(HistoryRead.Expired, mirror.History.ReadAfter(mirror.History.OldestStamp - 1).TryRead(out _));
        Drain(mirror.History.ReadAfter(mirror.History.OldestStamp), HistoryRead.CaughtUp);
    }

    [Fact]
    public void ReadAfter_OlderThanARestartedMirror_Expires()
    {
        var clock = new FleetClock(_time);
        long before = clock.Now();
        clock.Tick();
        var mirror = new ClusterMirror("c", clock, _time, new MirrorBounds());
        Assert.Equal(HistoryRead.Expired, mirror.History.ReadAfter(before).TryRead(out _));
    }

    [Fact]
    public void Recreated_InWatchOrList_ShowsAsDeletionAndAddition()
    {
        (ClusterMirror mirror, KindTable pods) = New();
        pods.Apply(WatchChange.Added, SampleObjects.Pod("a", "web", 1, 1));
        pods.Apply(WatchChange.Modified, SampleObjects.Pod("a", "web", 2, 2));
        Relist(pods, [SampleObjects.Pod("a", "web", 3, 3)]);
        pods.Apply(WatchChange.Deleted, SampleObjects.Pod("a", "web", 2, 4));   // late news of an object that is gone already

        Assert.Equal(
            [WatchChange.Added, WatchChange.Deleted, WatchChange.Added, WatchChange.Deleted, WatchChange.Added],
            Drain(mirror.History.ReadAfter(0), HistoryRead.CaughtUp).Select(static c => c.Type));
    }

    [Fact]
    public async Task Wait_ChangeOrFreeze_WakesEveryReader()
    {
        (ClusterMirror mirror, KindTable pods) = New();
        HistoryCursor[] readers = [.. Enumerable.Range(0, 20).Select(_ => mirror.History.ReadAfter(0))];
        Task[] waits = [.. readers.Select(static r => { r.TryRead(out _); return r.WaitAsync(CancellationToken.None).AsTask(); })];
        Assert.All(waits, static w => Assert.False(w.IsCompleted));
        pods.Apply(WatchChange.Added, SampleObjects.Pod("a", "web", 1, 1));
        await Task.WhenAll(waits).WaitAsync(Deadline);
        Assert.All(readers, static r => Assert.Equal(HistoryRead.Change, r.TryRead(out _)));

        waits = [.. readers.Select(static r => r.WaitAsync(CancellationToken.None).AsTask())];
        mirror.Freeze();
        await Task.WhenAll(waits).WaitAsync(Deadline);
        Assert.All(readers, static r => Assert.Equal(HistoryRead.Ended, r.TryRead(out _)));
        pods.Apply(WatchChange.Deleted, SampleObjects.Pod("a", "web", 1, 2));
        Assert.Equal(1, pods.Snapshot.Count);
    }

    [Fact]
    public void Bookmark_AtTheEnd_LiesBelowEveryLaterChange()
    {
        (ClusterMirror mirror, KindTable pods) = New();
        HistoryCursor reader = mirror.History.ReadAfter(0);
        Assert.Equal(HistoryRead.CaughtUp, reader.TryRead(out _));
        Assert.True(reader.TryBookmark(out long revision));
        pods.Apply(WatchChange.Added, SampleObjects.Pod("a", "web", 1, 1));
        Assert.False(reader.TryBookmark(out _));
        Assert.Equal(HistoryRead.Change, reader.TryRead(out Change? change));
        Assert.True(change!.Stamp > revision);
    }

    [Fact]
    public void RemoveKind_Rows_ComeOutAsDeletions()
    {
        (ClusterMirror mirror, KindTable pods) = New();
        Relist(pods, Enumerable.Range(0, 5).Select(static i => SampleObjects.Pod("a", $"w-{i}", i, i + 1)));
        Assert.True(mirror.RemoveKind("pods"));
        Assert.Equal(5, Drain(mirror.History.ReadAfter(0), HistoryRead.CaughtUp).Count(static c => c.Type == WatchChange.Deleted));
        Assert.Equal((0, 0), (mirror.ObjectCount, mirror.RetainedBytes));
    }

    [Fact]
    public void Replay_AnyBoundAndAnyStart_EndsAtThePresentOrExpires() => Prop.ForAll<int>(seed =>
    {
        var random = new Random(seed);
        (ClusterMirror mirror, KindTable pods) = New(random.Next(256, 400), random.Next(100_000, 400_000));
        var alive = new Dictionary<string, (int Uid, long Version)>(StringComparer.Ordinal);
        List<(long Stamp, Dictionary<string, string> State)> starts = [];
        for (int step = 1; step < 900; step++)
        {
            string name = $"w-{random.Next(30)}";
            if (random.Next(4) == 0 && alive.Remove(name, out var gone))
            {
                pods.Apply(WatchChange.Deleted, SampleObjects.Pod("a", name, gone.Uid, step));
            }
            else
            {
                alive[name] = (alive.TryGetValue(name, out var known) ? known.Uid : step, step);
                pods.Apply(WatchChange.Modified, SampleObjects.Pod("a", name, alive[name].Uid, step));
            }

            if (random.Next(60) == 0)
            {
                starts.Add((mirror.Clock.Now(), Shown(pods)));
            }
        }

        foreach ((long stamp, Dictionary<string, string> state) in starts)
        {
            HistoryCursor cursor = mirror.History.ReadAfter(stamp);
            HistoryRead read;
            while ((read = cursor.TryRead(out Change? change)) == HistoryRead.Change)
            {
                state.Remove(change!.Row.Name);
                if (change.New is { } row)
                {
                    state[row.Name] = row.ResourceVersion;
                }
            }

            if (read == HistoryRead.Expired)
            {
                Assert.True(stamp < mirror.History.OldestStamp);
            }
            else
            {
                Assert.Equal(Shown(pods).OrderBy(static s => s.Key, StringComparer.Ordinal), state.OrderBy(static s => s.Key, StringComparer.Ordinal));
            }
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(15));

    [Fact]
    public async Task Reading_WhileWriting_SeesEveryChangeOnceAndWholeSnapshots()
    {
        (ClusterMirror mirror, KindTable pods) = New(changes: 1_000_000);
        const int Events = 6000;
        using var writing = new CancellationTokenSource();
        Task[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
        {
            HistoryCursor cursor = mirror.History.ReadAfter(0);
            long last = 0;
            for (int seen = 0; seen < Events; seen++)
            {
                while (cursor.TryRead(out Change? change) is var read && read != HistoryRead.Change)
                {
                    Assert.Equal(HistoryRead.CaughtUp, read);
                    await cursor.WaitAsync(CancellationToken.None);
                    change = null;
                }

                Assert.True(cursor.Stamp > last);
                last = cursor.Stamp;
            }
        }))];
        Task lister = Task.Run(() =>
        {
            while (!writing.IsCancellationRequested)
            {
                long revision = mirror.Clock.Now();
                MirrorSnapshot snapshot = pods.Snapshot;
                int count = 0;
                foreach (MirrorRow row in snapshot.All())
                {
                    Assert.StartsWith("{\"kind\":\"Pod\"", Encoding.UTF8.GetString(row.ToJson()), StringComparison.Ordinal);
                    count++;
                }

                Assert.Equal(snapshot.Count, count);
                HistoryCursor behind = mirror.History.ReadAfter(revision);
                if (behind.TryRead(out Change? change) == HistoryRead.Change)
                {
                    Assert.True(change!.Stamp > revision);
                }
            }
        });
        for (int i = 0; i < Events; i++)
        {
            pods.Apply(WatchChange.Modified, SampleObjects.Pod("a", $"web-{i % 300}", i % 300, i + 1));
        }

        await Task.WhenAll(readers).WaitAsync(Deadline);
        await writing.CancelAsync();
        await lister.WaitAsync(Deadline);
    }

    [Fact]
    public void Budget_Reached_KeepsWhatIsThereAndSaysWhy()
    {
        var mirror = new ClusterMirror("c", new FleetClock(_time), _time, new MirrorBounds { ByteBudget = 40_000 });
        KindTable pods = mirror.AddKind(SampleObjects.Pods);
        Relist(pods, Enumerable.Range(0, 20).Select(static i => SampleObjects.Pod("a", $"w-{i:d3}", i, i + 1)));
        Assert.Throws<FormatException>(() => Relist(pods, Enumerable.Range(0, 2000).Select(static i => SampleObjects.Pod("a", $"w-{i:d4}", i, i + 1))));
        pods.AbortReplace();
        Assert.Equal(20, pods.Snapshot.Count);
        Assert.Contains("40,000 bytes", pods.OutOfSyncReason, StringComparison.Ordinal);
        Relist(pods, [SampleObjects.Pod("a", "w-1", 1, 1)]);
        Assert.Null(pods.OutOfSyncReason);
    }

    private (ClusterMirror Mirror, KindTable Pods) New(int changes = 20_000, long bytes = 16 << 20)
    {
        var mirror = new ClusterMirror(
            "c", new FleetClock(_time), _time, new MirrorBounds { HistoryChanges = changes, HistoryBytes = bytes }, hasJustJoined: true);
        return (mirror, mirror.AddKind(SampleObjects.Pods));
    }

    private static void Relist(KindTable table, IEnumerable<byte[]> items)
    {
        table.BeginReplace();
        foreach (byte[] item in items)
        {
            table.Replace(item);
        }

        table.EndReplace("1");
    }

    private static Dictionary<string, string> Shown(KindTable table) =>
        table.Snapshot.AsEnumerable().ToDictionary(static r => r.Name, static r => r.ResourceVersion, StringComparer.Ordinal);

    private static List<Change> Drain(HistoryCursor cursor, HistoryRead end)
    {
        List<Change> changes = [];
        HistoryRead read;
        while ((read = cursor.TryRead(out Change? change)) == HistoryRead.Change)
        {
            changes.Add(change!);
        }

        Assert.Equal(end, read);
        return changes;
    }
}
