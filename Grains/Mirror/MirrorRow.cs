using System.Buffers;
using System.Text;
using System.Text.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>One state of one object in the mirror: a few columns, and its JSON packed against a sibling.</summary>
/// <remarks>
/// Immutable once published, safe to keep and to read from any thread. A change of the object makes a new row; old rows live as
/// long as a snapshot, the history or a sibling packed against them holds them.
/// </remarks>
internal sealed class MirrorRow
{
    // The key comes first and the packed JSON behind it: one array instead of two saves its 24 bytes of header per object.
    private readonly byte[] _bytes;
    private readonly ushort _keyLength;
    private Traits _traits;
    private readonly uint _createdSeconds;
    private readonly long _resourceVersion;

    internal MirrorRow(in RowDraft draft, byte[] bytes, MirrorRow? basis, bool isRaw)
    {
        _bytes = bytes;
        _keyLength = checked((ushort)draft.KeyLength);
        _createdSeconds = (uint)Math.Clamp(draft.CreatedUnixSeconds, 0, uint.MaxValue);
        _resourceVersion = draft.ResourceVersion;
        _traits = draft.Traits | (isRaw ? Traits.Raw : Traits.None);
        Basis = basis;
        Family = draft.Family;
        Status = draft.Status;
        NodeName = draft.NodeName;
        Uid = draft.Uid;
        Restarts = draft.Restarts;
        JsonLength = draft.JsonLength;
    }

    [Flags]
    internal enum Traits : byte
    {
        None = 0,
        Raw = 1,
        ForeignUid = 2,
        Terminating = 4,
        Unschedulable = 8,
        Added = 16,
    }

    /// <summary>Labels, owners, images, resources: what siblings share.</summary>
    public RowFamily Family { get; }

    /// <summary>Phase, readiness and its reason.</summary>
    public RowStatus Status { get; }

    /// <summary>Node of a pod; empty while it has none, and for other kinds.</summary>
    public string NodeName { get; }

    public ObjectUid Uid { get; }

    /// <summary>Fleet revision of the change that made this row; see <see cref="MultiCluster.Fleet.FleetClock"/>.</summary>
    public long Stamp { get; private set; }

    /// <summary>Restarts of all containers of a pod.</summary>
    public int Restarts { get; }

    /// <summary>Exact length of the object's JSON in UTF-8.</summary>
    public int JsonLength { get; }

    public string Namespace => Family.Namespace;

    /// <summary>Name in UTF-8.</summary>
    public ReadOnlySpan<byte> NameUtf8 => Family.Namespace.Length == 0 ? Key : Key[(Key.IndexOf((byte)'/') + 1)..];

    /// <summary>Name, as a new string.</summary>
    public string Name => Encoding.UTF8.GetString(NameUtf8);

    /// <summary><c>namespace/name</c>, or the name alone where there is no namespace: rows are ordered by these bytes.</summary>
    public ReadOnlySpan<byte> Key => _bytes.AsSpan(0, _keyLength);

    /// <summary>Seconds since 1970, or 0 when the object does not say.</summary>
    public long CreatedUnixSeconds => _createdSeconds;

    /// <summary>Time of creation, or null when the object does not say.</summary>
    public DateTimeOffset? CreatedAt => _createdSeconds == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(_createdSeconds);

    /// <summary>Whether a deletion has been asked for.</summary>
    public bool IsTerminating => (_traits & Traits.Terminating) != Traits.None;

    /// <summary>Whether a node is cordoned.</summary>
    public bool IsUnschedulable => (_traits & Traits.Unschedulable) != Traits.None;

    /// <summary>The member's resourceVersion.</summary>
    public string ResourceVersion => _resourceVersion >= 0
        ? _resourceVersion.ToString(System.Globalization.CultureInfo.InvariantCulture)
        : ReadMetadata("resourceVersion"u8);

    /// <summary>The member's resourceVersion as a number; negative where it is none.</summary>
    internal long Version => _resourceVersion;

    /// <summary>The uid as it stands in the object.</summary>
    public string UidText => (_traits & Traits.ForeignUid) == Traits.None ? Uid.ToString() : ReadMetadata("uid"u8);

    /// <summary>Bytes that this row holds alone: itself and its packed JSON. What it shares is counted by the table.</summary>
    public int RetainedBytes => OwnBytes + ((_bytes.Length + 7) & ~7);

    /// <summary>Bytes of the packed JSON.</summary>
    public int PackedLength => _bytes.Length - _keyLength;

    // 16 bytes of object header, 5 references, 52 bytes of values and their padding, and the array's header.
    private const int OwnBytes = 16 + 40 + 56 + 24;

    /// <summary>The row against which the JSON is packed; null when it stands alone.</summary>
    internal MirrorRow? Basis { get; }

    internal bool IsRaw => (_traits & Traits.Raw) != Traits.None;

    internal bool IsForeignUid => (_traits & Traits.ForeignUid) != Traits.None;

    /// <summary>Whether this state is the one in which the object appeared.</summary>
    internal bool WasAdded => (_traits & Traits.Added) != Traits.None;

    internal ReadOnlySpan<byte> Packed => _bytes.AsSpan(_keyLength);

    /// <summary>The last act of the writer before others see the row.</summary>
    internal void Seal(long stamp, bool wasAdded)
    {
        Stamp = stamp;
        _traits |= wasAdded ? Traits.Added : Traits.None;
    }

    /// <summary>Whether it is the same state of the same object.</summary>
    internal bool IsSameState(ObjectUid uid, long resourceVersion) => Uid == uid && _resourceVersion == resourceVersion;

    /// <summary>Writes the object's JSON, exactly <see cref="JsonLength"/> bytes, to the start of <paramref name="destination"/>.</summary>
    public void CopyJson(Span<byte> destination) => RowUnpacker.OfThisThread.Unpack(this, destination[..JsonLength]);

    /// <summary>Appends the object's JSON.</summary>
    public void CopyJson(IBufferWriter<byte> destination)
    {
        CopyJson(destination.GetSpan(JsonLength));
        destination.Advance(JsonLength);
    }

    /// <summary>The object's JSON, as a new array.</summary>
    public byte[] ToJson()
    {
        byte[] json = new byte[JsonLength];
        CopyJson(json);
        return json;
    }

    internal bool HasName(string name)
    {
        ReadOnlySpan<byte> own = NameUtf8;
        return own.Length >= name.Length && (Ascii.Equals(own, name) || (!Ascii.IsValid(own) && Name == name));
    }

    private string ReadMetadata(ReadOnlySpan<byte> field)
    {
        var json = new Utf8JsonReader(ToJson(), new JsonReaderOptions { MaxDepth = 1024 });
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            bool isMetadata = json.ValueTextEquals("metadata"u8);
            json.Read();
            if (!isMetadata)
            {
                json.Skip();
                continue;
            }

            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                bool found = json.ValueTextEquals(field);
                json.Read();
                if (found)
                {
                    return json.GetString()!;
                }

                json.Skip();
            }
        }

        throw new InvalidDataException("A mirrored object lost its metadata.");
    }
}

/// <summary>The columns of a row that is about to be made.</summary>
internal readonly record struct RowDraft(
    int KeyLength, RowFamily Family, RowStatus Status, string NodeName, ObjectUid Uid, long ResourceVersion, long CreatedUnixSeconds,
    int Restarts, int JsonLength, MirrorRow.Traits Traits)
{
    /// <summary>A resourceVersion as a number: itself when it is a decimal, else a negative hash.</summary>
    public static long NumberOf(ReadOnlySpan<byte> resourceVersion)
    {
        if (resourceVersion.Length is > 0 and <= 18 && (resourceVersion[0] != '0' || resourceVersion.Length == 1)
            && System.Buffers.Text.Utf8Parser.TryParse(resourceVersion, out long number, out int used)
            && used == resourceVersion.Length && number >= 0)
        {
            return number;
        }

        ObjectUid hash = ObjectUid.From(resourceVersion);
        return (long)(hash.High | 1UL << 63);
    }
}
