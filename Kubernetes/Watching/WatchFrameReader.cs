using System.Text.Json;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>What a watch event says.</summary>
internal enum FrameType { Added, Modified, Deleted, Bookmark, Error }

/// <summary>One watch event inside the caller's buffer; valid until that buffer changes.</summary>
internal readonly ref struct WatchFrame
{
    public required FrameType Type { get; init; }

    /// <summary>The object: of the kind watched, or a <c>Status</c> for an error.</summary>
    public required ReadOnlySpan<byte> Object { get; init; }

    /// <summary>Bytes of the event in the buffer, leading blanks included.</summary>
    public required int Length { get; init; }
}

/// <summary>Cuts the events out of a watch while it arrives.</summary>
/// <remarks>
/// Servers send one event a line, but nothing depends on the newlines: an event ends where its bracket closes, so that the last one
/// needs no newline and a pretty-printing server does no harm. Not thread-safe.
/// </remarks>
internal sealed class WatchFrameReader(int maxObjectBytes)
{
    // The shape that every API server sends; anything else is read by the general way.
    private static readonly (byte[] Prefix, FrameType Type)[] Shapes =
    [
        ("""{"type":"MODIFIED","object":{"""u8.ToArray(), FrameType.Modified),
        ("""{"type":"ADDED","object":{"""u8.ToArray(), FrameType.Added),
        ("""{"type":"DELETED","object":{"""u8.ToArray(), FrameType.Deleted),
        ("""{"type":"BOOKMARK","object":{"""u8.ToArray(), FrameType.Bookmark),
        ("""{"type":"ERROR","object":{"""u8.ToArray(), FrameType.Error),
    ];

    private static readonly int LongestPrefix = Shapes.Max(shape => shape.Prefix.Length);

    // What an event holds beside its object.
    private const int MaxEnvelopeBytes = 1024;

    private JsonValueEnd _end;
    private int _shape = -1;
    private bool _general;

    /// <summary>Cuts the next event.</summary>
    /// <param name="data">All bytes that were not used yet; the same beginning as last time when that gave none.</param>
    /// <param name="frame">The event.</param>
    /// <returns>False when there is no whole event yet.</returns>
    /// <exception cref="KubeException">The bytes are no watch event, or the object is over the limit.</exception>
    public bool TryRead(ReadOnlySpan<byte> data, out WatchFrame frame)
    {
        frame = default;
        int start = data.IndexOfAnyExcept(" \r\n\t"u8);
        if (start < 0)
        {
            return false;
        }

        ReadOnlySpan<byte> event_ = data[start..];
        if (event_[0] != '{')
        {
            throw Broken("something other than a JSON object");
        }

        if (_shape < 0 && !_general)
        {
            _shape = ShapeOf(event_);
            _general = _shape < 0 && event_.Length >= LongestPrefix;
        }

        bool read = _shape >= 0 ? TryReadShaped(event_, start, out frame) : TryReadGeneral(event_, start, out frame);
        if (read)
        {
            _end.Reset();
            _shape = -1;
            _general = false;
        }
        else if (event_.Length > maxObjectBytes + MaxEnvelopeBytes)
        {
            throw TooLarge();
        }

        return read;
    }

    private bool TryReadShaped(ReadOnlySpan<byte> event_, int blanks, out WatchFrame frame)
    {
        frame = default;
        (byte[] prefix, FrameType type) = Shapes[_shape];
        ReadOnlySpan<byte> value = event_[(prefix.Length - 1)..];
        int end = _end.Find(value);
        if (end > maxObjectBytes)
        {
            throw TooLarge();
        }

        int after = end < 0 ? -1 : value[end..].IndexOfAnyExcept(" \r\n\t"u8);
        if (after < 0)
        {
            return false;
        }

        if (value[end + after] != '}')
        {
            // More members than we know of: start over, the general way.
            _end.Reset();
            _shape = -1;
            _general = true;
            return TryReadGeneral(event_, blanks, out frame);
        }

        frame = new WatchFrame { Type = type, Object = value[..end], Length = blanks + prefix.Length - 1 + end + after + 1 };
        return true;
    }

    private bool TryReadGeneral(ReadOnlySpan<byte> event_, int blanks, out WatchFrame frame)
    {
        frame = default;
        int end;
        if (_general)
        {
            end = _end.Find(event_);
        }
        else
        {
            // Too short to know the shape, so the state must stay untouched.
            JsonValueEnd probe = default;
            end = probe.Find(event_);
        }

        if (end < 0)
        {
            return false;
        }

        try
        {
            frame = Parse(event_[..end], blanks + end);
            return true;
        }
        catch (Exception e) when (JsonLimits.IsBadJson(e))
        {
            throw Broken("an event that is no JSON");
        }
    }

    private WatchFrame Parse(ReadOnlySpan<byte> event_, int length)
    {
        FrameType? type = null;
        ReadOnlySpan<byte> value = default;
        var reader = new Utf8JsonReader(event_, JsonLimits.Reader);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1)
            {
                continue;
            }

            bool isType = reader.ValueTextEquals("type"u8);
            bool isObject = reader.ValueTextEquals("object"u8);
            _ = reader.Read();
            if (isType && reader.TokenType == JsonTokenType.String)
            {
                type = TypeOf(reader.GetString()!);
            }
            else if (isObject && reader.TokenType == JsonTokenType.StartObject)
            {
                int from = (int)reader.TokenStartIndex;
                reader.Skip();
                value = event_[from..(int)reader.BytesConsumed];
            }
            else
            {
                reader.Skip();
            }
        }

        if (type is null || value.IsEmpty)
        {
            throw Broken("an event without a known type and an object");
        }

        return value.Length <= maxObjectBytes
            ? new WatchFrame { Type = type.Value, Object = value, Length = length }
            : throw TooLarge();
    }

    private static FrameType? TypeOf(string type) => type switch
    {
        "ADDED" => FrameType.Added,
        "MODIFIED" => FrameType.Modified,
        "DELETED" => FrameType.Deleted,
        "BOOKMARK" => FrameType.Bookmark,
        "ERROR" => FrameType.Error,
        _ => null,
    };

    private static int ShapeOf(ReadOnlySpan<byte> event_)
    {
        for (int i = 0; i < Shapes.Length; i++)
        {
            if (event_.StartsWith(Shapes[i].Prefix))
            {
                return i;
            }
        }

        return -1;
    }

    private KubeException TooLarge() => new(
        KubeErrorKind.Protocol, $"The watch sent an object over {maxObjectBytes / 1024} KiB, which is more than an API server stores. Listing again.");

    private static KubeException Broken(string what) => new(
        KubeErrorKind.Protocol, $"The watch sent {what}. Listing again.");
}
