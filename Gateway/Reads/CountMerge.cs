using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>Adds up the counts of many clusters.</summary>
internal static class CountMerge
{
    public static FleetCounts Merge(IEnumerable<ClusterCounts> answers, ImmutableArray<ClusterCoverage> coverage)
    {
        var sums = new Dictionary<ImmutableArray<string>, long>(ValuesComparer.Instance);
        long other = 0;
        long total = 0;
        foreach (ClusterCounts answer in answers)
        {
            total += answer.Total;
            other += answer.Other;
            foreach (GroupCount group in answer.Groups)
            {
                CollectionsMarshal.GetValueRefOrAddDefault(sums, group.Values, out _) += group.Count;
            }
        }

        List<GroupCount> groups = [.. sums.Select(s => new GroupCount(s.Key, s.Value))];
        groups.Sort(static (a, b) => a.Count != b.Count ? b.Count.CompareTo(a.Count) : ValuesComparer.Compare(a.Values, b.Values));
        if (groups.Count > FleetCountQuery.MaxGroups)
        {
            other += groups.Skip(FleetCountQuery.MaxGroups).Sum(g => g.Count);
            groups.RemoveRange(FleetCountQuery.MaxGroups, groups.Count - FleetCountQuery.MaxGroups);
        }

        return new FleetCounts { Groups = [.. groups], Other = other, Total = total, Coverage = coverage };
    }

    private sealed class ValuesComparer : IEqualityComparer<ImmutableArray<string>>
    {
        public static readonly ValuesComparer Instance = new();

        public static int Compare(ImmutableArray<string> a, ImmutableArray<string> b)
        {
            for (int i = 0; i < a.Length && i < b.Length; i++)
            {
                int order = string.CompareOrdinal(a[i], b[i]);
                if (order != 0)
                {
                    return order;
                }
            }

            return a.Length.CompareTo(b.Length);
        }

        public bool Equals(ImmutableArray<string> a, ImmutableArray<string> b) => a.AsSpan().SequenceEqual(b.AsSpan());

        public int GetHashCode(ImmutableArray<string> values)
        {
            HashCode hash = default;
            foreach (string value in values)
            {
                hash.Add(value, StringComparer.Ordinal);
            }

            return hash.ToHashCode();
        }
    }
}
