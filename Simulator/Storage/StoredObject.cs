using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;

namespace MultiCluster.Simulator.Storage;

/// <summary>One state of one object. Immutable; a change makes another.</summary>
/// <remarks>
/// The JSON has no <c>kind</c> and <c>apiVersion</c>: list items of built-in kinds go out without them, everything else gets them as
/// the head that the caller passes to <see cref="WriteTo"/>, in the version that was asked for.
/// </remarks>
internal abstract class StoredObject
{
    /// <summary>Namespace; empty for cluster-scoped objects.</summary>
    public abstract string Namespace { get; }

    public abstract string Name { get; }

    /// <summary>Revision of the write that made this state.</summary>
    public abstract long Revision { get; }

    /// <summary>Labels as pairs, sorted by key.</summary>
    public abstract IReadOnlyList<KeyValuePair<string, string>> Labels { get; }

    /// <summary>True for objects seeded in bulk, which no controller looks after.</summary>
    public virtual bool IsScenery => false;

    /// <summary>Uids of the objects that own it.</summary>
    public abstract IReadOnlyList<string> Owners { get; }

    /// <summary>Its own uid.</summary>
    public abstract string Uid { get; }

    /// <summary>Whether its deletion has begun.</summary>
    public virtual bool IsDeleting => false;

    /// <summary>Upper bound of the bytes that <see cref="WriteTo"/> writes, without the head.</summary>
    public abstract int MaxLength { get; }

    /// <summary>Writes the object.</summary>
    /// <param name="target">Receives UTF-8.</param>
    /// <param name="head"><c>{"kind":"Pod","apiVersion":"v1",</c> or empty.</param>
    /// <param name="revision">What to write as resourceVersion: a deletion shows the last state with its own revision.</param>
    public abstract void WriteTo(IBufferWriter<byte> target, ReadOnlySpan<byte> head, long revision);

    /// <summary>The value of a scalar field as text; empty when it is missing.</summary>
    public abstract string Field(ReadOnlySpan<string> path);

    /// <summary>The object as a tree that the caller may edit, without kind and apiVersion.</summary>
    public JsonObject ToTree()
    {
        var buffer = new ArrayBufferWriter<byte>(MaxLength + 64);
        WriteTo(buffer, default, Revision);
        return JsonTree.ParseObject(buffer.WrittenSpan);
    }

    /// <summary>The object's bytes with a head; see <see cref="WriteTo"/>.</summary>
    public byte[] ToUtf8(ReadOnlySpan<byte> head)
    {
        var buffer = new ArrayBufferWriter<byte>(MaxLength + head.Length + 64);
        WriteTo(buffer, head, Revision);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Compares in the byte order of "&lt;namespace&gt;/&lt;name&gt;", the order of every list.</summary>
    public static int CompareKeys(string ns, string name, string otherNs, string otherName)
    {
        if (ReferenceEquals(ns, otherNs) || ns == otherNs)
        {
            return string.CompareOrdinal(name, otherName);
        }

        int shared = Math.Min(ns.Length, otherNs.Length);
        int prefix = ns.AsSpan(0, shared).CommonPrefixLength(otherNs.AsSpan(0, shared));
        if (prefix < shared)
        {
            return ns[prefix] - otherNs[prefix];
        }

        // One namespace begins the other, so its slash decides: '-' and '.' sort before it.
        return ns.Length == shared ? '/' - otherNs[shared] : ns[shared] - '/';
    }
}

/// <summary>An object held as its JSON bytes.</summary>
internal sealed class JsonStoredObject : StoredObject
{
    private readonly byte[] _json;
    private readonly int _revisionStart;
    private readonly int _revisionLength;
    private IReadOnlyList<KeyValuePair<string, string>>? _labels;

    private JsonStoredObject(string ns, string name, long revision, byte[] json, int revisionStart, int revisionLength, JsonNode metadata)
    {
        Uid = metadata.Text("uid") ?? "";
        Owners = metadata.At("ownerReferences") is JsonArray { Count: > 0 } owners ? [.. owners.Select(o => o.Text("uid") ?? "")] : [];
        IsDeleting = metadata.At("deletionTimestamp") is not null;
        (Namespace, Name, Revision, _json) = (ns, name, revision, json);
        (_revisionStart, _revisionLength) = (revisionStart, revisionLength);
    }

    public override string Namespace { get; }

    public override string Name { get; }

    public override long Revision { get; }

    public override int MaxLength => _json.Length + 20;

    public override IReadOnlyList<KeyValuePair<string, string>> Labels => _labels ??= ReadLabels();

    public override IReadOnlyList<string> Owners { get; }

    public override string Uid { get; }

    public override bool IsDeleting { get; }

    /// <summary>Takes a whole object with <c>metadata.resourceVersion</c> set and without type.</summary>
    public static JsonStoredObject From(JsonObject tree, long revision)
    {
        JsonNode metadata = tree["metadata"]!;
        byte[] json = JsonTree.ToUtf8(tree);
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (!Find(ref reader, ["metadata", "resourceVersion"]))
        {
            throw new ArgumentException("The object has no resourceVersion.", nameof(tree));
        }

        return new JsonStoredObject(
            metadata.Text("namespace") ?? "", metadata.Text("name") ?? "", revision, json,
            (int)reader.TokenStartIndex + 1, reader.ValueSpan.Length, metadata);
    }

    public override void WriteTo(IBufferWriter<byte> target, ReadOnlySpan<byte> head, long revision)
    {
        ReadOnlySpan<byte> json = _json;
        int start = 0;
        if (!head.IsEmpty)
        {
            target.Write(head);
            start = 1;
        }

        if (revision == Revision)
        {
            target.Write(json[start..]);
            return;
        }

        target.Write(json[start.._revisionStart]);
        Span<byte> digits = target.GetSpan(20);
        Utf8Formatter.TryFormat(revision, digits, out int written);
        target.Advance(written);
        target.Write(json[(_revisionStart + _revisionLength)..]);
    }

    public override string Field(ReadOnlySpan<string> path) => FieldOf(_json, path);

    /// <summary>The value of a scalar field in a JSON object; empty when missing.</summary>
    public static string FieldOf(ReadOnlySpan<byte> json, ReadOnlySpan<string> path)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (!Find(ref reader, path))
        {
            return "";
        }

        return reader.TokenType switch
        {
            JsonTokenType.String => reader.GetString()!,
            JsonTokenType.Number or JsonTokenType.True or JsonTokenType.False => Encoding.UTF8.GetString(reader.ValueSpan),
            _ => "",
        };
    }

    /// <summary>Moves the reader, which stands on the start of an object, to the value at the path.</summary>
    private static bool Find(ref Utf8JsonReader reader, scoped ReadOnlySpan<string> path)
    {
        foreach (string step in path)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            while (true)
            {
                reader.Read();
                if (reader.TokenType != JsonTokenType.PropertyName)
                {
                    return false;
                }

                bool hit = reader.ValueTextEquals(step);
                reader.Read();
                if (hit)
                {
                    break;
                }

                reader.Skip();
            }
        }

        return true;
    }

    private List<KeyValuePair<string, string>> ReadLabels()
    {
        var labels = new List<KeyValuePair<string, string>>();
        var reader = new Utf8JsonReader(_json);
        reader.Read();
        if (Find(ref reader, ["metadata", "labels"]) && reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string key = reader.GetString()!;
                reader.Read();
                labels.Add(new(key, reader.TokenType == JsonTokenType.String ? reader.GetString()! : ""));
            }
        }

        return labels;
    }
}
