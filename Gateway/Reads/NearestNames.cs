namespace MultiCluster.Gateway.Reads;

/// <summary>Finds the names that somebody may have meant.</summary>
internal static class NearestNames
{
    private const int Most = 3;

    /// <summary>The end of a sentence that names at most three candidates; empty where none is near.</summary>
    public static string Suggest(string wrong, IEnumerable<string> known)
    {
        int reach = Math.Max(1, wrong.Length / 3);
        string[] near =
        [
            .. known.Distinct(StringComparer.Ordinal)
                .Select(name => (Name: name, Distance: Distance(wrong, name, reach)))
                .Where(n => n.Distance <= reach || n.Name.StartsWith(wrong, StringComparison.OrdinalIgnoreCase))
                .OrderBy(n => n.Distance).ThenBy(n => n.Name, StringComparer.Ordinal)
                .Take(Most)
                .Select(n => $"'{n.Name}'"),
        ];
        return near.Length == 0 ? "" : $" Did you mean {string.Join(" or ", near)}?";
    }

    /// <summary>Edits between the two without regard to case; one more than <paramref name="reach"/> where there are more.</summary>
    private static int Distance(string left, string right, int reach)
    {
        if (Math.Abs(left.Length - right.Length) > reach)
        {
            return reach + 1;
        }

        int[] before = [.. Enumerable.Range(0, right.Length + 1)];
        int[] row = new int[right.Length + 1];
        for (int i = 1; i <= left.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j <= right.Length; j++)
            {
                int change = char.ToLowerInvariant(left[i - 1]) == char.ToLowerInvariant(right[j - 1]) ? 0 : 1;
                row[j] = Math.Min(Math.Min(row[j - 1], before[j]) + 1, before[j - 1] + change);
            }

            (before, row) = (row, before);
        }

        return before[right.Length];
    }
}
