using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;
using MultiCluster.Grains.Mirror;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Counts rows by up to three of their properties, in a bounded number of groups. Not thread-safe.</summary>
internal sealed class GroupCounter(string cluster, ImmutableArray<GroupBy> by, int maxGroups)
{
    // As filters and answers write them, so that a group can be given back as a filter.
    private static readonly Dictionary<MultiCluster.Reads.ReadinessState, string> ReadinessTexts =
        Enum.GetValues<MultiCluster.Reads.ReadinessState>().ToDictionary(s => s, s => JsonNamingPolicy.SnakeCaseLower.ConvertName(s.ToString()));

    private readonly Dictionary<GroupKey, long> _groups = [];
    private readonly List<GroupKey> _keys = [];
    private long _other;

    /// <summary>Objects counted.</summary>
    public long Total { get; private set; }

    /// <summary>Counts objects that differ in nothing that matters.</summary>
    public void Add(long count)
    {
        Total += count;
        if (count > 0)
        {
            Put(new GroupKey(by.Length > 0 ? cluster : "", "", ""), count);
        }
    }

    /// <summary>Counts a row, once for every combination of its values.</summary>
    public void Add(MirrorRow row)
    {
        Total++;
        _keys.Clear();
        _keys.Add(default);
        for (int level = 0; level < by.Length; level++)
        {
            if (by[level] == GroupBy.Image && row.Family.Images.Length > 1)
            {
                Multiply(level, row.Family.Images);
                continue;
            }

            string value = ValueOf(row, by[level]);
            for (int i = 0; i < _keys.Count; i++)
            {
                _keys[i] = _keys[i].With(level, value);
            }
        }

        foreach (GroupKey key in _keys)
        {
            Put(key, 1);
        }
    }

    /// <summary>The answer.</summary>
    public ClusterCounts ToCounts(ClusterCoverage coverage) => new()
    {
        Coverage = coverage,
        Groups = by.IsEmpty ? [] : [.. _groups.Select(g => new GroupCount(g.Key.Values(by.Length), g.Value))],
        Other = _other,
        Total = Total,
    };

    private void Multiply(int level, ImmutableArray<string> images)
    {
        int before = _keys.Count;
        for (int i = 0; i < before; i++)
        {
            foreach (string image in images.Distinct(StringComparer.Ordinal))
            {
                _keys.Add(_keys[i].With(level, image));
            }
        }

        _keys.RemoveRange(0, before);
    }

    private void Put(GroupKey key, long count)
    {
        if (_groups.Count >= maxGroups && !_groups.ContainsKey(key))
        {
            _other += count;
            return;
        }

        CollectionsMarshal.GetValueRefOrAddDefault(_groups, key, out _) += count;
    }

    private string ValueOf(MirrorRow row, GroupBy what) => what switch
    {
        GroupBy.Cluster => cluster,
        GroupBy.Namespace => row.Namespace,
        GroupBy.Phase => row.Status.Phase,
        GroupBy.Node => row.NodeName,
        GroupBy.Image => row.Family.Images is [var only] ? only : "",
        GroupBy.Readiness => ReadinessTexts[RowReading.StateOf(row)],
        _ => "",
    };

    private readonly record struct GroupKey(string First, string Second, string Third)
    {
        public GroupKey With(int level, string value) => level switch
        {
            0 => this with { First = value },
            1 => this with { Second = value },
            _ => this with { Third = value },
        };

        public ImmutableArray<string> Values(int count) => count switch
        {
            1 => [First],
            2 => [First, Second],
            _ => [First, Second, Third],
        };
    }
}
