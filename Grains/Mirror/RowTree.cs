using System.Runtime.CompilerServices;

namespace MultiCluster.Grains.Mirror;

/// <summary>An immutable ordered set of rows: a B+ tree whose changes copy the path to one leaf and share the rest.</summary>
/// <remarks>Ordered by the bytes of <see cref="MirrorRow.Key"/>, as the API server orders lists. All members are safe from any thread.</remarks>
internal sealed class RowTree
{
    internal const int LeafSize = 64;
    internal const int FanOut = 64;

    public static readonly RowTree Empty = new(null);

    private RowTree(RowNode? root) => Root = root;

    public int Count => Root?.RowCount ?? 0;

    internal RowNode? Root { get; }

    /// <summary>The row with this key, or null.</summary>
    public MirrorRow? Find(ReadOnlySpan<byte> key)
    {
        RowNode? node = Root;
        while (node is RowInner inner)
        {
            node = inner.Children[inner.ChildFor(key)];
        }

        if (node is RowLeaf leaf)
        {
            int at = leaf.Search(key);
            return at >= 0 ? leaf.Rows[at] : null;
        }

        return null;
    }

    /// <summary>The rows before and behind a key, whether or not the key itself is there.</summary>
    public (MirrorRow? Before, MirrorRow? Behind) Neighbours(ReadOnlySpan<byte> key)
    {
        RowNode? node = Root;
        while (node is RowInner inner)
        {
            node = inner.Children[inner.ChildFor(key)];
        }

        if (node is not RowLeaf leaf)
        {
            return default;
        }

        // Looking no further than the leaf is enough: siblings that a leaf's border parts still have each other.
        int at = leaf.Search(key);
        int before = at >= 0 ? at - 1 : ~at - 1;
        int behind = at >= 0 ? at + 1 : ~at;
        return (before >= 0 ? leaf.Rows[before] : null, behind < leaf.Rows.Length ? leaf.Rows[behind] : null);
    }

    /// <summary>How many rows have a key that is not above <paramref name="key"/>.</summary>
    public int CountThrough(ReadOnlySpan<byte> key)
    {
        int count = 0;
        RowNode? node = Root;
        while (node is RowInner inner)
        {
            int child = inner.ChildFor(key);
            for (int i = 0; i < child; i++)
            {
                count += inner.Children[i].RowCount;
            }

            node = inner.Children[child];
        }

        if (node is RowLeaf leaf)
        {
            int at = leaf.Search(key);
            count += at >= 0 ? at + 1 : ~at;
        }

        return count;
    }

    /// <summary>The tree with this row in place of whatever had its key.</summary>
    public RowTree With(MirrorRow row)
    {
        if (Root is null)
        {
            return new RowTree(RowLeaf.Of([row]));
        }

        (RowNode left, RowNode? right) = Root.With(row);
        return new RowTree(right is null ? left : new RowInner([left, right]));
    }

    /// <summary>The tree without this key.</summary>
    public RowTree Without(ReadOnlySpan<byte> key)
    {
        if (Root is null)
        {
            return this;
        }

        RowNode? root = Root.Without(key);
        while (root is RowInner { Children.Length: 1 } single)
        {
            root = single.Children[0];
        }

        return root is null ? Empty : ReferenceEquals(root, Root) ? this : new RowTree(root);
    }

    /// <summary>Builds a tree of full leaves.</summary>
    /// <param name="rows">Rows in strictly ascending order of keys.</param>
    public static RowTree Build(List<MirrorRow> rows)
    {
        if (rows.Count == 0)
        {
            return Empty;
        }

        var level = new List<RowNode>(rows.Count / LeafSize + 1);
        for (int at = 0; at < rows.Count; at += LeafSize)
        {
            level.Add(RowLeaf.Of(rows.GetRange(at, Math.Min(LeafSize, rows.Count - at)).ToArray()));
        }

        while (level.Count > 1)
        {
            var above = new List<RowNode>(level.Count / FanOut + 1);
            for (int at = 0; at < level.Count; at += FanOut)
            {
                above.Add(new RowInner(level.GetRange(at, Math.Min(FanOut, level.Count - at)).ToArray()));
            }

            level = above;
        }

        return new RowTree(level[0]);
    }

    /// <summary>All rows behind a key, in order.</summary>
    public RowCursor From(ReadOnlySpan<byte> after, IndexTerm? term = null) => new(this, after, includeKey: false, term);

    /// <summary>All rows from a key on, in order.</summary>
    public RowCursor AtOrAfter(ReadOnlySpan<byte> key, IndexTerm? term = null) => new(this, key, includeKey: true, term);
}

/// <summary>A node of a <see cref="RowTree"/>; immutable.</summary>
internal abstract class RowNode
{
    public abstract int RowCount { get; }

    public abstract MirrorRow First { get; }

    /// <summary>Rows of a leaf, children of an inner node.</summary>
    public abstract int Size { get; }

    public abstract (RowNode Left, RowNode? Right) With(MirrorRow row);

    public abstract RowNode? Without(ReadOnlySpan<byte> key);

    /// <summary>This node and its right neighbour as one, or null when they do not fit well into one.</summary>
    public abstract RowNode? MergedWith(RowNode right);

    // What is left over is put together at three quarters, so that a merge is not at once followed by a split.
    protected static bool FitsTogether(int left, int right, int capacity) => left + right <= capacity * 3 / 4;

    protected static T[] Inserted<T>(T[] items, int at, T item)
    {
        var copy = new T[items.Length + 1];
        Array.Copy(items, copy, at);
        copy[at] = item;
        Array.Copy(items, at, copy, at + 1, items.Length - at);
        return copy;
    }

    protected static T[] Removed<T>(T[] items, int at)
    {
        var copy = new T[items.Length - 1];
        Array.Copy(items, copy, at);
        Array.Copy(items, at + 1, copy, at, copy.Length - at);
        return copy;
    }

    /// <summary>Where to split: in the middle, but behind everything when the last was appended, so that ascending insertion leaves full nodes.</summary>
    protected static int SplitPoint(int length, int inserted) => inserted == length - 1 ? length - 1 : length / 2;
}

/// <summary>Up to <see cref="RowTree.LeafSize"/> rows and the filter over their terms.</summary>
internal sealed class RowLeaf : RowNode
{
    // Changes only add to the filter; after as many as a leaf has rows it is computed anew.
    private const int MaxStaleChanges = RowTree.LeafSize;

    private readonly int _staleChanges;

    private RowLeaf(MirrorRow[] rows, TermFilter terms, int staleChanges)
    {
        Rows = rows;
        Terms = terms;
        _staleChanges = staleChanges;
    }

    public MirrorRow[] Rows { get; }

    public TermFilter Terms { get; }

    public override int RowCount => Rows.Length;

    public override MirrorRow First => Rows[0];

    public override int Size => Rows.Length;

    public static RowLeaf Of(MirrorRow[] rows)
    {
        var terms = new TermFilter();
        foreach (MirrorRow row in rows)
        {
            IndexTerm.AddAll(row, terms);
        }

        return new RowLeaf(rows, terms, 0);
    }

    /// <summary>Index of a key, or the complement of where it would be.</summary>
    public int Search(ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = Rows.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = Rows[middle].Key.SequenceCompareTo(key);
            if (order == 0)
            {
                return middle;
            }

            if (order < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return ~low;
    }

    public override (RowNode Left, RowNode? Right) With(MirrorRow row)
    {
        int at = Search(row.Key);
        if (at >= 0)
        {
            var rows = (MirrorRow[])Rows.Clone();
            rows[at] = row;
            return (Changed(rows, row, _staleChanges + 1), null);
        }

        MirrorRow[] all = Inserted(Rows, ~at, row);
        if (all.Length <= RowTree.LeafSize)
        {
            return (Changed(all, row, _staleChanges), null);
        }

        int split = SplitPoint(all.Length, ~at);
        return (Of(all[..split]), Of(all[split..]));
    }

    public override RowNode? Without(ReadOnlySpan<byte> key)
    {
        int at = Search(key);
        if (at < 0)
        {
            return this;
        }

        return Rows.Length == 1 ? null : Changed(Removed(Rows, at), null, _staleChanges + 1);
    }

    public override RowNode? MergedWith(RowNode right) =>
        FitsTogether(Size, right.Size, RowTree.LeafSize) ? Of([.. Rows, .. ((RowLeaf)right).Rows]) : null;

    private RowLeaf Changed(MirrorRow[] rows, MirrorRow? added, int staleChanges)
    {
        if (staleChanges > MaxStaleChanges)
        {
            return Of(rows);
        }

        if (added is null)
        {
            return new RowLeaf(rows, Terms, staleChanges);
        }

        TermFilter terms = Terms.Clone();
        IndexTerm.AddAll(added, terms);
        return new RowLeaf(rows, terms, staleChanges);
    }
}

/// <summary>Up to <see cref="RowTree.FanOut"/> nodes of the level below.</summary>
internal sealed class RowInner : RowNode
{
    private readonly int _rowCount;

    public RowInner(RowNode[] children)
    {
        Children = children;
        foreach (RowNode child in children)
        {
            _rowCount += child.RowCount;
        }
    }

    public RowNode[] Children { get; }

    public override int RowCount => _rowCount;

    public override MirrorRow First => Children[0].First;

    public override int Size => Children.Length;

    /// <summary>The child in which a key is, if anywhere.</summary>
    public int ChildFor(ReadOnlySpan<byte> key)
    {
        // No separators are kept: they would hold rows that are long gone, and the first row of a child is two steps away.
        int low = 1;
        int high = Children.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (Children[middle].First.Key.SequenceCompareTo(key) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low - 1;
    }

    public override (RowNode Left, RowNode? Right) With(MirrorRow row)
    {
        int at = ChildFor(row.Key);
        (RowNode left, RowNode? right) = Children[at].With(row);
        var children = (RowNode[])Children.Clone();
        children[at] = left;
        if (right is null)
        {
            return (new RowInner(children), null);
        }

        children = Inserted(children, at + 1, right);
        if (children.Length <= RowTree.FanOut)
        {
            return (new RowInner(children), null);
        }

        int split = SplitPoint(children.Length, at + 1);
        return (new RowInner(children[..split]), new RowInner(children[split..]));
    }

    public override RowNode? Without(ReadOnlySpan<byte> key)
    {
        int at = ChildFor(key);
        RowNode? child = Children[at].Without(key);
        if (ReferenceEquals(child, Children[at]))
        {
            return this;
        }

        if (child is null)
        {
            return Children.Length == 1 ? null : new RowInner(Removed(Children, at));
        }

        int left = at > 0 && Children[at - 1].Size <= (at + 1 < Children.Length ? Children[at + 1].Size : int.MaxValue) ? at - 1 : at;
        if (Children.Length > 1 && left + 1 < Children.Length)
        {
            RowNode first = left == at ? child : Children[left];
            RowNode second = left == at ? Children[at + 1] : child;
            if (first.MergedWith(second) is { } merged)
            {
                RowNode[] fewer = Removed(Children, left + 1);
                fewer[left] = merged;
                return new RowInner(fewer);
            }
        }

        var children = (RowNode[])Children.Clone();
        children[at] = child;
        return new RowInner(children);
    }

    public override RowNode? MergedWith(RowNode right) =>
        FitsTogether(Size, right.Size, RowTree.FanOut) ? new RowInner([.. Children, .. ((RowInner)right).Children]) : null;
}

/// <summary>Walks over rows of a <see cref="RowTree"/> in order. Not thread-safe; may be kept across awaits.</summary>
internal sealed class RowCursor
{
    private readonly IndexTerm? _term;
    private readonly List<(RowInner Node, int Next)> _path = new(3);
    private RowLeaf? _leaf;
    private int _next;
    private MirrorRow? _current;

    internal RowCursor(RowTree tree, ReadOnlySpan<byte> key, bool includeKey, IndexTerm? term)
    {
        _term = term;
        RowNode? node = tree.Root;
        while (node is RowInner inner)
        {
            int child = key.IsEmpty ? 0 : inner.ChildFor(key);
            _path.Add((inner, child + 1));
            node = inner.Children[child];
        }

        if (node is RowLeaf leaf)
        {
            int at = key.IsEmpty ? ~0 : leaf.Search(key);
            _next = at < 0 ? ~at : includeKey ? at : at + 1;
            _leaf = MayHold(leaf) ? leaf : null;
        }
    }

    /// <summary>The row of the last successful <see cref="MoveNext"/>.</summary>
    public MirrorRow Current => _current ?? throw new InvalidOperationException("The cursor stands before the first row or behind the last.");

    /// <summary>So that <c>foreach</c> takes it.</summary>
    public RowCursor GetEnumerator() => this;

    /// <summary>Goes to the next row; false at the end.</summary>
    public bool MoveNext()
    {
        while (true)
        {
            if (_leaf is not null)
            {
                MirrorRow[] rows = _leaf.Rows;
                while (_next < rows.Length)
                {
                    MirrorRow row = rows[_next++];
                    if (_term is not { } term || term.Matches(row))
                    {
                        _current = row;
                        return true;
                    }
                }
            }

            if (!ToNextLeaf())
            {
                _current = null;
                return false;
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool ToNextLeaf()
    {
        _leaf = null;
        while (_path.Count > 0)
        {
            (RowInner inner, int next) = _path[^1];
            if (next == inner.Children.Length)
            {
                _path.RemoveAt(_path.Count - 1);
                continue;
            }

            _path[^1] = (inner, next + 1);
            switch (inner.Children[next])
            {
                case RowInner below:
                    _path.Add((below, 0));
                    break;
                case RowLeaf leaf when MayHold(leaf):
                    _leaf = leaf;
                    _next = 0;
                    return true;
                default:
                    break;   // a leaf in which the term cannot be
            }
        }

        return false;
    }

    private bool MayHold(RowLeaf leaf) => _term is not { } term || leaf.Terms.MayContain(term.Hash);
}
