using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using MultiCluster.Simulator.Admission;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Reads the bodies of requests.</summary>
internal static class RequestBody
{
    private const int MaxBytes = 3_145_728;

    /// <summary>The raw body, at most 3 MiB.</summary>
    /// <exception cref="StatusException">413.</exception>
    public static async Task<byte[]> ReadAsync(HttpContext http)
    {
        if (http.Request.ContentLength > MaxBytes)
        {
            throw TooLarge(http);
        }

        using var body = new MemoryStream();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            int read;
            while ((read = await http.Request.Body.ReadAsync(buffer, http.RequestAborted)) > 0)
            {
                if (body.Length + read > MaxBytes)
                {
                    throw TooLarge(http);
                }

                body.Write(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return body.ToArray();
    }

    /// <summary>The object in the body of a create or an update, in the storage version, checked for type, kind and unknown fields.</summary>
    /// <exception cref="StatusException">400, 413 or 415.</exception>
    public static async Task<JsonObject> ReadObjectAsync(Exchange exchange)
    {
        byte[] body = await ReadAsync(exchange.Http);
        ApiResource resource = exchange.Resource;
        var duplicates = new List<string>();
        JsonObject tree = Decode(exchange, body, resource.Kind, duplicates);
        (string? apiVersion, string? kind) = (tree.Text("apiVersion"), tree.Text("kind"));
        if ((kind is not null && kind != resource.Kind) || (apiVersion is not null && apiVersion != resource.ApiVersion && kind is not null))
        {
            string version = (apiVersion ?? resource.ApiVersion).Split('/')[^1];
            if (kind != resource.Kind)
            {
                throw Refusal.BadRequest(
                    $"{kind} in version \"{version}\" cannot be handled as a {resource.Kind}: converting ({version}.{kind}) to (core.{resource.Kind}): unknown conversion");
            }

            throw Refusal.BadRequest(
                $"the API version in the data ({apiVersion}) does not match the expected API version ({resource.ApiVersion})");
        }

        CheckFields(exchange, tree, duplicates);
        if (resource.Custom is null)
        {
            BuiltInValidation.CheckTypes(resource, tree);
        }

        return VersionConversion.ToStorage(resource, tree);
    }

    /// <summary>The body as an object of no particular resource, such as DeleteOptions or a Scale; null when it is empty.</summary>
    public static async Task<JsonObject?> ReadOptionsAsync(Exchange exchange, string kind)
    {
        byte[] body = await ReadAsync(exchange.Http);
        return body.Length == 0 ? null : Decode(exchange, body, kind, []);
    }

    /// <summary>Warns of unknown and duplicate fields, or refuses them, as <c>fieldValidation</c> says.</summary>
    public static void CheckFields(Exchange exchange, JsonObject tree, List<string> duplicates)
    {
        string mode = exchange.Http.Request.Query["fieldValidation"].ToString();
        if (mode == "Ignore")
        {
            return;
        }

        ApiResource resource = exchange.Resource;
        List<string> faults = [.. UnknownFields.Of(exchange.Server.Schemas, resource, tree).Select(f => $"unknown field \"{f}\"")];
        faults.AddRange(duplicates.Select(d => $"duplicate field \"{d}\""));
        if (faults.Count == 0)
        {
            return;
        }

        if (mode == "Strict")
        {
            throw Refusal.BadRequest(resource.Custom is null
                ? $"{resource.Kind} in version \"{resource.Version}\" cannot be handled as a {resource.Kind}: strict decoding error: {string.Join(", ", faults)}"
                : $"strict decoding error: {string.Join(", ", faults)}");
        }

        foreach (string fault in faults)
        {
            exchange.Warn(fault);
        }
    }

    private static JsonObject Decode(Exchange exchange, byte[] body, string kind, List<string> duplicates)
    {
        string type = (exchange.Http.Request.ContentType ?? "application/json").Split(';')[0].Trim();
        if (type == ProtobufBody.ContentType && exchange.Resource?.Custom is null && ProtobufBody.ToJson(body) is { } read)
        {
            return read;
        }

        if (type is not ("application/json" or "application/yaml" or ""))
        {
            throw exchange.Resource?.Custom is null
                ? Refusal.UnknownBodyType("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
                : Refusal.UnknownBodyType("application/json", "application/yaml");
        }

        try
        {
            if (type == "application/yaml")
            {
                return YamlText.ToJson(body) as JsonObject ?? throw Unrecognised(body, kind, "cannot unmarshal into Go value of type struct");
            }

            return JsonTree.Parse(body, duplicates) as JsonObject
                ?? throw Unrecognised(body, kind, "json: cannot unmarshal array into Go value of type struct");
        }
        catch (JsonException e)
        {
            throw Unrecognised(body, kind, GoMessage(body, e));
        }
    }

    /// <summary>What Go's decoder says about broken JSON.</summary>
    public static string GoMessage(ReadOnlySpan<byte> body, JsonException fault)
    {
        // The reader of .NET stands at the end when input is missing, and at the culprit when there is one too many.
        long at = fault.BytePositionInLine ?? 0;
        bool single = body.IndexOf((byte)'\n') < 0;
        return !single || at >= body.Length || fault.Message.Contains("end of the data", StringComparison.Ordinal) || fault.Message.Contains("end of data", StringComparison.Ordinal)
            ? "unexpected end of JSON input"
            : $"invalid character '{(char)body[(int)at]}' looking for beginning of value";
    }

    private static StatusException Unrecognised(ReadOnlySpan<byte> body, string kind, string why)
    {
        string shown = body.IsEmpty ? "<empty>" : Encoding.UTF8.GetString(body.Length > 30 ? body[..30] : body) + " ...";
        return Refusal.BadRequest($"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {why} ({shown})");
    }

    private static StatusException TooLarge(HttpContext http)
    {
        http.Response.Headers.Connection = "close";
        return Refusal.BodyTooLarge(MaxBytes);
    }
}
