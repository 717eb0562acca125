using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Faults;

/// <summary>Does to one request what a fault says.</summary>
internal static class FaultEffects
{
    private const string Page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Please sign in to continue</h1></body></html>\n";

    /// <summary>Returns true when the fault was the whole answer.</summary>
    public static async Task<bool> ApplyAsync(Exchange exchange, Fault fault)
    {
        HttpContext http = exchange.Http;
        switch (fault.Kind)
        {
            case FaultKind.Latency:
                await Task.Delay(fault.Delay, exchange.Server.Time, exchange.Aborted);
                return false;
            case FaultKind.Status:
                await WriteStatusAsync(exchange, fault);
                return true;
            case FaultKind.ExpireWatch:
                await exchange.WriteBytesAsync(
                    [.. JsonTree.ToUtf8(new JsonObject { ["type"] = "ERROR", ["object"] = Refusal.TooOld(1, exchange.Server.Store.Revision).ToStatus() }), (byte)'\n'],
                    "application/json", 200);
                return true;
            case FaultKind.CutStream or FaultKind.HalfDocument or FaultKind.SlowDrip:
                // Compressed, the cut would be somewhere else than asked for.
                http.Request.Headers.AcceptEncoding = default;
                Replace(http, new FaultyBody(http, fault, exchange.Server.Time));
                return false;
            case FaultKind.Garbage:
                await exchange.WriteBytesAsync(Noise(fault.Bytes), "application/json", 200);
                return true;
            case FaultKind.Html:
                await exchange.WriteBytesAsync(Encoding.UTF8.GetBytes(Page), "text/html; charset=utf-8", 200);
                return true;
            case FaultKind.Silence:
                await Task.Delay(Timeout.InfiniteTimeSpan, exchange.Server.Time, exchange.Aborted);
                return true;
            case FaultKind.HugeObject:
                await WriteHugeAsync(exchange, fault.Bytes);
                return true;
            default:
                http.Abort();
                return true;
        }
    }

    private static Task WriteStatusAsync(Exchange exchange, Fault fault)
    {
        if (fault.RetryAfterSeconds is { } seconds)
        {
            exchange.Http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        return fault.StatusCode switch
        {
            401 => exchange.WriteRefusalAsync(Refusal.Unauthorized()),
            403 => exchange.WriteRefusalAsync(new StatusException(403, "Forbidden", "forbidden by a simulated fault") { NoSniff = true, Details = [] }),
            410 => exchange.WriteRefusalAsync(Refusal.ExpiredList()),
            429 => exchange.WriteTextAsync("Too many requests, please try again later.\n", 429),
            503 => exchange.WriteRefusalAsync(new StatusException(503, "ServiceUnavailable", "the server is currently unable to handle the request") { Details = [] }),
            504 => exchange.WriteRefusalAsync(new StatusException(504, "Timeout", "Timeout: request did not complete within the allotted timeout") { Details = [] }),
            _ => exchange.WriteRefusalAsync(new StatusException(fault.StatusCode, fault.StatusCode == 500 ? "InternalError" : null, "Internal error occurred: simulated fault") { Details = [] }),
        };
    }

    /// <summary>An object of the requested kind with one enormous annotation, in the frame that the request expects.</summary>
    private static async Task WriteHugeAsync(Exchange exchange, long bytes)
    {
        RequestTarget target = exchange.Target;
        ApiResource? resource = exchange.Server.Registry.Catalog.Find(target.Group, target.Version, target.Plural);
        string kind = resource?.Kind ?? "ConfigMap";
        string apiVersion = resource?.ApiVersion ?? "v1";
        string type = $"\"kind\":\"{kind}\",\"apiVersion\":\"{apiVersion}\",";
        string ns = target.Namespace.Length > 0 ? target.Namespace : "default";
        string revision = exchange.Server.Store.Revision.ToString(CultureInfo.InvariantCulture);
        string begin = $"\"metadata\":{{\"name\":\"huge\",\"namespace\":\"{ns}\",\"uid\":\"00000000-0000-4000-8000-000000000000\",\"resourceVersion\":\"{revision}\",\"annotations\":{{\"huge\":\"";
        (string head, string tail) = target.Verb switch
        {
            "list" => ($"{{\"kind\":\"{kind}List\",\"apiVersion\":\"{apiVersion}\",\"metadata\":{{\"resourceVersion\":\"{revision}\"}},\"items\":[{{{begin}", "\"}}}]}\n"),
            "watch" => ($"{{\"type\":\"ADDED\",\"object\":{{{type}{begin}", "\"}}}}\n"),
            _ => ($"{{{type}{begin}", "\"}}}\n"),
        };
        HttpResponse response = exchange.Http.Response;
        response.ContentType = "application/json";
        await response.WriteAsync(head, exchange.Aborted);
        byte[] piece = new byte[64 * 1024];
        piece.AsSpan().Fill((byte)'x');
        for (long left = bytes; left > 0; left -= piece.Length)
        {
            await response.Body.WriteAsync(piece.AsMemory(0, (int)Math.Min(left, piece.Length)), exchange.Aborted);
        }

        await response.WriteAsync(tail, exchange.Aborted);
    }

    private static byte[] Noise(long bytes)
    {
        byte[] noise = new byte[bytes];
        for (int i = 0; i < noise.Length; i++)
        {
            noise[i] = (byte)IdSource.Mix((ulong)i);
        }

        return noise;
    }

    private static void Replace(HttpContext http, Stream body) =>
        http.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(body, http.Features.GetRequiredFeature<IHttpResponseBodyFeature>()));
}

/// <summary>A response body that breaks, ends or slows down on its way.</summary>
internal sealed class FaultyBody(HttpContext http, Fault fault, TimeProvider time) : Stream
{
    private readonly Stream _inner = http.Response.Body;
    private long _written;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // Whatever length was announced, it would not hold.
        if (!http.Response.HasStarted)
        {
            http.Response.ContentLength = null;
        }

        if (fault.Kind == FaultKind.SlowDrip)
        {
            for (int at = 0; at < buffer.Length; at += (int)fault.Bytes)
            {
                await Task.Delay(fault.Delay, time, cancellationToken);
                await _inner.WriteAsync(buffer.Slice(at, (int)Math.Min(fault.Bytes, buffer.Length - at)), cancellationToken);
                await _inner.FlushAsync(cancellationToken);
            }

            return;
        }

        int allowed = (int)Math.Clamp(fault.Bytes - _written, 0, buffer.Length);
        _written += buffer.Length;
        await _inner.WriteAsync(buffer[..allowed], cancellationToken);
        if (fault.Kind == FaultKind.CutStream && _written > fault.Bytes)
        {
            await _inner.FlushAsync(cancellationToken);
            http.Abort();
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Response bodies are written asynchronously.");

    public override Task FlushAsync(CancellationToken cancellationToken) => _inner.FlushAsync(cancellationToken);

    public override void Flush()
    {
        // Nothing is held back here.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
