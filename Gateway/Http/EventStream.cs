using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>A watch as server-sent events.</summary>
/// <remarks>
/// Events are <c>added</c>, <c>modified</c>, <c>deleted</c>, <c>coverage</c>, <c>gone</c> (a cluster has left the watch),
/// <c>synced</c> (the present is complete), <c>bookmark</c> and <c>end</c> (with what to do). Their <c>id</c> is a revision that is safe to resume from, so that a browser's reconnect with
/// <c>Last-Event-ID</c> misses nothing.
/// </remarks>
internal static class EventStream
{
    // A reader that takes nothing for this long is gone or too slow; the mirror's history would outrun it anyway.
    private static readonly TimeSpan WriteDeadline = TimeSpan.FromSeconds(30);

    // What is not flushed is held: a whole batch in this form would be held a second time while its reader takes nothing.
    private const int MaxUnflushed = 64 * 1024;

    // In place of a revision: the reader shall forget the one it has.
    private const long Forget = -1;

    public static async Task WriteAsync(HttpContext http, IAsyncEnumerator<FleetWatchBatch> batches, TimeProvider time)
    {
        CancellationToken aborted = http.RequestAborted;

        // The first batch is asked for before the headers go out, so that a wrong request is still answered with 400.
        bool more = await batches.MoveNextAsync();
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers["X-Accel-Buffering"] = "no";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        PipeWriter output = http.Response.BodyWriter;
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        while (more)
        {
            FleetWatchBatch batch = batches.Current;
            if (!await WrittenAsync(output, buffer, batch, time, aborted)
                || !await FlushedAsync(output, time, aborted) || batch.End != FleetWatchEnd.None)
            {
                return;
            }

            more = await batches.MoveNextAsync();
        }
    }

    private static async Task<bool> FlushedAsync(PipeWriter output, TimeProvider time, CancellationToken aborted)
    {
        using var deadline = new CancellationTokenSource(WriteDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, aborted);
        try
        {
            FlushResult flushed = await output.FlushAsync(either.Token);
            return !flushed.IsCompleted && !flushed.IsCanceled;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Writes a batch, the last of it not flushed yet; false where the reader is gone or takes nothing.</summary>
    private static async ValueTask<bool> WrittenAsync(
        PipeWriter output, ArrayBufferWriter<byte> buffer, FleetWatchBatch batch, TimeProvider time, CancellationToken aborted)
    {
        foreach (ClusterCoverage coverage in batch.Coverage)
        {
            WriteEvent(output, "coverage", 0, PageWriter.ToBytes(buffer, json => JsonSerializer.Serialize(json, coverage.ToHttp(), HttpJson.Api.HttpCoverage)).Span);
        }

        foreach (FleetEvent change in batch.Events)
        {
            WriteEvent(output, HttpMapping.Text(change.Type), change.Revision, PageWriter.ToBytes(buffer, json => PageWriter.WriteItem(json, change.Item)).Span);
            if (output.UnflushedBytes > MaxUnflushed && !await FlushedAsync(output, time, aborted))
            {
                return false;
            }
        }

        foreach (string cluster in batch.Gone)
        {
            WriteEvent(output, "gone", 0, PageWriter.ToBytes(buffer, json => WriteOne(json, "cluster", cluster)).Span);
        }

        // None yet while a cluster owes its present state; a number that is no revision would only be sent back to us.
        string revision = batch.Revision > 0 ? batch.Revision.ToString(CultureInfo.InvariantCulture) : "";
        if (batch.End != FleetWatchEnd.None)
        {
            // An empty id makes a browser forget the revision: it would come back with the expired one for ever.
            WriteEvent(output, "end", batch.End == FleetWatchEnd.Expired ? Forget : 0, PageWriter.ToBytes(buffer, json =>
            {
                json.WriteStartObject();
                json.WriteString("reason", HttpMapping.Text(batch.End));
                json.WriteString("message", batch.EndMessage);
                json.WriteEndObject();
            }).Span);
        }
        else if (!batch.InitialEnd && batch.Revision == 0)
        {
            output.Write(":\n\n"u8);   // a comment, so that proxies see the stream alive
        }
        else if (batch.InitialEnd || batch.Events.IsEmpty)
        {
            WriteEvent(output, batch.InitialEnd ? "synced" : "bookmark", batch.Revision, PageWriter.ToBytes(buffer, json => WriteOne(json, "revision", revision)).Span);
        }

        return true;
    }

    private static void WriteOne(Utf8JsonWriter json, string name, string value)
    {
        json.WriteStartObject();
        json.WriteString(name, value);
        json.WriteEndObject();
    }

    private static void WriteEvent(PipeWriter output, string type, long revision, ReadOnlySpan<byte> data)
    {
        output.Write("event: "u8);
        output.Write(Encoding.ASCII.GetBytes(type));
        if (revision > 0)
        {
            output.Write("\nid: "u8);
            output.Write(Encoding.ASCII.GetBytes(revision.ToString(CultureInfo.InvariantCulture)));
        }
        else if (revision == Forget)
        {
            output.Write("\nid:"u8);
        }

        // A member that answers with indented JSON would break the line format; a line break between tokens may be cut there.
        while (!data.IsEmpty)
        {
            int end = data.IndexOfAny((byte)'\n', (byte)'\r');
            output.Write("\ndata: "u8);
            output.Write(end < 0 ? data : data[..end]);
            data = end < 0 ? default : data[(end + 1)..];
        }

        output.Write("\n\n"u8);
    }
}
