using System.Buffers.Text;
using System.Text.Json;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>Reads the little that the reflector itself needs of an event's object.</summary>
internal static class EventMetadata
{
    /// <summary>The object's revision, and whether it carries the mark that ends a streamed list.</summary>
    /// <param name="item">The object.</param>
    /// <param name="wantsMark">Whether to look for the mark; without it, reading stops at the revision.</param>
    /// <param name="endsInitial">Whether <c>k8s.io/initial-events-end</c> is <c>"true"</c>.</param>
    /// <exception cref="KubeException">There is no revision where every object has one.</exception>
    public static Revision Read(ReadOnlySpan<byte> item, bool wantsMark, out bool endsInitial)
    {
        Revision? revision = null;
        endsInitial = false;
        try
        {
            var reader = new Utf8JsonReader(item, JsonLimits.Reader);
            _ = reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                bool isMetadata = reader.ValueTextEquals("metadata"u8);
                _ = reader.Read();
                if (!isMetadata || reader.TokenType != JsonTokenType.StartObject)
                {
                    reader.Skip();
                    continue;
                }

                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    bool isVersion = reader.ValueTextEquals("resourceVersion"u8);
                    bool isAnnotations = wantsMark && reader.ValueTextEquals("annotations"u8);
                    _ = reader.Read();
                    if (isVersion && reader.TokenType == JsonTokenType.String)
                    {
                        revision = Revision.Parse(reader.ValueSpan);
                        if (!wantsMark)
                        {
                            return revision.Value;
                        }
                    }
                    else if (isAnnotations && reader.TokenType == JsonTokenType.StartObject)
                    {
                        endsInitial = ReadMark(ref reader);
                    }
                    else
                    {
                        reader.Skip();
                    }
                }

                break;
            }
        }
        catch (Exception e) when (JsonLimits.IsBadJson(e))
        {
            throw new KubeException(KubeErrorKind.Protocol, "The watch sent an object that is no JSON. Listing again.");
        }

        return revision ?? throw new KubeException(KubeErrorKind.Protocol, "The watch sent an object without metadata.resourceVersion. Listing again.");
    }

    private static bool ReadMark(ref Utf8JsonReader reader)
    {
        bool found = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isMark = reader.ValueTextEquals("k8s.io/initial-events-end"u8);
            _ = reader.Read();
            found |= isMark && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("true"u8);
            reader.Skip();
        }

        return found;
    }
}

/// <summary>A resourceVersion: opaque by contract, a decimal number in every API server there is.</summary>
/// <remarks>Numbers are held without a string, because every event brings one.</remarks>
internal readonly record struct Revision
{
    private readonly string? _text;
    private readonly ulong _number;

    private Revision(ulong number, string? text) => (_number, _text) = (number, text);

    /// <summary>Before the first list.</summary>
    public static readonly Revision None = new(0, "");

    public bool IsNone => _text is { Length: 0 };

    public static Revision Parse(ReadOnlySpan<byte> text) =>
        text.Length is > 0 and <= 19 && text[0] != '0' && Utf8Parser.TryParse(text, out ulong number, out int used) && used == text.Length
            ? new Revision(number, null)
            : new Revision(0, System.Text.Encoding.UTF8.GetString(text));

    public static Revision Parse(string text) => Parse(System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>Whether this is certainly older; never for versions that are no numbers.</summary>
    public bool IsBefore(Revision other) => _text is null && other._text is null && _number < other._number;

    public override string ToString() => _text ?? _number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
