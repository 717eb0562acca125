using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>The header names and fixed values of gRPC over HTTP/2.</summary>
internal static class GrpcNames
{
    public const string ContentType = "application/grpc";
    public const string StatusHeader = "grpc-status";
    public const string MessageHeader = "grpc-message";
    public const string TimeoutHeader = "grpc-timeout";
    public const string EncodingHeader = "grpc-encoding";
    public const string AcceptEncodingHeader = "grpc-accept-encoding";

    /// <summary>Never sent: set by callers to choose the encoding of one call.</summary>
    public const string EncodingRequestKey = "grpc-internal-encoding-request";

    public const string Identity = "identity";
    public const string Gzip = "gzip";

    /// <summary>What we can decode, as advertised.</summary>
    public const string AcceptedEncodings = "identity,gzip";

    /// <summary>Compressed flag and a big-endian length.</summary>
    public const int FrameHeaderSize = 5;

    /// <summary>4 MiB, the receive limit that every gRPC implementation starts with.</summary>
    public const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    private static readonly string[] StatusTexts = [.. Enumerable.Range(0, 17).Select(code => code.ToString())];

    // Spoken for by HTTP and gRPC themselves, so they are no metadata in either direction.
    private static readonly HashSet<string> Reserved = new(StringComparer.OrdinalIgnoreCase)
    {
        StatusHeader, MessageHeader, TimeoutHeader, EncodingHeader, AcceptEncodingHeader, EncodingRequestKey,
        "content-type", "content-encoding", "content-length", "te", "host", "accept-encoding", "connection", "transfer-encoding",
        "keep-alive", "upgrade", "proxy-connection",
    };

    public static string ToText(StatusCode code) => (uint)code < (uint)StatusTexts.Length ? StatusTexts[(int)code] : ((int)code).ToString();

    /// <summary>Whether a header of this name is transport, not metadata.</summary>
    public static bool IsReserved(string name) => name.StartsWith(':') || Reserved.Contains(name);

    /// <summary>Whether this is <c>application/grpc</c>, bare or with a suffix or parameter, but not gRPC-Web.</summary>
    public static bool IsGrpc(ReadOnlySpan<char> contentType) =>
        contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is '+' or ';' or ' ');
}
