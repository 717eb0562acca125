namespace MultiCluster.Simulator.Storage;

/// <summary>The objects of one resource at one moment, in key order. Immutable: a change shares all but one chunk.</summary>
/// <remarks>
/// A list holds on to one of these and streams it without any lock, whatever is written meanwhile. A write copies one chunk
/// and the array of chunks, some 5 KB at a hundred thousand objects.
/// </remarks>
internal sealed class OrderedObjects
{
    // Splitting at 512 keeps the copied chunk and the array of chunks about equally small at 100,000 objects.
    private const int MaxChunk = 512;

    public static readonly OrderedObjects Empty = new([], 0);

    private readonly StoredObject[][] _chunks;

    private OrderedObjects(StoredObject[][] chunks, int count) => (_chunks, Count) = (chunks, count);

    public int Count { get; }

    /// <summary>Makes one from objects that are already in key order and have distinct keys.</summary>
    public static OrderedObjects FromSorted(IReadOnlyList<StoredObject> sorted)
    {
        var chunks = new List<StoredObject[]>();
        for (int at = 0; at < sorted.Count; at += MaxChunk / 2)
        {
            chunks.Add([.. sorted.Skip(at).Take(MaxChunk / 2)]);
        }

        return new OrderedObjects([.. chunks], sorted.Count);
    }

    public StoredObject? Find(string ns, string name)
    {
        (int chunk, int index, bool found) = Locate(ns, name);
        return found ? _chunks[chunk][index] : null;
    }

    /// <summary>The same with one object added or replaced.</summary>
    public OrderedObjects With(StoredObject obj)
    {
        if (_chunks.Length == 0)
        {
            return new OrderedObjects([[obj]], 1);
        }

        (int at, int index, bool found) = Locate(obj.Namespace, obj.Name);
        if (at == _chunks.Length)
        {
            at--;
            index = _chunks[at].Length;
        }

        StoredObject[] chunk = _chunks[at];
        StoredObject[] changed = found ? [.. chunk] : [.. chunk.AsSpan(0, index), obj, .. chunk.AsSpan(index)];
        changed[index] = obj;
        int count = found ? Count : Count + 1;
        StoredObject[][] chunks = changed.Length <= MaxChunk
            ? [.. _chunks.AsSpan(0, at), changed, .. _chunks.AsSpan(at + 1)]
            : [.. _chunks.AsSpan(0, at), changed[..(MaxChunk / 2)], changed[(MaxChunk / 2)..], .. _chunks.AsSpan(at + 1)];
        return new OrderedObjects(chunks, count);
    }

    /// <summary>The same without one object.</summary>
    public OrderedObjects Without(string ns, string name)
    {
        (int at, int index, bool found) = Locate(ns, name);
        if (!found)
        {
            return this;
        }

        StoredObject[] chunk = _chunks[at];
        StoredObject[][] chunks = chunk.Length == 1
            ? [.. _chunks.AsSpan(0, at), .. _chunks.AsSpan(at + 1)]
            : [.. _chunks.AsSpan(0, at), [.. chunk.AsSpan(0, index), .. chunk.AsSpan(index + 1)], .. _chunks.AsSpan(at + 1)];
        return new OrderedObjects(chunks, Count - 1);
    }

    /// <summary>The objects in order, all of them or of one namespace, beginning at or after a key.</summary>
    /// <param name="ns">Only this namespace; null for everything.</param>
    /// <param name="fromNs">Namespace of the first key.</param>
    /// <param name="fromName">Name of the first key; that key itself is included.</param>
    public IEnumerable<StoredObject> Range(string? ns, string fromNs = "", string fromName = "")
    {
        (int chunk, int index) = Start(ns, fromNs, fromName);
        for (; chunk < _chunks.Length; chunk++, index = 0)
        {
            StoredObject[] current = _chunks[chunk];
            for (; index < current.Length; index++)
            {
                if (ns is not null && current[index].Namespace != ns)
                {
                    yield break;
                }

                yield return current[index];
            }
        }
    }

    /// <summary>How many objects <see cref="Range"/> would yield.</summary>
    public int CountRange(string? ns, string fromNs = "", string fromName = "")
    {
        (int chunk, int index) = Start(ns, fromNs, fromName);
        int begin = Rank(chunk, index);
        if (ns is null)
        {
            return Count - begin;
        }

        // '0' is the character after '/': the first key behind everything in the namespace.
        (int endChunk, int endIndex, _) = LocateAfter(ns);
        return Math.Max(0, Rank(endChunk, endIndex) - begin);
    }

    private (int Chunk, int Index) Start(string? ns, string fromNs, string fromName)
    {
        if (ns is not null && StoredObject.CompareKeys(fromNs, fromName, ns, "") < 0)
        {
            (fromNs, fromName) = (ns, "");
        }

        (int chunk, int index, _) = Locate(fromNs, fromName);
        return (chunk, index);
    }

    private int Rank(int chunk, int index)
    {
        int rank = index;
        for (int i = 0; i < chunk; i++)
        {
            rank += _chunks[i].Length;
        }

        return rank;
    }

    private (int Chunk, int Index, bool Found) Locate(string ns, string name) =>
        Locate(o => StoredObject.CompareKeys(o.Namespace, o.Name, ns, name));

    private (int Chunk, int Index, bool Found) LocateAfter(string ns) =>
        Locate(o => o.Namespace == ns ? -1 : StoredObject.CompareKeys(o.Namespace, o.Name, ns, ""));

    /// <summary>Finds the first object that compares as equal or greater.</summary>
    private (int Chunk, int Index, bool Found) Locate(Func<StoredObject, int> compare)
    {
        int low = 0;
        int high = _chunks.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (compare(_chunks[middle][^1]) < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        if (low == _chunks.Length)
        {
            return (low, 0, false);
        }

        StoredObject[] chunk = _chunks[low];
        int first = 0;
        int last = chunk.Length;
        while (first < last)
        {
            int middle = (first + last) / 2;
            if (compare(chunk[middle]) < 0)
            {
                first = middle + 1;
            }
            else
            {
                last = middle;
            }
        }

        return (low, first, compare(chunk[first]) == 0);
    }
}
