using System.Buffers;
using System.Text.Json;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>Lets of a secret only what is no secret pass into the mirror.</summary>
/// <remarks>
/// Values go, and so does the annotation in which <c>kubectl apply</c> keeps a copy of the whole object. One loop calls it,
/// as any sink; the buffer is its own and is cleared after each object.
/// </remarks>
internal sealed class SecretRedaction(IReflectorSink inner) : IReflectorSink
{
    private readonly ArrayBufferWriter<byte> _clean = new(4 * 1024);

    public void BeginReplace() => inner.BeginReplace();

    public void BeginReplaceAfterRestore() => inner.BeginReplaceAfterRestore();

    public void Replace(ReadOnlySpan<byte> item)
    {
        Redact(item);
        inner.Replace(_clean.WrittenSpan);
    }

    public void EndReplace(string resourceVersion) => inner.EndReplace(resourceVersion);

    public void AbortReplace() => inner.AbortReplace();

    public void Apply(WatchChange change, ReadOnlySpan<byte> item)
    {
        Redact(item);
        inner.Apply(change, _clean.WrittenSpan);
    }

    public void Bookmark(string resourceVersion) => inner.Bookmark(resourceVersion);

    /// <summary>Writes a secret without its values.</summary>
    /// <exception cref="FormatException">It is no JSON object.</exception>
    internal static void Redact(ReadOnlySpan<byte> secret, IBufferWriter<byte> clean)
    {
        try
        {
            var reader = new Utf8JsonReader(secret);
            using var writer = new Utf8JsonWriter(clean, new JsonWriterOptions { SkipValidation = true });
            bool inMetadata = false;
            bool inAnnotations = false;
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    int depth = reader.CurrentDepth;
                    if (depth == 1)
                    {
                        inMetadata = reader.ValueTextEquals("metadata"u8);
                        inAnnotations = false;
                    }
                    else if (depth == 2)
                    {
                        inAnnotations = inMetadata && reader.ValueTextEquals("annotations"u8);
                    }

                    bool isValue = depth == 1 && (reader.ValueTextEquals("data"u8) || reader.ValueTextEquals("stringData"u8));
                    bool isCopy = depth == 3 && inAnnotations && reader.ValueTextEquals("kubectl.kubernetes.io/last-applied-configuration"u8);
                    if (isValue || isCopy)
                    {
                        reader.Skip();
                        continue;
                    }
                }

                Copy(ref reader, writer);
            }

            writer.Flush();
        }
        catch (JsonException e)
        {
            throw new FormatException("A secret is no JSON object.", e);
        }
    }

    private static void Copy(ref Utf8JsonReader reader, Utf8JsonWriter writer)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                writer.WriteStartObject();
                break;
            case JsonTokenType.EndObject:
                writer.WriteEndObject();
                break;
            case JsonTokenType.StartArray:
                writer.WriteStartArray();
                break;
            case JsonTokenType.EndArray:
                writer.WriteEndArray();
                break;
            case JsonTokenType.PropertyName:
                writer.WritePropertyName(reader.GetString()!);
                break;
            case JsonTokenType.String:
                writer.WriteStringValue(reader.GetString());
                break;
            default:
                // Numbers, booleans and null as they came: reading a number could change how it is written.
                writer.WriteRawValue(reader.ValueSpan, skipInputValidation: true);
                break;
        }
    }

    private void Redact(ReadOnlySpan<byte> item)
    {
        _clean.Clear();
        Redact(item, _clean);
    }
}
