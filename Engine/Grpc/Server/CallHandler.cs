using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Grpc.Server;

/// <summary>Takes HTTP requests for one method: refuses what is no gRPC call, runs the rest.</summary>
internal sealed class CallHandler(
    IMethod method, ServiceSettings settings, bool streamsRequests, Func<HttpServerCall, Task> run, TimeProvider time, ILogger logger)
{
    public async Task HandleAsync(HttpContext http)
    {
        if (!IsGrpcCall(http))
        {
            return;
        }

        LiftBodyLimits(http);
        http.Response.ContentType = GrpcNames.ContentType;
        var call = new HttpServerCall(http, settings, time, logger);
        Exception? failure = null;
        try
        {
            call.Start();
            await run(call);
        }
        catch (Exception e)
        {
            failure = e;
        }

        await call.EndAsync(failure, method);
    }

    public static Task AnswerUnimplemented(HttpContext http, string detail)
    {
        http.Response.ContentType = GrpcNames.ContentType;
        ResponseStatus.Set(http.Response.Headers, new Status(StatusCode.Unimplemented, detail));
        return Task.CompletedTask;
    }

    private static bool IsGrpcCall(HttpContext http)
    {
        HttpRequest request = http.Request;
        if (!GrpcNames.IsGrpc(request.ContentType))
        {
            Refuse(
                http.Response, StatusCodes.Status415UnsupportedMediaType,
                request.ContentType is null ? "Content-Type is missing from the request." : "The Content-Type of the request is not supported.");
            return false;
        }

        if (!HttpProtocol.IsHttp2(request.Protocol) && !HttpProtocol.IsHttp3(request.Protocol))
        {
            http.Response.Headers[HeaderNames.Upgrade] = HttpProtocol.Http2;
            Refuse(http.Response, StatusCodes.Status426UpgradeRequired, $"Request protocol '{request.Protocol}' is not supported.");
            return false;
        }

        return true;
    }

    private static void Refuse(HttpResponse response, int httpStatus, string why)
    {
        response.StatusCode = httpStatus;
        ResponseStatus.Set(response.Headers, new Status(StatusCode.Internal, why));
    }

    // A call is bounded by its messages, which are checked one by one before they are buffered, and by its deadline; a stream
    // of requests may be long and may be silent for hours.
    private void LiftBodyLimits(HttpContext http)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = null;
        }

        if (streamsRequests && http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }
    }
}

/// <summary>The outcome of a call as headers or trailers.</summary>
internal static class ResponseStatus
{
    /// <summary>Where the outcome goes: behind the messages, or into the headers when there are none.</summary>
    public static IHeaderDictionary Destination(HttpResponse response) =>
        !response.HasStarted
            ? response.Headers
            : response.HttpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers
                ?? throw new InvalidOperationException("This server cannot send trailers; gRPC needs HTTP/2.");

    public static void Set(IHeaderDictionary destination, Status status)
    {
        destination[GrpcNames.StatusHeader] = GrpcNames.ToText(status.StatusCode);
        if (status.Detail.Length > 0)
        {
            destination[GrpcNames.MessageHeader] = StatusText.Encode(status.Detail);
        }
    }
}
