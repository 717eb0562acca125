using System.Collections.Immutable;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Reads;
using MultiCluster.Grains.Mirror;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>Many simulated clusters and a fleet reader over them. What joins and leaves goes the way it goes in the fleet grain.</summary>
public sealed class SimulatedFleet : IDisposable
{
    private readonly Dictionary<string, SimulatedCluster> _clusters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ClusterEntry> _entries = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;
    private long _version;

    public SimulatedFleet(TimeProvider? time = null, int clusters = 0)
    {
        _time = time ?? TimeProvider.System;
        Clock = new FleetClock(_time);
        View = new FleetView((Func<IFleetGrain>)null!, Clock, _time, NullLogger<FleetView>.Instance);
        Reader = new FleetReader(name => _clusters[name], View, Clock, _time);
        View.Apply(new FleetChange { Version = ++_version, Whole = true, Through = Clock.Now() });
        for (int i = 0; i < clusters; i++)
        {
            Join($"c{i:d4}");
        }
    }

    public FleetClock Clock { get; }

    public FleetView View { get; }

    public FleetReader Reader { get; }

    internal MirrorBounds? Bounds { get; init; }

    /// <summary>Clusters that belong to the fleet, by name.</summary>
    public IEnumerable<SimulatedCluster> Members => _entries.Keys.Order(StringComparer.Ordinal).Select(name => _clusters[name]);

    public SimulatedCluster this[string name] => _clusters[name];

    public bool Has(string name) => _entries.ContainsKey(name);

    public ClusterEntry Entry(string name) => _entries[name];

    public SimulatedCluster Join(string name, string? tier = null, bool enabled = true, int unknownTo = 0)
    {
        var cluster = new SimulatedCluster(name, Clock, _time, Bounds) { UnknownTo = unknownTo };
        _clusters[name] = cluster;
        var entry = new ClusterEntry
        {
            Name = name,
            Uid = Guid.NewGuid(),
            JoinedAt = Clock.Tick(),
            Enabled = enabled,
            Summary = new ClusterSummary { Name = name, Phase = ClusterPhase.Online },
            Labels = tier is null ? ImmutableSortedDictionary<string, string>.Empty : ImmutableSortedDictionary<string, string>.Empty.Add("tier", tier),
        };
        Publish(entry);
        return cluster;
    }

    public void Change(string name, Func<ClusterEntry, ClusterEntry> change)
    {
        ClusterEntry entry = change(_entries[name]) with { SelectionChangedAt = Clock.Tick() };
        _clusters[name].Phase = entry.Enabled ? ClusterPhase.Online : ClusterPhase.Disabled;
        Publish(entry);
    }

    public void Report(string name, ClusterPhase phase, string silo = "", int syncing = 0) =>
        Publish(_entries[name] with { Summary = new ClusterSummary { Name = name, Phase = phase, Silo = silo, Kinds = 45, KindsSyncing = syncing } });

    public void Leave(string name)
    {
        ClusterEntry entry = _entries[name];
        _entries.Remove(name);
        _clusters[name].Mirror.Freeze();
        View.Apply(new FleetChange
        {
            Version = ++_version,
            Whole = false,
            Departures = [new Departure(name, entry.Uid, Clock.Tick())],
            Through = Clock.Now(),
        });
    }

    /// <summary>The fleet says how far it is, as it does every second.</summary>
    public void Progress() => View.Apply(new FleetChange { Version = _version, Whole = false, Through = Clock.Now() });

    /// <summary>Every page of a list, checked for order.</summary>
    public async Task<(List<FleetItem> Items, long Revision)> ListAllAsync(FleetQuery query, Action? betweenPages = null)
    {
        List<FleetItem> items = [];
        long revision = 0;
        string? token = null;
        do
        {
            FleetPage page = await Reader.ListAsync(query with { Continue = token }, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(60));
            Assert.True(page.Items.Length <= query.Limit);
            Assert.True(revision == 0 || revision == page.Revision);
            revision = page.Revision;
            items.AddRange(page.Items);
            token = page.Continue;
            Assert.True(token is null || (token.Length <= 512 && token.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '~')));
            betweenPages?.Invoke();
        }
        while (token is not null);

        Assert.Equal(items.Select(Key).Order(StringComparer.Ordinal), items.Select(Key));
        return (items, revision);
    }

    /// <summary>Cluster and key of an item, in list order.</summary>
    public static string Key(FleetItem item) => $"{item.Cluster}\n{(item.Row.Namespace.Length == 0 ? "" : item.Row.Namespace + "/")}{item.Row.Name}";

    public static string Text(FleetItem item) => Encoding.UTF8.GetString(item.Json.Span);

    public void Dispose()
    {
        foreach (SimulatedCluster cluster in _clusters.Values)
        {
            cluster.Dispose();
        }

        View.Dispose();
    }

    private void Publish(ClusterEntry entry)
    {
        _entries[entry.Name] = entry;
        View.Apply(new FleetChange { Version = ++_version, Whole = false, Clusters = [entry], Through = Clock.Now() });
    }
}
