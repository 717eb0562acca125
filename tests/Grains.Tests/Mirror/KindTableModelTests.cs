using System.Text;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Fleet;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.TestSupport;

namespace MultiCluster.Grains.Tests.Mirror;

/// <summary>Random lists and events against a sorted dictionary, with snapshots that must not change and a history that must replay.</summary>
public sealed class KindTableModelTests
{
    [Fact]
    public void Table_RandomListsAndEvents_AgreesWithModel() => Prop.ForAll<int>(seed => Run(seed, 60, 40))
        .Check(Config.QuickThrowOnFailure.WithMaxTest(60));

    [Fact]
    public void Table_ThousandsOfObjects_AgreesWithModel() => Run(4711, 6000, 6000);

    private static void Run(int seed, int steps, int names)
    {
        var random = new Random(seed);
        var time = new ManualTimeProvider();
        var mirror = new ClusterMirror("c", new FleetClock(time), time, new MirrorBounds { HistoryChanges = 10_000_000 }, hasJustJoined: true);
        KindTable table = mirror.AddKind(SampleObjects.Pods);
        var model = new SortedDictionary<string, (int Uid, long Version, string Phase, string Node, string Owner)>(StringComparer.Ordinal);
        var kept = new List<(MirrorSnapshot Snapshot, string[] Rows)>();
        long version = 100;
        int uids = 0;
        for (int step = 0; step < steps; step++)
        {
            int kind = random.Next(names > 1000 ? 400 : 12);
            if (kind == 0)
            {
                Relist();
            }
            else if (kind < (names > 1000 ? 100 : 4) && model.Count > 0)
            {
                string key = model.Keys.ElementAt(random.Next(Math.Min(model.Count, 100)));
                table.Apply(WatchChange.Deleted, Pod(key));
                model.Remove(key);
            }
            else
            {
                string key = Key();
                model[key] = Changed(model.TryGetValue(key, out var known) ? known : default);
                table.Apply(random.Next(2) == 0 ? WatchChange.Added : WatchChange.Modified, Pod(key));
            }

            if (random.Next(steps / 8 + 1) == 0)
            {
                AssertSame();
                kept.Add((table.Snapshot, Shown(table.Snapshot)));
            }
        }

        AssertSame();
        foreach ((MirrorSnapshot snapshot, string[] rows) in kept)
        {
            Assert.Equal(rows, Shown(snapshot));
        }

        AssertReplays();

        string Key() => $"{"a-b a b ns.1".Split(' ')[random.Next(4)]}/web-{random.Next(names)}";

        (int, long, string, string, string) Changed((int Uid, long Version, string, string, string) known) => (
            known.Uid == 0 || random.Next(10) == 0 ? ++uids : known.Uid, ++version, random.Next(3) == 0 ? "Pending" : "Running",
            $"node-{random.Next(5)}", random.Next(2) == 0 ? "web" : "worker");

        byte[] Pod(string key)
        {
            string[] parts = key.Split('/');
            (int uid, long revision, string phase, string node, string owner) = model[key];
            return SampleObjects.Pod(parts[0], parts[1], uid, revision, phase, node, owner);
        }

        void Relist()
        {
            foreach (string key in model.Keys.ToArray())
            {
                if (random.Next(6) == 0)
                {
                    model.Remove(key);
                }
                else if (random.Next(6) == 0)
                {
                    model[key] = Changed(model[key]);
                }
            }

            for (int i = random.Next(names / 2); i > 0; i--)
            {
                model.TryAdd(Key(), Changed(default));
            }

            string[] keys = [.. model.Keys];
            if (random.Next(2) == 0)
            {
                random.Shuffle(keys);
            }

            string[] before = Shown(table.Snapshot);
            table.BeginReplace();
            foreach (string key in keys)
            {
                table.Replace(Pod(key));
            }

            Assert.Equal(before, Shown(table.Snapshot));
            table.EndReplace("1");
        }

        void AssertSame()
        {
            MirrorSnapshot snapshot = table.Snapshot;
            Assert.Equal(model.Count, snapshot.Count);
            Assert.Equal(model.Keys.Select(key => SampleObjects.Stored(Pod(key))), Shown(snapshot));
            Assert.Equal(model.Values.Count(static v => v.Phase == "Running"), snapshot.Totals.ByPhase.GetValueOrDefault("Running"));
            Assert.Equal(model.Count * 100L, snapshot.Totals.Requested.CpuMilli);
            foreach (string ns in (string[])["a", "a-b", "ns.1", "none"])
            {
                string[] expected = [.. model.Keys.Where(k => k.StartsWith(ns + "/", StringComparison.Ordinal))];
                Assert.Equal(expected, snapshot.InNamespace(ns).Select(static r => Encoding.UTF8.GetString(r.Key)));
                Assert.Equal(expected.Length, snapshot.CountInNamespace(ns));
            }

            string[] onNode = [.. model.Where(static m => m.Value.Node == "node-3").Select(static m => m.Key)];
            Assert.Equal(onNode, snapshot.AsEnumerable(IndexTerm.Node("node-3")).Select(static r => Encoding.UTF8.GetString(r.Key)));
            Assert.Equal(model.Values.Count(static v => v.Owner == "web"), snapshot.AsEnumerable(IndexTerm.Label("app", "web")).Count());
            string place = Key();
            string[] behind = [.. model.Keys.Where(k => string.CompareOrdinal(k, place) > 0)];
            RowCursor cursor = snapshot.After(place.Split('/')[0], place.Split('/')[1]);
            Assert.Equal(behind.Length, snapshot.CountAfter(place.Split('/')[0], place.Split('/')[1]));
            Assert.Equal(behind.Length > 0, cursor.MoveNext());
            if (behind.Length > 0)
            {
                Assert.Equal(behind[0], Encoding.UTF8.GetString(cursor.Current.Key));
            }

            foreach ((string key, var state) in model.Take(5))
            {
                Assert.Equal(key, Encoding.UTF8.GetString(snapshot.FindByUid(ObjectUid.From(SampleObjects.Uid(state.Uid)))!.Key));
                Assert.Contains(key, snapshot.AsEnumerable(IndexTerm.Name(key.Split('/')[1])).Select(static r => Encoding.UTF8.GetString(r.Key)));
            }
        }

        void AssertReplays()
        {
            var replayed = new SortedDictionary<string, MirrorRow>(StringComparer.Ordinal);
            HistoryCursor cursor = mirror.History.ReadAfter(0);
            long last = 0;
            while (cursor.TryRead(out Change? change) == HistoryRead.Change)
            {
                Assert.True(change!.Stamp > last);
                last = change.Stamp;
                string key = Encoding.UTF8.GetString(change.Row.Key);
                Assert.Same(change.Old, change.Type == WatchChange.Added ? null : replayed[key]);
                replayed.Remove(key);
                if (change.New is { } row)
                {
                    Assert.Equal(change.Stamp, row.Stamp);
                    replayed[key] = row;
                }
            }

            Assert.Equal(table.Snapshot.AsEnumerable(), replayed.Values);
        }
    }

    private static string[] Shown(MirrorSnapshot snapshot) => [.. snapshot.AsEnumerable().Select(static r => Encoding.UTF8.GetString(r.ToJson()))];
}
