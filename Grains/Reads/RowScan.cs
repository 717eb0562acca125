using MultiCluster.Grains.Mirror;

namespace MultiCluster.Grains.Reads;

/// <summary>Walks the rows of one snapshot that a query finds, in list order, touching as few others as the indexes allow.</summary>
internal static class RowScan
{
    // A look at the token costs nothing beside 64 rows.
    private const int RowsBetweenChecks = 64;

    // Above this many single look-ups one walk over the namespace is cheaper.
    private const int MaxLookups = 256;

    /// <summary>All rows that match by their columns and their owner, behind a key where one is given.</summary>
    public static IEnumerable<MirrorRow> Candidates(
        MirrorSnapshot snapshot,
        CompiledQuery query,
        OwnerScope? owner,
        (string Namespace, string Name)? after,
        DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        int untilCheck = RowsBetweenChecks;
        foreach (MirrorRow row in Reachable(snapshot, query, owner?.Term ?? query.Term, after))
        {
            if (--untilCheck == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                untilCheck = RowsBetweenChecks;
            }

            if (query.MatchesRow(row, now) && (owner is null || owner.Matches(row)))
            {
                yield return row;
            }
        }
    }

    private static IEnumerable<MirrorRow> Reachable(
        MirrorSnapshot snapshot, CompiledQuery query, IndexTerm? term, (string Namespace, string Name)? after)
    {
        if (query.ExactNames.Count > 0 && (query.Namespaces.Length > 0 || !query.Type.Namespaced)
            && query.ExactNames.Count * Math.Max(1, query.Namespaces.Length) <= MaxLookups)
        {
            return ByKeys(snapshot, query, after);
        }

        if (query.Namespaces.IsEmpty)
        {
            return All(after is { } start ? snapshot.After(start.Namespace, start.Name, term) : snapshot.All(term));
        }

        return ByNamespaces(snapshot, query, term, after);
    }

    private static IEnumerable<MirrorRow> All(RowCursor cursor)
    {
        while (cursor.MoveNext())
        {
            yield return cursor.Current;
        }
    }

    private static IEnumerable<MirrorRow> ByKeys(MirrorSnapshot snapshot, CompiledQuery query, (string Namespace, string Name)? after)
    {
        List<MirrorRow> found = [];
        foreach (string ns in query.Namespaces.IsEmpty ? [""] : query.Namespaces.AsEnumerable())
        {
            foreach (string name in query.ExactNames)
            {
                if (snapshot.Get(ns, name) is { } row)
                {
                    found.Add(row);
                }
            }
        }

        found.Sort(static (a, b) => a.Key.SequenceCompareTo(b.Key));
        foreach (MirrorRow row in found)
        {
            if (after is not { } start || IsBehind(row, start))
            {
                yield return row;
            }
        }
    }

    private static bool IsBehind(MirrorRow row, (string Namespace, string Name) start)
    {
        Span<byte> scratch = stackalloc byte[MirrorKey.MaxStackLength];
        return row.Key.SequenceCompareTo(MirrorKey.Write(start.Namespace, start.Name, scratch)) > 0;
    }

    private static IEnumerable<MirrorRow> ByNamespaces(
        MirrorSnapshot snapshot, CompiledQuery query, IndexTerm? term, (string Namespace, string Name)? after)
    {
        foreach (string ns in query.Namespaces)
        {
            int order = after is { } start ? string.CompareOrdinal(ns + "/", start.Namespace + "/") : 1;
            if (order < 0)
            {
                continue;
            }

            foreach (MirrorRow row in snapshot.InNamespace(ns, order == 0 ? after!.Value.Name : null, term))
            {
                yield return row;
            }
        }
    }
}
