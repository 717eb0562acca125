using Grpc.Core;
using Grpc.Net.Client;

namespace MultiCluster.Engine.Grpc.Client;

/// <summary>Starts calls over a channel.</summary>
internal sealed class HttpCallInvoker(GrpcChannel channel) : CallInvoker
{
    // The signature is the API's: it blocks. The call itself never needs the blocked thread.
    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        AsyncUnaryCall(method, host, options, request).GetAwaiter().GetResult();

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var call = new ClientCall<TRequest, TResponse>(channel, method, host, options);
        return new AsyncUnaryCall<TResponse>(
            call.SendSingleAsync(request), static state => ((ICall)state).Headers, static state => ((ICall)state).Status,
            static state => ((ICall)state).Trailers, static state => ((ICall)state).Dispose(), call);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var call = new ClientCall<TRequest, TResponse>(channel, method, host, options);
        return new AsyncServerStreamingCall<TResponse>(
            call.SendForStream(request), static state => ((ICall)state).Headers, static state => ((ICall)state).Status,
            static state => ((ICall)state).Trailers, static state => ((ICall)state).Dispose(), call);
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = new ClientCall<TRequest, TResponse>(channel, method, host, options);
        Task<TResponse> response = call.OpenForSingleAsync(out IClientStreamWriter<TRequest> requests);
        return new AsyncClientStreamingCall<TRequest, TResponse>(
            requests, response, static state => ((ICall)state).Headers, static state => ((ICall)state).Status,
            static state => ((ICall)state).Trailers, static state => ((ICall)state).Dispose(), call);
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = new ClientCall<TRequest, TResponse>(channel, method, host, options);
        IAsyncStreamReader<TResponse> responses = call.OpenForStream(out IClientStreamWriter<TRequest> requests);
        return new AsyncDuplexStreamingCall<TRequest, TResponse>(
            requests, responses, static state => ((ICall)state).Headers, static state => ((ICall)state).Status,
            static state => ((ICall)state).Trailers, static state => ((ICall)state).Dispose(), call);
    }
}

/// <summary>What the call objects ask of a running call, whatever its message types.</summary>
internal interface ICall : IDisposable
{
    Task<Metadata> Headers { get; }

    Status Status { get; }

    Metadata Trailers { get; }
}
