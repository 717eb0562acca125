using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Grpc.Client;

/// <summary>What HTTP says, in the terms of gRPC.</summary>
internal static class ResponseMapping
{
    // HTTP/2 error codes of RFC 9113, section 7, that mean something other than INTERNAL to a gRPC caller.
    private const long RefusedStream = 0x7;
    private const long Cancel = 0x8;
    private const long EnhanceYourCalm = 0xb;
    private const long InadequateSecurity = 0xc;

    /// <summary>Why this response is no gRPC response, or null when it is one.</summary>
    public static Status? Refusal(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            // A gRPC server that refuses by HTTP may say more in gRPC terms.
            string said = StatusOf(response.Headers) is { StatusCode: not StatusCode.OK, Detail.Length: > 0 } status ? $" {status.Detail}" : "";
            return new Status(CodeOf(response.StatusCode), $"The server answered with HTTP status {(int)response.StatusCode}.{said}");
        }

        string? contentType = response.Content.Headers.NonValidated.TryGetValues("Content-Type", out HeaderStringValues values) ? values.ToString() : null;
        return GrpcNames.IsGrpc(contentType)
            ? null
            : new Status(StatusCode.Cancelled, $"The server did not answer with gRPC: its content-type is {(contentType is null ? "missing" : $"'{contentType}'")}.");
    }

    public static Metadata ReadMetadata(HttpResponseHeaders headers)
    {
        var metadata = new Metadata();
        foreach ((string name, HeaderStringValues values) in headers.NonValidated)
        {
            foreach (string value in values)
            {
                MetadataHeaders.Add(metadata, name, value);
            }
        }

        return metadata.Freeze();
    }

    /// <summary>The outcome among these headers or trailers, or null when there is none.</summary>
    public static Status? StatusOf(HttpResponseHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues(GrpcNames.StatusHeader, out HeaderStringValues codes))
        {
            return null;
        }

        if (!int.TryParse(codes.ToString(), out int code))
        {
            return new Status(StatusCode.Unknown, $"The server sent the malformed grpc-status '{codes}'.");
        }

        string detail = headers.NonValidated.TryGetValues(GrpcNames.MessageHeader, out HeaderStringValues texts) ? StatusText.Decode(texts.ToString()) : "";
        return new Status(code is >= 0 and <= 16 ? (StatusCode)code : StatusCode.Unknown, detail);
    }

    public static Status StatusOf(Exception failure)
    {
        for (Exception? e = failure; e is not null; e = e.InnerException)
        {
            if (e is HttpProtocolException protocol)
            {
                StatusCode code = protocol.ErrorCode switch
                {
                    RefusedStream => StatusCode.Unavailable,
                    Cancel => StatusCode.Cancelled,
                    EnhanceYourCalm => StatusCode.ResourceExhausted,
                    InadequateSecurity => StatusCode.PermissionDenied,
                    _ => StatusCode.Internal,
                };
                return new Status(code, $"The server broke the call off with HTTP/2 error {protocol.ErrorCode}.", failure);
            }
        }

        return failure switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.VersionNegotiationError } =>
                new Status(StatusCode.Internal, "The server does not speak HTTP/2 here.", failure),
            HttpRequestException http => new Status(StatusCode.Unavailable, $"The server cannot be reached: {http.Message}", failure),
            OperationCanceledException => new Status(StatusCode.Cancelled, "The call was broken off.", failure),
            IOException => new Status(StatusCode.Unavailable, "The connection to the server broke.", failure),
            _ => new Status(StatusCode.Internal, $"The call could not be made: {failure.Message}", failure),
        };
    }

    private static StatusCode CodeOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest or HttpStatusCode.RequestHeaderFieldsTooLarge => StatusCode.Internal,
        HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
        HttpStatusCode.NotFound => StatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => StatusCode.Unavailable,
        _ => StatusCode.Unknown,
    };
}
