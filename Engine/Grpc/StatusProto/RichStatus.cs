using Google.Protobuf;

namespace Grpc.Core;

/// <summary>Rich error details in trailers.</summary>
public static class MetadataExtensions
{
    /// <summary>The trailer that carries them.</summary>
    public const string StatusDetailsTrailerName = "grpc-status-details-bin";

    /// <summary>The details, or null when there are none.</summary>
    /// <exception cref="InvalidProtocolBufferException">They are damaged, and <paramref name="ignoreParseError"/> is false.</exception>
    public static Google.Rpc.Status? GetRpcStatus(this Metadata metadata, bool ignoreParseError = false)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        if (metadata.Get(StatusDetailsTrailerName) is not { } entry)
        {
            return null;
        }

        try
        {
            return Google.Rpc.Status.Parser.ParseFrom(entry.Bytes);
        }
        catch (InvalidProtocolBufferException) when (ignoreParseError)
        {
            return null;
        }
    }

    /// <summary>Puts the details in, instead of those that were there.</summary>
    public static void SetRpcStatus(this Metadata metadata, Google.Rpc.Status status)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        ArgumentNullException.ThrowIfNull(status);
        foreach (Metadata.Entry old in metadata.GetAll(StatusDetailsTrailerName).ToList())
        {
            metadata.Remove(old);
        }

        metadata.Add(StatusDetailsTrailerName, status.ToByteArray());
    }
}

/// <summary>Rich error details in exceptions.</summary>
public static class RpcExceptionExtensions
{
    /// <summary>The details that came with the failure, or null.</summary>
    public static Google.Rpc.Status? GetRpcStatus(this RpcException ex)
    {
        ArgumentNullException.ThrowIfNull(ex);
        return ex.Trailers.GetRpcStatus();
    }
}

/// <summary>Rich error details to throw.</summary>
public static class RpcStatusExtensions
{
    /// <summary>A failure with the code and text of these details.</summary>
    public static RpcException ToRpcException(this Google.Rpc.Status status)
    {
        ArgumentNullException.ThrowIfNull(status);
        return status.ToRpcException((StatusCode)status.Code, status.Message);
    }

    /// <summary>A failure whose plain code and text differ from the details.</summary>
    public static RpcException ToRpcException(this Google.Rpc.Status status, StatusCode statusCode, string message)
    {
        ArgumentNullException.ThrowIfNull(status);
        var trailers = new Metadata();
        trailers.SetRpcStatus(status);
        return new RpcException(new Status(statusCode, message), trailers);
    }
}
