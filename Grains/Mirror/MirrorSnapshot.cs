using System.Buffers;
using System.Text;

namespace MultiCluster.Grains.Mirror;

/// <summary>The objects of one kind of one cluster at one moment. Never changes; safe from any thread; cheap to take and to keep.</summary>
/// <remarks>
/// Enumerations go in the API server's order: byte order of <c>namespace/name</c>, so that <c>a-b/x</c> comes before <c>a/x</c>.
/// A snapshot that is kept holds the rows it shows; drop it when the answer is written.
/// </remarks>
internal sealed class MirrorSnapshot
{
    private readonly RowTree _rows;

    internal MirrorSnapshot(RowTree rows, MirrorTotals totals)
    {
        _rows = rows;
        Totals = totals;
    }

    /// <summary>A snapshot without objects.</summary>
    public static MirrorSnapshot Empty { get; } = new(RowTree.Empty, MirrorTotals.Empty);

    public int Count => _rows.Count;

    /// <summary>Sums over all rows.</summary>
    public MirrorTotals Totals { get; }

    internal RowTree Rows => _rows;

    /// <summary>One object, or null. For cluster-scoped kinds the namespace is empty.</summary>
    public MirrorRow? Get(string ns, string name)
    {
        Span<byte> scratch = stackalloc byte[MirrorKey.MaxStackLength];
        return _rows.Find(MirrorKey.Write(ns, name, scratch));
    }

    /// <summary>All objects.</summary>
    public RowCursor All(IndexTerm? term = null) => _rows.From([], term);

    /// <summary>All objects behind a place that need not exist any more; the way to go on with a list.</summary>
    public RowCursor After(string ns, string name, IndexTerm? term = null)
    {
        Span<byte> scratch = stackalloc byte[MirrorKey.MaxStackLength];
        return _rows.From(MirrorKey.Write(ns, name, scratch), term);
    }

    /// <summary>All objects of a namespace, behind <paramref name="afterName"/> when it is given.</summary>
    public IEnumerable<MirrorRow> InNamespace(string ns, string? afterName = null, IndexTerm? term = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(ns);
        RowCursor cursor = OpenNamespace(ns, afterName, term);
        while (cursor.MoveNext() && cursor.Current.Namespace == ns)
        {
            yield return cursor.Current;
        }
    }

    /// <summary>How many objects lie behind a place in the order.</summary>
    public int CountAfter(string ns, string name)
    {
        Span<byte> scratch = stackalloc byte[MirrorKey.MaxStackLength];
        return Count - _rows.CountThrough(MirrorKey.Write(ns, name, scratch));
    }

    /// <summary>How many objects a namespace has.</summary>
    public int CountInNamespace(string ns)
    {
        // '0' is the byte behind '/', so every key of the namespace lies between "ns/" and "ns0", and neither is a key itself.
        byte[] bound = Encoding.UTF8.GetBytes(ns + "/");
        int before = _rows.CountThrough(bound);
        bound[^1]++;
        return _rows.CountThrough(bound) - before;
    }

    /// <summary>The object with this uid, or null.</summary>
    public MirrorRow? FindByUid(ObjectUid uid)
    {
        RowCursor cursor = All(IndexTerm.Uid(uid));
        return cursor.MoveNext() ? cursor.Current : null;
    }

    /// <summary>Sequence over <see cref="All"/>, for queries that compose.</summary>
    public IEnumerable<MirrorRow> AsEnumerable(IndexTerm? term = null)
    {
        RowCursor cursor = All(term);
        while (cursor.MoveNext())
        {
            yield return cursor.Current;
        }
    }

    private RowCursor OpenNamespace(string ns, string? afterName, IndexTerm? term)
    {
        Span<byte> scratch = stackalloc byte[MirrorKey.MaxStackLength];
        return _rows.From(MirrorKey.Write(ns, afterName ?? "", scratch), term);
    }
}

/// <summary>The bytes by which rows are ordered.</summary>
internal static class MirrorKey
{
    /// <summary>Longest key that fits the scratch of callers; names have at most 253 characters, longer ones take the heap.</summary>
    public const int MaxStackLength = 384;

    /// <summary>Writes <c>ns/name</c>, or the name alone when there is no namespace.</summary>
    public static ReadOnlySpan<byte> Write(string ns, string name, Span<byte> scratch)
    {
        string text = ns.Length == 0 ? name : $"{ns}/{name}";
        return Encoding.UTF8.TryGetBytes(text, scratch, out int length) ? scratch[..length] : Encoding.UTF8.GetBytes(text);
    }

    /// <summary>Writes <c>ns/name</c>, or the name alone when there is no namespace.</summary>
    public static int Write(ReadOnlySpan<byte> ns, ReadOnlySpan<byte> name, Span<byte> destination)
    {
        if (ns.IsEmpty)
        {
            name.CopyTo(destination);
            return name.Length;
        }

        ns.CopyTo(destination);
        destination[ns.Length] = (byte)'/';
        name.CopyTo(destination[(ns.Length + 1)..]);
        return ns.Length + 1 + name.Length;
    }
}
