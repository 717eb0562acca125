using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Gateway.Reads;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>A list and the watch from its revision, together, end at the state of the fleet, whatever happens meanwhile.</summary>
public sealed class FleetWatchProperties
{
    private static readonly ResourceType Maps = SimulatedCluster.ConfigMaps;
    private static readonly string[] Clusters = ["a", "b", "c", "d"];

    public enum Kind
    {
        Put, PutOther, Delete, Relist, Join, Leave, Break, Relabel, Toggle, Progress, Read, Reconnect, ListAnew, Owner,
    }

    public readonly record struct Step(Kind Kind, int Cluster, int Object);

    private static readonly Gen<Step> Steps =
        from kind in Gen.Frequency(
            (8, Gen.Elements(Kind.Put, Kind.PutOther, Kind.Delete, Kind.Owner)),
            (3, Gen.Elements(Kind.Read, Kind.Progress)),
            (2, Gen.Elements(Kind.Relist, Kind.Break, Kind.Reconnect)),
            (1, Gen.Elements(Kind.Join, Kind.Leave, Kind.Relabel, Kind.Toggle, Kind.ListAnew)))
        from cluster in Gen.Choose(0, Clusters.Length - 1)
        from thing in Gen.Choose(0, 5)
        select new Step(kind, cluster, thing);

    private static readonly (ObjectQuery Objects, ClusterSelection Clusters)[] Queries =
    [
        (new ObjectQuery { Kind = "configmaps" }, ClusterSelection.All),
        (new ObjectQuery { Kind = "cm", LabelSelector = "app=x" }, ClusterSelection.All),
        (new ObjectQuery { Kind = "cm", FieldSelector = "spec.size > 1" }, new ClusterSelection { LabelSelector = "tier=prod" }),
        (new ObjectQuery { Kind = "cm", Names = ["o1", "o?2"], Namespaces = ["n0"] }, new ClusterSelection { Names = ["a", "b"] }),
        (new ObjectQuery { Kind = "pods", Owner = new OwnerQuery { Kind = "deploy", Name = "web" } }, ClusterSelection.All),
    ];

    [Theory]
    [InlineData(0, 4096)]
    [InlineData(1, 4096)]
    [InlineData(2, 4096)]
    [InlineData(3, 4096)]
    [InlineData(4, 4096)]
    [InlineData(1, 256)]
    public void ListThenWatch_AnyChanges_EndsAtTheStateOfTheFleet(int query, int history) =>
        Prop.ForAll(Steps.ListOf().Resize(60).ToArbitrary(), steps => RunAsync(Queries[query], [.. steps], history).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(30).WithEndSize(60));

    private static async Task RunAsync((ObjectQuery Objects, ClusterSelection Clusters) query, Step[] steps, int history)
    {
        using var fleet = new SimulatedFleet(new FastTimeProvider(8)) { Bounds = new MirrorBounds { HistoryChanges = history } };
        foreach (string name in Clusters)
        {
            fleet.Join(name, "prod");
        }

        await using var client = new Informer(fleet, query.Objects, query.Clusters);
        foreach (Step step in steps)
        {
            await TakeAsync(fleet, client, step);
        }

        await client.CatchUpAsync();
        string[] expected = Expected(fleet, query.Objects, query.Clusters);
        string[] actual = client.State();
        Assert.True(expected.SequenceEqual(actual), $"Expected {string.Join(' ', expected)}\n but have {string.Join(' ', actual)}\n after {client.Log()}");
    }

    private static async Task TakeAsync(SimulatedFleet fleet, Informer client, Step step)
    {
        string name = Clusters[step.Cluster];
        SimulatedCluster? cluster = fleet.Has(name) ? fleet[name] : null;
        string ns = $"n{step.Object % 2}";
        switch (step.Kind)
        {
            case Kind.Put or Kind.PutOther:
                string app = step.Kind == Kind.Put ? "x" : "y";
                cluster?.Put(Maps, ns, $"o{step.Object}", $"\"app\":\"{app}\"", $$""","spec":{"size":{{(step.Kind == Kind.Put ? 2 : 1)}}}""");
                cluster?.Put(SimulatedCluster.Pods, "n", $"p{step.Object}", owner: ("apps/v1", "ReplicaSet", $"rs{step.Object % 2}", SetOf(step.Object % 2)));
                break;
            case Kind.Owner:
                if (step.Object < 2)
                {
                    cluster?.Delete(SimulatedCluster.ReplicaSets, "n", $"rs{step.Object % 2}");
                }
                else
                {
                    cluster?.Put(
                        SimulatedCluster.ReplicaSets, "n", $"rs{step.Object % 2}", uid: SetOf(step.Object % 2),
                        owner: ("apps/v1", "Deployment", step.Object < 5 ? "web" : "api", SetOf(9)));
                }

                break;
            case Kind.Delete:
                cluster?.Delete(Maps, ns, $"o{step.Object}");
                cluster?.Delete(SimulatedCluster.Pods, "n", $"p{step.Object}");
                break;
            case Kind.Relist:
                cluster?.Relist(Maps, Enumerable.Range(0, step.Object).Select(i => cluster.Json(Maps, $"n{i % 2}", $"o{i}", $"\"app\":\"{(i % 2 == 0 ? "x" : "y")}\"")));
                break;
            case Kind.Join when cluster is null:
                fleet.Join(name, step.Object % 2 == 0 ? "prod" : "test").Put(Maps, ns, $"o{step.Object}", "\"app\":\"x\"");
                break;
            case Kind.Leave when cluster is not null:
                fleet.Leave(name);
                break;
            case Kind.Break:
                cluster?.BreakStreams();
                break;
            case Kind.Relabel when cluster is not null:
                fleet.Change(name, e => e with { Labels = e.Labels.SetItem("tier", e.Labels["tier"] == "prod" ? "test" : "prod") });
                break;
            case Kind.Toggle when cluster is not null:
                fleet.Change(name, e => e with { Enabled = !e.Enabled });
                break;
            case Kind.Progress:
                fleet.Progress();
                break;
            case Kind.Read:
                await client.ReadSomeAsync();
                break;
            case Kind.Reconnect:
                await client.ReconnectAsync();
                break;
            case Kind.ListAnew:
                await client.RestartAsync();
                break;
        }
    }

    private static Guid SetOf(int number) => new(number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

    private static string[] Expected(SimulatedFleet fleet, ObjectQuery query, ClusterSelection clusters)
    {
        List<string> found = [];
        foreach (SimulatedCluster cluster in fleet.Members)
        {
            var entry = fleet.Entry(cluster.Name);
            if (!entry.Enabled || (clusters.LabelSelector is not null && entry.Labels["tier"] != "prod")
                || (!clusters.Names.IsEmpty && !clusters.Names.Contains(cluster.Name)))
            {
                continue;
            }

            // Written once more, in the plainest way, so that the reader is not its own judge.
            ResourceType type = query.Kind == "pods" ? SimulatedCluster.Pods : Maps;
            foreach (MirrorRow row in cluster.Table(type).Snapshot.AsEnumerable())
            {
                string json = System.Text.Encoding.UTF8.GetString(row.ToJson());
                bool isIn = (query.LabelSelector is null || json.Contains("\"app\":\"x\"", StringComparison.Ordinal))
                    && (query.FieldSelector is null || json.Contains("\"size\":2", StringComparison.Ordinal))
                    && (query.Names.IsEmpty || (row.Name == "o1" && row.Namespace == "n0"))
                    && (query.Owner is null || IsOwned(cluster, row));
                if (isIn)
                {
                    found.Add($"{cluster.Name}/{row.Namespace}/{row.Name}@{row.ResourceVersion}");
                }
            }
        }

        return [.. found.Order(StringComparer.Ordinal)];
    }

    private static bool IsOwned(SimulatedCluster cluster, MirrorRow pod) =>
        cluster.Table(SimulatedCluster.ReplicaSets).Snapshot.Get("n", pod.Family.Owners[0].Name) is { } set && set.Family.Owners.Any(o => o.Name == "web");

    /// <summary>What a client of the list-and-watch kind does: list, watch from its revision, go on from the last one, list again when told to.</summary>
    private sealed class Informer(SimulatedFleet fleet, ObjectQuery query, ClusterSelection clusters) : IAsyncDisposable
    {
        // On a clock that runs fast; a cluster that is late on a busy machine would be missing from the list for ever.
        private static readonly TimeSpan ListDeadline = TimeSpan.FromSeconds(60);

        private readonly Dictionary<string, string> _state = new(StringComparer.Ordinal);
        private readonly List<string> _log = [];
        private CancellationTokenSource _stop = new();
        private IAsyncEnumerator<FleetWatchBatch>? _watch;
        private Task<bool>? _next;
        private long _revision;

        public string[] State() => [.. _state.Select(s => $"{s.Key}@{s.Value}").Order(StringComparer.Ordinal)];

        public string Log() => string.Join(' ', _log);

        public async Task RestartAsync()
        {
            await CloseAsync();
            _state.Clear();
            _log.Add("LIST");
            ClusterSelection present = clusters with { Names = [.. clusters.Names.Where(fleet.Has)] };
            if (present.Names.Length < clusters.Names.Length && present.Names.IsEmpty)
            {
                _revision = fleet.View.Current.Through;   // nothing to list
                return;
            }

            (List<FleetItem> items, _revision) = await fleet.ListAllAsync(new FleetQuery { Objects = query, Clusters = present, Limit = 3, Deadline = ListDeadline });
            foreach (FleetItem item in items)
            {
                Set(item);
            }
        }

        public async Task ReconnectAsync()
        {
            _log.Add("RECONNECT");
            await CloseAsync();
        }

        /// <summary>Reads what is there, without waiting for more.</summary>
        public async Task ReadSomeAsync()
        {
            if (_revision == 0)
            {
                await RestartAsync();
            }

            Open();
            for (int i = 0; i < 5; i++)
            {
                _next ??= _watch!.MoveNextAsync().AsTask();
                if (await Task.WhenAny(_next, Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System)) != _next || !await TakeAsync())
                {
                    return;
                }
            }
        }

        /// <summary>Reads until everything that has happened up to now must have been seen.</summary>
        public async Task CatchUpAsync()
        {
            if (_revision == 0)
            {
                await RestartAsync();
            }

            long target = fleet.Clock.Tick();
            fleet.Progress();
            TimeSpan limit = TimeSpan.FromSeconds(60);
            long start = TimeProvider.System.GetTimestamp();
            while (_revision < target)
            {
                Assert.True(TimeProvider.System.GetElapsedTime(start) < limit, $"Not caught up: {target - _revision} missing after {Log()}");
                Open();

                // A change of a kind that nobody watches makes every cluster say how far it is, without the wait for its next progress message.
                foreach (SimulatedCluster cluster in fleet.Members)
                {
                    cluster.Put(SimulatedCluster.Nodes, "", "beat");
                }

                _next ??= _watch!.MoveNextAsync().AsTask();
                if (await Task.WhenAny(_next, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System)) == _next && !await TakeAsync() && _revision == 0)
                {
                    await RestartAsync();
                    target = fleet.Clock.Tick();
                    fleet.Progress();
                }
            }

            await CloseAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await CloseAsync();
            _stop.Dispose();
        }

        private void Open() => _watch ??= fleet.Reader
            .WatchAsync(
                new FleetWatchQuery { Objects = query, Clusters = clusters, Since = _revision.ToString(), BookmarkEvery = TimeSpan.FromSeconds(1) }, _stop.Token)
            .GetAsyncEnumerator(_stop.Token);

        private async Task CloseAsync()
        {
            if (_watch is null)
            {
                return;
            }

            await _stop.CancelAsync();
            try
            {
                if (_next is not null)
                {
                    await _next.WaitAsync(TimeSpan.FromSeconds(60));
                }
            }
            catch (OperationCanceledException)
            {
                // Asked for.
            }

            await _watch.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60));
            _stop = new CancellationTokenSource();
            _watch = null;
            _next = null;
        }

        /// <summary>Takes over the batch that has come. False where the watch ended with it.</summary>
        private async Task<bool> TakeAsync()
        {
            Assert.True(await _next!.WaitAsync(TimeSpan.FromSeconds(60)));
            _next = null;
            FleetWatchBatch batch = _watch!.Current;
            foreach (FleetEvent change in batch.Events)
            {
                _log.Add($"{change.Type.ToString()[0]}:{change.Item.Cluster}/{change.Item.Row.Name}");
                if (change.Type == ChangeType.Deleted)
                {
                    _state.Remove(KeyOf(change.Item));
                }
                else
                {
                    Set(change.Item);
                }
            }

            if (batch.End != FleetWatchEnd.None)
            {
                _log.Add($"END {batch.EndMessage}");
                await CloseAsync();
                await RestartAsync();
                return false;
            }

            Assert.True(batch.Revision > 0);
            _revision = batch.Revision;
            return true;
        }

        private void Set(FleetItem item)
        {
            using var json = System.Text.Json.JsonDocument.Parse(item.Json);
            _state[KeyOf(item)] = json.RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString()!;
        }

        private static string KeyOf(FleetItem item) => $"{item.Cluster}/{item.Row.Namespace}/{item.Row.Name}";
    }
}
