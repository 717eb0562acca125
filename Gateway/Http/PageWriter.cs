using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>Writes objects as they are into our JSON: their bytes are copied once, never parsed.</summary>
internal static class PageWriter
{
    // The mirror has scanned every object on its way in; checking each again would cost more than the rest of the answer.
    private static readonly JsonWriterOptions Trusting = new() { SkipValidation = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Enough for full network packets; small enough that the first objects leave while the last are still being written.
    private const int FlushBytes = 64 * 1024;

    public static async Task WriteAsync(System.IO.Pipelines.PipeWriter output, FleetPage page, CancellationToken cancellationToken)
    {
        await using var json = new Utf8JsonWriter(output, Trusting);
        json.WriteStartObject();
        json.WriteString("revision", page.RevisionText);
        if (page.Continue is { } token)
        {
            json.WriteString("continue", token);
        }

        WriteCoverage(json, page.Coverage);
        json.WriteStartArray("items");
        foreach (FleetItem item in page.Items)
        {
            WriteItem(json, item);
            if (json.BytesPending >= FlushBytes)
            {
                await json.FlushAsync(cancellationToken);
                await output.FlushAsync(cancellationToken);
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
        await json.FlushAsync(cancellationToken);
    }

    public static async Task WriteAsync(System.IO.Pipelines.PipeWriter output, FleetObjects objects, CancellationToken cancellationToken) =>
        await WriteAsync(output, new FleetPage { Items = objects.Items, Coverage = objects.Coverage, Revision = objects.Revision }, cancellationToken);

    public static void WriteItem(Utf8JsonWriter json, in FleetItem item)
    {
        json.WriteStartObject();
        json.WriteString("cluster", item.Cluster);
        json.WriteString("namespace", item.Row.Namespace);
        json.WriteString("name", item.Row.Name);
        json.WriteString("uid", item.Row.Uid == Guid.Empty ? "" : item.Row.Uid.ToString());
        json.WriteString("readiness", HttpMapping.Text(item.Row.Readiness));
        if (item.Row.ReadinessReason is { Length: > 0 } reason)
        {
            json.WriteString("readinessReason", reason);
        }

        if (!item.Json.IsEmpty)
        {
            json.WritePropertyName("object");
            json.WriteRawValue(item.Json.Span, skipInputValidation: true);
        }

        json.WriteEndObject();
    }

    public static void WriteCoverage(Utf8JsonWriter json, IReadOnlyList<ClusterCoverage> coverage)
    {
        json.WriteStartArray("coverage");
        foreach (ClusterCoverage one in coverage)
        {
            JsonSerializer.Serialize(json, one.ToHttp(), HttpJson.Api.HttpCoverage);
        }

        json.WriteEndArray();
    }

    /// <summary>One message as UTF-8, for a line of an event stream.</summary>
    public static ReadOnlyMemory<byte> ToBytes(ArrayBufferWriter<byte> buffer, Action<Utf8JsonWriter> write)
    {
        buffer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(buffer, Trusting))
        {
            write(json);
        }

        return buffer.WrittenMemory;
    }
}
