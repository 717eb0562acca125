namespace MultiCluster.Grains.Mirror;

/// <summary>Something by which rows can be found without reading them all: a label, an owner, a node, a name or a uid.</summary>
/// <remarks>Leaves of a table remember the hashes of their rows' terms, inexactly; <see cref="Matches"/> is what decides.</remarks>
internal readonly struct IndexTerm
{
    private readonly Kind _kind;
    private readonly string _text;
    private readonly string _value;
    private readonly ObjectUid _uid;

    private IndexTerm(Kind kind, string text, string value, ObjectUid uid)
    {
        _kind = kind;
        _text = text;
        _value = value;
        _uid = uid;
        Hash = kind switch
        {
            Kind.Owner or Kind.Uid => HashOf(kind, uid),
            Kind.Label => HashOf(kind, text, value),
            _ => HashOf(kind, text),
        };
    }

    private enum Kind : byte
    {
        Label = 1,
        LabelKey,
        Owner,
        Node,
        Uid,
        Name,
    }

    /// <summary>Hash of the term, good only within this process.</summary>
    public ulong Hash { get; }

    /// <summary>Objects with this label and value.</summary>
    public static IndexTerm Label(string key, string value) => new(Kind.Label, key, value, default);

    /// <summary>Objects with this label, whatever its value.</summary>
    public static IndexTerm LabelKey(string key) => new(Kind.LabelKey, key, "", default);

    /// <summary>Objects with this owner, controller or not.</summary>
    public static IndexTerm Owner(ObjectUid uid) => new(Kind.Owner, "", "", uid);

    /// <summary>Pods on this node.</summary>
    public static IndexTerm Node(string name) => new(Kind.Node, name, "", default);

    /// <summary>The object with this uid.</summary>
    public static IndexTerm Uid(ObjectUid uid) => new(Kind.Uid, "", "", uid);

    /// <summary>Objects with this name in any namespace.</summary>
    public static IndexTerm Name(string name) => new(Kind.Name, name, "", default);

    /// <summary>Whether the row has it.</summary>
    public bool Matches(MirrorRow row)
    {
        switch (_kind)
        {
            case Kind.Label:
                return row.Family.LabelOf(_text) == _value;
            case Kind.LabelKey:
                return row.Family.LabelOf(_text) is not null;
            case Kind.Owner:
                foreach (RowOwner owner in row.Family.Owners)
                {
                    if (owner.Uid == _uid)
                    {
                        return true;
                    }
                }

                return false;
            case Kind.Node:
                return row.NodeName == _text;
            case Kind.Uid:
                return row.Uid == _uid;
            default:
                return row.HasName(_text);
        }
    }

    /// <summary>Adds the terms of a row to a filter.</summary>
    public static void AddAll(MirrorRow row, TermFilter filter)
    {
        RowFamily family = row.Family;
        foreach ((string key, string value) in family.Labels)
        {
            filter.Add(HashOf(Kind.Label, key, value));
            filter.Add(HashOf(Kind.LabelKey, key));
        }

        foreach (RowOwner owner in family.Owners)
        {
            filter.Add(HashOf(Kind.Owner, owner.Uid));
        }

        if (row.NodeName.Length > 0)
        {
            filter.Add(HashOf(Kind.Node, row.NodeName));
        }

        filter.Add(HashOf(Kind.Uid, row.Uid));
        filter.Add(HashOf(Kind.Name, row.Name));
    }

    private static ulong HashOf(Kind kind, string text) => HashOf(kind, (uint)text.GetHashCode(StringComparison.Ordinal), 0);

    private static ulong HashOf(Kind kind, string text, string value) =>
        HashOf(kind, (uint)text.GetHashCode(StringComparison.Ordinal), (uint)value.GetHashCode(StringComparison.Ordinal));

    private static ulong HashOf(Kind kind, ObjectUid uid) => HashOf(kind, uid.High, uid.Low);

    private static ulong HashOf(Kind kind, ulong first, ulong second)
    {
        ulong mixed = (first + (ulong)kind * 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ mixed >> 31 ^ second) * 0x94D049BB133111EB;
        return mixed ^ mixed >> 29;
    }
}

/// <summary>A Bloom filter over the terms of one leaf: says "not here" for certain and "maybe here" otherwise.</summary>
/// <remarks>
/// A leaf of 64 pods has about 220 terms; four probes in 2048 bits let about 2 % of foreign terms through. This costs 5 bytes per row,
/// where sorted posting lists for the same terms would cost about 140, and stays consistent with its leaf for free.
/// </remarks>
internal sealed class TermFilter
{
    private const int Words = 32;

    private readonly ulong[] _words;

    public TermFilter() => _words = new ulong[Words];

    private TermFilter(ulong[] words) => _words = words;

    public TermFilter Clone() => new((ulong[])_words.Clone());

    public void Add(ulong hash)
    {
        for (int probe = 0; probe < 4; probe++, hash >>= 11)
        {
            _words[(int)(hash >> 6) & (Words - 1)] |= 1UL << (int)(hash & 63);
        }
    }

    public bool MayContain(ulong hash)
    {
        for (int probe = 0; probe < 4; probe++, hash >>= 11)
        {
            if ((_words[(int)(hash >> 6) & (Words - 1)] & 1UL << (int)(hash & 63)) == 0)
            {
                return false;
            }
        }

        return true;
    }
}
