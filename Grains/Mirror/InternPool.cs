using System.Collections.Immutable;
using System.Text;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>Keeps one instance of each text, family and status that rows of one table use.</summary>
/// <remarks>
/// Not thread-safe: the writer of the table alone uses it. It forgets what no row uses any more once it has grown to twice
/// what it held after the last time (see <see cref="WantsSweep"/>), so it stays within a small factor of what is alive.
/// </remarks>
internal sealed class InternPool
{
    private const int MinSweep = 1024;

    private readonly InternSet<string> _texts = new();
    private readonly InternSet<RowFamily> _families = new();
    private readonly InternSet<RowStatus> _statuses = new();
    private RowFamily? _lastFamily;
    private int _sweepAt = MinSweep;

    /// <summary>Whether it is time for <see cref="Sweep"/>.</summary>
    public bool WantsSweep => Count > _sweepAt;

    /// <summary>How many things it holds.</summary>
    public int Count => _texts.Count + _families.Count + _statuses.Count;

    public string Text(ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty)
        {
            return "";
        }

        int hash = HashOf(utf8);
        for (int at = _texts.First(hash); at >= 0; at = _texts.Next(at, hash))
        {
            if (Ascii.Equals(utf8, _texts[at]))
            {
                return _texts[at];
            }
        }

        string text = Encoding.UTF8.GetString(utf8);
        if (text.Length == utf8.Length)
        {
            // Texts beyond ASCII are rare and are not compared cheaply; each row keeps its own.
            _texts.Add(hash, text);
        }

        return text;
    }

    public RowStatus Status(ReadOnlySpan<byte> phase, in ReadinessVerdict verdict)
    {
        int hash = HashCode.Combine(HashOf(phase), HashOf(verdict.Reason), (int)verdict.State);
        for (int at = _statuses.First(hash); at >= 0; at = _statuses.Next(at, hash))
        {
            RowStatus known = _statuses[at];
            if (known.Readiness == verdict.State && Same(phase, known.Phase) && Same(verdict.Reason, known.Reason))
            {
                return known;
            }
        }

        var status = new RowStatus(Text(phase), verdict.State, Text(verdict.Reason));
        _statuses.Add(hash, status);
        return status;
    }

    public RowFamily Family(in ScannedObject item)
    {
        if (_lastFamily is not null && IsFamily(item, _lastFamily))
        {
            return _lastFamily;
        }

        int hash = FamilyHash(item);
        for (int at = _families.First(hash); at >= 0; at = _families.Next(at, hash))
        {
            if (IsFamily(item, _families[at]))
            {
                return _lastFamily = _families[at];
            }
        }

        RowFamily family = NewFamily(item);
        _families.Add(hash, family);
        return _lastFamily = family;
    }

    /// <summary>Forgets everything that these rows do not use.</summary>
    public void Sweep(RowTree rows)
    {
        var texts = new HashSet<string>(ReferenceEqualityComparer.Instance);
        var families = new HashSet<RowFamily>(ReferenceEqualityComparer.Instance);
        var statuses = new HashSet<RowStatus>(ReferenceEqualityComparer.Instance);
        foreach (MirrorRow row in rows.From([]))
        {
            texts.Add(row.NodeName);
            if (statuses.Add(row.Status))
            {
                texts.Add(row.Status.Phase);
                texts.Add(row.Status.Reason);
            }

            if (!families.Add(row.Family))
            {
                continue;
            }

            texts.Add(row.Family.Namespace);
            texts.UnionWith(row.Family.Images);
            foreach ((string key, string value) in row.Family.Labels)
            {
                texts.Add(key);
                texts.Add(value);
            }

            foreach (RowOwner owner in row.Family.Owners)
            {
                texts.Add(owner.ApiVersion);
                texts.Add(owner.Kind);
                texts.Add(owner.Name);
            }
        }

        _lastFamily = null;
        _texts.Keep(texts.Contains);
        _families.Keep(families.Contains);
        _statuses.Keep(statuses.Contains);
        _sweepAt = Math.Max(MinSweep, Count * 2);
    }

    private RowFamily NewFamily(in ScannedObject item)
    {
        var labels = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>(item.LabelCount);
        for (int i = 0; i < item.LabelCount; i++)
        {
            labels.Add(new(Text(item.LabelKey(i)), Text(item.LabelValue(i))));
        }

        var owners = ImmutableArray.CreateBuilder<RowOwner>(item.OwnerCount);
        for (int i = 0; i < item.OwnerCount; i++)
        {
            ScannedOwner owner = item.Owner(i);
            owners.Add(new RowOwner(
                ObjectUid.From(owner.Uid), Text(owner.ApiVersion), Text(owner.Kind), Text(owner.Name), owner.IsController));
        }

        var images = ImmutableArray.CreateBuilder<string>(item.ImageCount);
        for (int i = 0; i < item.ImageCount; i++)
        {
            images.Add(Text(item.Image(i)));
        }

        return new RowFamily(
            Text(item.Namespace), labels.MoveToImmutable(), owners.MoveToImmutable(), images.MoveToImmutable(), item.Resources);
    }

    private static bool IsFamily(in ScannedObject item, RowFamily family)
    {
        if (item.LabelCount != family.Labels.Length || item.OwnerCount != family.Owners.Length || item.ImageCount != family.Images.Length
            || item.Resources != family.Resources || !Same(item.Namespace, family.Namespace))
        {
            return false;
        }

        for (int i = 0; i < item.LabelCount; i++)
        {
            if (!Same(item.LabelKey(i), family.Labels[i].Key) || !Same(item.LabelValue(i), family.Labels[i].Value))
            {
                return false;
            }
        }

        for (int i = 0; i < item.OwnerCount; i++)
        {
            ScannedOwner owner = item.Owner(i);
            RowOwner known = family.Owners[i];
            if (owner.IsController != known.IsController || !Same(owner.Name, known.Name) || !Same(owner.Kind, known.Kind)
                || !Same(owner.ApiVersion, known.ApiVersion) || ObjectUid.From(owner.Uid) != known.Uid)
            {
                return false;
            }
        }

        for (int i = 0; i < item.ImageCount; i++)
        {
            if (!Same(item.Image(i), family.Images[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static int FamilyHash(in ScannedObject item)
    {
        var hash = new HashCode();
        hash.AddBytes(item.Namespace);
        for (int i = 0; i < item.LabelCount; i++)
        {
            hash.AddBytes(item.LabelKey(i));
            hash.AddBytes(item.LabelValue(i));
        }

        for (int i = 0; i < item.OwnerCount; i++)
        {
            hash.AddBytes(item.Owner(i).Uid);
        }

        for (int i = 0; i < item.ImageCount; i++)
        {
            hash.AddBytes(item.Image(i));
        }

        hash.Add(item.Resources);
        return hash.ToHashCode();
    }

    private static bool Same(ReadOnlySpan<byte> utf8, string text) =>
        Ascii.Equals(utf8, text) || (utf8.Length > text.Length && Encoding.UTF8.GetString(utf8) == text);

    private static int HashOf(ReadOnlySpan<byte> bytes)
    {
        var hash = new HashCode();   // seeded per process: a hostile member cannot choose collisions
        hash.AddBytes(bytes);
        return hash.ToHashCode();
    }
}

/// <summary>A hash table whose caller knows hashes and equality, because what it looks up is no object yet.</summary>
internal sealed class InternSet<T>
{
    private int[] _buckets = new int[16];
    private Entry[] _entries = new Entry[16];

    public int Count { get; private set; }

    public T this[int index] => _entries[index].Value;

    /// <summary>First entry with this hash, or -1.</summary>
    public int First(int hash) => Skip(_buckets[hash & (_buckets.Length - 1)] - 1, hash);

    /// <summary>Next entry with the same hash, or -1.</summary>
    public int Next(int index, int hash) => Skip(_entries[index].Next, hash);

    public void Add(int hash, T value)
    {
        if (Count == _entries.Length)
        {
            Resize(Count * 2);
        }

        ref int bucket = ref _buckets[hash & (_buckets.Length - 1)];
        _entries[Count] = new Entry(hash, bucket - 1, value);
        bucket = ++Count;
    }

    /// <summary>Drops all entries that <paramref name="isKept"/> refuses.</summary>
    public void Keep(Func<T, bool> isKept)
    {
        Entry[] old = _entries[..Count];
        Entry[] kept = Array.FindAll(old, entry => isKept(entry.Value));
        Count = 0;
        int capacity = 16;
        while (capacity < kept.Length)
        {
            capacity *= 2;
        }

        _buckets = new int[capacity];
        _entries = new Entry[capacity];
        foreach (Entry entry in kept)
        {
            Add(entry.Hash, entry.Value);
        }
    }

    private int Skip(int index, int hash)
    {
        while (index >= 0 && _entries[index].Hash != hash)
        {
            index = _entries[index].Next;
        }

        return index;
    }

    private void Resize(int capacity)
    {
        Array.Resize(ref _entries, capacity);
        _buckets = new int[capacity];
        for (int i = 0; i < Count; i++)
        {
            ref int bucket = ref _buckets[_entries[i].Hash & (capacity - 1)];
            _entries[i] = _entries[i] with { Next = bucket - 1 };
            bucket = i + 1;
        }
    }

    private readonly record struct Entry(int Hash, int Next, T Value);
}
