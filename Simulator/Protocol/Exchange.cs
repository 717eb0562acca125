using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Security;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>One request and its answer.</summary>
internal sealed class Exchange(HttpContext http, RequestTarget target, ServerParts server)
{
    // Bodies above this go out compressed to clients that take gzip, and never below.
    private const int GzipFrom = 128 * 1024;

    // Go's net/http sends what fits its buffer with a length, and chunks the rest.
    private const int ChunkFrom = 2048;

    // How much may be waiting for the socket before a stream is flushed: large enough to keep the socket busy.
    private const int FlushAt = 256 * 1024;

    public HttpContext Http => http;

    public RequestTarget Target => target;

    public ServerParts Server => server;

    /// <summary>Who sent it, after impersonation.</summary>
    public UserInfo User { get; set; } = UserInfo.Anonymous;

    /// <summary>The resource that it is about; set once it is known to exist.</summary>
    public ApiResource Resource { get; set; } = null!;

    /// <summary>Cancelled when the client goes away or the server stops.</summary>
    public CancellationToken Aborted => http.RequestAborted;

    /// <summary>Adds a Warning header; call before the body.</summary>
    public void Warn(string text)
    {
        string quoted = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        http.Response.Headers["Warning"] = StringValues.Concat(http.Response.Headers["Warning"], $"299 - \"{quoted}\"");
    }

    /// <summary>Answers with an object of the requested resource, in the form that was negotiated.</summary>
    /// <param name="tree">Storage form without kind and apiVersion.</param>
    /// <param name="status">HTTP status.</param>
    public Task WriteObjectAsync(JsonObject tree, int status = 200)
    {
        Negotiation negotiation = Negotiation.Of(http.Request);
        JsonObject typed = Typed(Resource, tree);
        JsonNode body = negotiation.Form switch
        {
            BodyForm.Table => server.Tables.Render(Resource, [typed], new JsonObject { ["resourceVersion"] = tree.Text("metadata", "resourceVersion") }, this),
            BodyForm.PartialMetadata => PartialMetadata(typed, negotiation),
            _ => typed,
        };
        return WriteAsync(body, negotiation, status);
    }

    /// <summary>Answers with a tree as it is.</summary>
    public Task WriteAsync(JsonNode body, Negotiation negotiation, int status = 200)
    {
        if (negotiation.Yaml)
        {
            return WriteBytesAsync(YamlText.FromJson(body), "application/yaml", status);
        }

        // Indented bodies end with their brace, compact ones with a newline: so does the real server.
        byte[] bytes = negotiation.Pretty ? JsonTree.ToIndentedUtf8(body) : [.. JsonTree.ToUtf8(body), (byte)'\n'];
        return WriteBytesAsync(bytes, "application/json", status);
    }

    /// <summary>Answers with a document that has no other forms, such as discovery.</summary>
    public Task WriteDocumentAsync(byte[] json, string contentType = "application/json") => Negotiation.IsPretty(http.Request)
        ? WriteBytesAsync(JsonTree.ToIndentedUtf8(JsonTree.Parse(json)), contentType, 200)
        : WriteBytesAsync(json, contentType, 200);

    public Task WriteTextAsync(string text, int status = 200, bool noSniff = true)
    {
        if (noSniff)
        {
            http.Response.Headers.XContentTypeOptions = "nosniff";
        }

        return WriteBytesAsync(System.Text.Encoding.UTF8.GetBytes(text), "text/plain; charset=utf-8", status);
    }

    public Task WriteNotFoundPathAsync() => WriteTextAsync("404 page not found\n", 404);

    /// <summary>Answers with a refusal.</summary>
    public Task WriteRefusalAsync(StatusException refusal)
    {
        if (refusal.NoSniff)
        {
            http.Response.Headers.XContentTypeOptions = "nosniff";
        }

        if (refusal.RetryAfterSeconds is { } seconds)
        {
            http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        bool pretty = refusal.Pretty || (refusal.Code is not (401 or 403) && Negotiation.IsPrettyError(http.Request));
        return WriteAsync(refusal.ToStatus(), new Negotiation(BodyForm.Object, false, pretty), refusal.Code);
    }

    /// <summary>Answers with bytes, with a length or chunked, compressed or not, as the real server decides it.</summary>
    public async Task WriteBytesAsync(byte[] bytes, string contentType, int status)
    {
        HttpResponse response = http.Response;
        response.StatusCode = status;
        response.ContentType = contentType;
        if (bytes.Length > GzipFrom && TakesGzip)
        {
            await using GZipStream gzip = StartGzip();
            await gzip.WriteAsync(bytes, Aborted);
            return;
        }

        if (bytes.Length <= ChunkFrom)
        {
            response.ContentLength = bytes.Length;
        }

        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await response.Body.WriteAsync(bytes, Aborted);
        }
    }

    /// <summary>Writes a body of any size without holding more than a few hundred kilobytes of it.</summary>
    /// <param name="parts">Writes one part, such as one item; false when there is no more.</param>
    public async Task StreamAsync(Func<IBufferWriter<byte>, bool> parts)
    {
        HttpResponse response = http.Response;
        response.StatusCode = 200;
        response.ContentType = "application/json";
        var start = new ArrayBufferWriter<byte>(4096);
        bool more = true;
        while (more && start.WrittenCount <= GzipFrom)
        {
            more = parts(start);
        }

        if (!more)
        {
            await WriteBytesAsync(start.WrittenSpan.ToArray(), "application/json", 200);
            return;
        }

        if (TakesGzip)
        {
            await using GZipStream gzip = StartGzip();
            while (true)
            {
                await gzip.WriteAsync(start.WrittenMemory, Aborted);
                if (!more)
                {
                    return;
                }

                start.ResetWrittenCount();
                while (more && start.WrittenCount < FlushAt)
                {
                    more = parts(start);
                }
            }
        }

        response.BodyWriter.Write(start.WrittenSpan);
        while (more)
        {
            more = parts(response.BodyWriter);
            if (response.BodyWriter.UnflushedBytes >= FlushAt)
            {
                await response.BodyWriter.FlushAsync(Aborted);
            }
        }

        await response.BodyWriter.FlushAsync(Aborted);
    }

    /// <summary>An object with kind and apiVersion in the requested version, built-in kinds in the order of the wire.</summary>
    public static JsonObject Typed(ApiResource resource, JsonObject tree)
    {
        JsonObject converted = VersionConversion.FromStorage(resource, tree);
        var typed = new JsonObject();
        if (resource.Custom is null)
        {
            typed["kind"] = resource.Kind;
        }

        typed["apiVersion"] = resource.ApiVersion;
        typed["kind"] = resource.Kind;
        foreach ((string key, JsonNode? value) in converted)
        {
            typed[key] = value?.DeepClone();
        }

        return typed;
    }

    /// <summary>The PartialObjectMetadata of an object.</summary>
    public static JsonObject PartialMetadata(JsonObject typed, Negotiation negotiation) => new()
    {
        ["kind"] = "PartialObjectMetadata",
        ["apiVersion"] = negotiation.TransformVersion,
        ["metadata"] = JsonTree.InBuiltInOrder(new JsonObject { ["metadata"] = typed["metadata"]?.DeepClone() })["metadata"]!.DeepClone(),
    };

    private bool TakesGzip => http.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.Ordinal);

    private GZipStream StartGzip()
    {
        http.Response.Headers.ContentEncoding = "gzip";
        http.Response.Headers.Vary = "Accept-Encoding";
        return new GZipStream(http.Response.Body, CompressionLevel.Fastest, leaveOpen: true);
    }
}
