using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Logging;

namespace MultiCluster.Gateway.Grpc;

/// <summary>Turns the exceptions of our read model and commands into statuses; what it does not know leaves as INTERNAL without a text.</summary>
internal sealed partial class ErrorInterceptor(ILogger<ErrorInterceptor> logger) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw Translate(e, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw Translate(e, context);
        }
    }

    private RpcException Translate(Exception error, ServerCallContext context)
    {
        if (context.CancellationToken.IsCancellationRequested)
        {
            return new RpcException(new Status(StatusCode.Cancelled, "The call was cancelled."));
        }

        if (WireErrors.Of(error) is { } known)
        {
            return known;
        }

        LogFailed(logger, error, context.Method);
        return new RpcException(new Status(StatusCode.Internal, "The service failed; its log says why."));
    }

    [LoggerMessage(5001, LogLevel.Error, "The call of {Method} failed.", EventName = "GrpcCallFailed")]
    private static partial void LogFailed(ILogger logger, Exception error, string method);
}
