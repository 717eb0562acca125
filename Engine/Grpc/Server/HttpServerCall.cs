using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Grpc.Server;

/// <summary>One call on the server: what its handler sees, and the single place that decides how it ends.</summary>
/// <remarks>
/// Handler, deadline timer and client race for the end of the call. Whoever sets <see cref="_ended"/> under the lock decides the
/// status; nothing is written afterwards. A write that is under way keeps the response to itself until it is done.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "See _cancellation.")]
internal sealed partial class HttpServerCall(HttpContext http, ServiceSettings settings, TimeProvider time, ILogger logger) : ServerCallContext
{
    // Longer waits than a timer can hold are split.
    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(30);

    // RST_STREAM codes of RFC 9113, section 7.
    private const int ResetCancel = 0x8;

    // A writer that asks for buffering (BufferHint) is flushed at this size all the same, so that the hint cannot fill the memory.
    private const int LargestUnflushed = 64 * 1024;

    private readonly Lock _gate = new();
    private readonly MessageReader _reader = new(http.Request.BodyReader, settings.MaxReceiveMessageSize, http.Request.Headers[GrpcNames.EncodingHeader]);
    private readonly MessageWriter _writer = new(settings.MaxSendMessageSize, settings.CompressionLevel);

    // Only with a deadline. Never disposed: the timer may still be cancelling it when the handler has returned, and it holds nothing.
    private CancellationTokenSource? _cancellation;
    private CancellationTokenRegistration _clientGone;
    private ITimer? _timer;
    private DateTime _deadline = DateTime.MaxValue;
    private Metadata? _requestHeaders;
    private Metadata? _responseTrailers;
    private AuthContext? _authContext;
    private string? _responseEncoding;
    private bool _ended;
    private bool _expired;
    private bool _writing;
    private Task _lastWrite = Task.CompletedTask;
    private Task _closing = Task.CompletedTask;

    public HttpContext Http => http;

    protected override string MethodCore => http.Request.Path.Value!;

    protected override string HostCore => http.Request.Host.Value ?? "";

    protected override string PeerCore => http.Connection.RemoteIpAddress switch
    {
        { AddressFamily: AddressFamily.InterNetwork } ip => $"ipv4:{ip}:{http.Connection.RemotePort}",
        { AddressFamily: AddressFamily.InterNetworkV6 } ip => $"ipv6:[{ip}]:{http.Connection.RemotePort}",
        _ => "unknown",
    };

    protected override DateTime DeadlineCore => _deadline;

    protected override Metadata RequestHeadersCore => _requestHeaders ??= ReadRequestHeaders();

    protected override CancellationToken CancellationTokenCore => _cancellation?.Token ?? http.RequestAborted;

    protected override Metadata ResponseTrailersCore => _responseTrailers ??= [];

    protected override Status StatusCore { get; set; }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore => _authContext ??= PeerIdentity.Of(http.Connection.ClientCertificate);

    /// <summary>Arms the deadline that the client named.</summary>
    public void Start()
    {
        StringValues timeouts = http.Request.Headers[GrpcNames.TimeoutHeader];
        if (timeouts.Count == 0)
        {
            return;
        }

        if (timeouts.Count > 1 || !GrpcTimeout.TryParse(timeouts[0], out TimeSpan timeout))
        {
            LogTimeoutIgnored(logger, MethodCore);
            return;
        }

        _deadline = time.GetUtcNow().UtcDateTime + timeout;
        _cancellation = new CancellationTokenSource();
        _clientGone = http.RequestAborted.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cancellation);
        _timer = time.CreateTimer(static call => ((HttpServerCall)call!).OnTimer(), this, Shorter(timeout), Timeout.InfiniteTimeSpan);
    }

    public ValueTask<T> ReadSingleAsync<T>(Marshaller<T> marshaller)
        where T : class => GuardReadAsync(_reader.ReadSingleAsync(marshaller.ContextualDeserializer, CancellationTokenCore));

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<T?> ReadAsync<T>(Marshaller<T> marshaller, CancellationToken cancellationToken)
        where T : class
    {
        if (!cancellationToken.CanBeCanceled || cancellationToken == CancellationTokenCore)
        {
            return await GuardReadAsync(_reader.ReadAsync(marshaller.ContextualDeserializer, CancellationTokenCore));
        }

        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, CancellationTokenCore);
        return await GuardReadAsync(_reader.ReadAsync(marshaller.ContextualDeserializer, both.Token));
    }

    public async Task WriteSingleAsync<T>(T? response, Marshaller<T> marshaller)
        where T : class
    {
        if (response is null)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "The method returned no message."));
        }

        // Not flushed: the trailers follow at once and share the packet.
        await WriteAsync(response, marshaller, WriteOptionsCore, flush: false);
    }

    public Task WriteAsync<T>(T message, Marshaller<T> marshaller, WriteOptions? options)
        where T : class
    {
        WriteFlags flags = (options ?? WriteOptionsCore)?.Flags ?? default;
        return WriteAsync(message, marshaller, options, flush: !flags.HasFlag(WriteFlags.BufferHint));
    }

    /// <summary>Sends the status and waits until the response is complete.</summary>
    public async Task EndAsync(Exception? failure, IMethod method)
    {
        Status status = failure is null ? StatusCore : StatusOf(failure, method);
        bool decides;
        lock (_gate)
        {
            decides = !_ended;
            _ended = true;
        }

        try
        {
            // A handler may return without awaiting its last message, whose own failure nobody is left to hear.
            await _lastWrite.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (decides)
            {
                WriteStatus(status);
            }

            await _closing;
        }
        finally
        {
            _reader.Release();
            await _clientGone.DisposeAsync();
            if (_timer is not null)
            {
                await _timer.DisposeAsync();
            }
        }
    }

    protected override async Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        BeginWrite();
        try
        {
            if (http.Response.HasStarted)
            {
                throw new InvalidOperationException("The response headers can be sent only once, before the first message.");
            }

            foreach (Metadata.Entry entry in responseHeaders)
            {
                if (entry.Key == GrpcNames.EncodingRequestKey)
                {
                    _responseEncoding = entry.Value == GrpcNames.Gzip && ClientAccepts(GrpcNames.Gzip) ? GrpcNames.Gzip : GrpcNames.Identity;
                }
                else if (!GrpcNames.IsReserved(entry.Key))
                {
                    http.Response.Headers.Append(entry.Key, MetadataHeaders.ToHeaderValue(entry));
                }
            }

            await StartResponseAsync();
            await http.Response.BodyWriter.FlushAsync();
        }
        finally
        {
            EndWrite(blocked: false);
        }
    }

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options)
    {
        options ??= ContextPropagationOptions.Default;
        return new ServerCallToken(
            options.IsPropagateDeadline ? _deadline : DateTime.MaxValue, options.IsPropagateCancellation ? CancellationTokenCore : CancellationToken.None);
    }

    private static TimeSpan Shorter(TimeSpan wait) => wait < LongestTimer ? wait : LongestTimer;

    /// <summary>A broken connection is a cancelled call to the handler, whatever the transport calls it.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<T> GuardReadAsync<T>(ValueTask<T> read)
    {
        try
        {
            return await read;
        }
        catch (RpcException e)
        {
            throw new RequestFaultException(e.Status.DebugException is InvalidProtocolBufferException
                ? new Status(StatusCode.InvalidArgument, "The request is not the protobuf message that this method takes.")
                : new Status(e.StatusCode, e.Status.Detail));
        }
        catch (BadHttpRequestException)
        {
            throw new RequestFaultException(new Status(StatusCode.Internal, "The request body cannot be read."));
        }
        catch (IOException e)
        {
            throw new OperationCanceledException("The client ended the call.", e);
        }
    }

    private Task WriteAsync<T>(T message, Marshaller<T> marshaller, WriteOptions? options, bool flush)
    {
        ArgumentNullException.ThrowIfNull(message);
        BeginWrite();
        return _lastWrite = WriteCoreAsync(message, marshaller, options, flush);
    }

    private async Task WriteCoreAsync<T>(T message, Marshaller<T> marshaller, WriteOptions? options, bool flush)
    {
        bool blocked = false;
        try
        {
            if (!http.Response.HasStarted)
            {
                await StartResponseAsync();
            }

            WriteFlags flags = (options ?? WriteOptionsCore)?.Flags ?? default;
            bool compress = _responseEncoding == GrpcNames.Gzip && !flags.HasFlag(WriteFlags.NoCompress);
            PipeWriter output = http.Response.BodyWriter;
            _writer.Write(message, marshaller.ContextualSerializer, output, compress);
            if (!flush && output.CanGetUnflushedBytes && output.UnflushedBytes < LargestUnflushed)
            {
                return;
            }

            blocked = (await output.FlushAsync()).IsCanceled;
            if (blocked || CancellationTokenCore.IsCancellationRequested)
            {
                throw new OperationCanceledException("The call ended while the message waited for the client to read.", CancellationTokenCore);
            }
        }
        finally
        {
            EndWrite(blocked);
        }
    }

    private void BeginWrite()
    {
        lock (_gate)
        {
            if (_ended || CancellationTokenCore.IsCancellationRequested)
            {
                throw new CallEndedException();
            }

            if (_writing)
            {
                throw new InvalidOperationException("Can't write the message because the previous write has not ended; await it first.");
            }

            _writing = true;
        }
    }

    private void EndWrite(bool blocked)
    {
        lock (_gate)
        {
            _writing = false;
            if (!_expired)
            {
                return;
            }

            _closing = blocked ? ResetAsync() : CloseExpiredAsync();
        }
    }

    private async Task StartResponseAsync()
    {
        _responseEncoding ??= settings.ResponseEncoding is { } wanted && ClientAccepts(wanted) ? wanted : GrpcNames.Identity;
        if (_responseEncoding != GrpcNames.Identity)
        {
            http.Response.Headers[GrpcNames.EncodingHeader] = _responseEncoding;
        }

        await http.Response.StartAsync();
    }

    private bool ClientAccepts(string encoding)
    {
        foreach (string? line in http.Request.Headers[GrpcNames.AcceptEncodingHeader])
        {
            foreach (Range part in line.AsSpan().Split(','))
            {
                if (line.AsSpan(part.Start.Value, part.End.Value - part.Start.Value).Trim().SequenceEqual(encoding))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private void OnTimer()
    {
        TimeSpan left = _deadline - time.GetUtcNow().UtcDateTime;
        if (left > TimeSpan.FromMilliseconds(1))
        {
            _timer?.Change(Shorter(left), Timeout.InfiniteTimeSpan);
            return;
        }

        bool writing;
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _ended = true;
            _expired = true;
            writing = _writing;
            if (!writing)
            {
                _closing = CloseExpiredAsync();
            }
        }

        LogDeadlineExceeded(logger, MethodCore);
        if (writing)
        {
            http.Response.BodyWriter.CancelPendingFlush();
        }

        CancelHandler();
    }

    private void CancelHandler()
    {
        try
        {
            _cancellation!.Cancel();
        }
        catch (AggregateException e)
        {
            LogCancellationThrew(logger, e, MethodCore);   // a callback of the handler; this is a timer's thread
        }
    }

    private async Task CloseExpiredAsync()
    {
        await Task.Yield();   // the lock is held by whoever called
        try
        {
            ResponseStatus.Set(ResponseStatus.Destination(http.Response), new Status(StatusCode.DeadlineExceeded, ""));
            await http.Response.CompleteAsync();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            LogCloseFailed(logger, e, MethodCore);   // the client has gone first
        }

        await ResetAsync();
    }

    private async Task ResetAsync()
    {
        await Task.Yield();

        // Stops a client that is still sending, and drops what a client does not read.
        http.Features.Get<IHttpResetFeature>()?.Reset(ResetCancel);
    }

    private void WriteStatus(Status status)
    {
        IHeaderDictionary destination = ResponseStatus.Destination(http.Response);
        foreach (Metadata.Entry entry in _responseTrailers ?? Metadata.Empty)
        {
            if (GrpcNames.IsReserved(entry.Key))
            {
                continue;
            }

            try
            {
                destination.Append(entry.Key, MetadataHeaders.ToHeaderValue(entry));
            }
            catch (RpcException e)
            {
                status = e.Status;
            }
        }

        ResponseStatus.Set(destination, status);
    }

    private Status StatusOf(Exception failure, IMethod method)
    {
        if (failure is RpcException known)
        {
            foreach (Metadata.Entry entry in known.Trailers)
            {
                ResponseTrailersCore.Add(entry);
            }

            if (known.StatusCode == StatusCode.Unimplemented && !http.Response.HasStarted)
            {
                http.Response.Headers[GrpcNames.AcceptEncodingHeader] = GrpcNames.AcceptedEncodings;
            }

            if (known is RequestFaultException)
            {
                LogRequestBroken(logger, method.FullName, known.StatusCode, known.Status.Detail);
                return known.Status;
            }

            LogCallFailed(logger, method.FullName, known.StatusCode, known.Status.Detail, known.Status.DebugException);
            return known.Status;
        }

        if (failure is CallEndedException or OperationCanceledException { InnerException: IOException }
            || (failure is OperationCanceledException or IOException && (_expired || CancellationTokenCore.IsCancellationRequested)))
        {
            LogCallCancelled(logger, method.FullName);
        }
        else
        {
            LogHandlerThrew(logger, failure, method.FullName);
        }

        string detail = settings.DetailedErrors ? $"Exception was thrown by handler. {failure.GetType().Name}: {failure.Message}" : "Exception was thrown by handler.";
        return new Status(StatusCode.Unknown, detail, failure);
    }

    private Metadata ReadRequestHeaders()
    {
        var metadata = new Metadata();
        foreach ((string name, StringValues values) in http.Request.Headers)
        {
            foreach (string? value in values)
            {
                MetadataHeaders.Add(metadata, name, value ?? "");
            }
        }

        return metadata;
    }

    [LoggerMessage(7500, LogLevel.Debug, "{Method}: the grpc-timeout header is malformed and ignored.", EventName = "GrpcTimeoutIgnored")]
    private static partial void LogTimeoutIgnored(ILogger logger, string method);

    [LoggerMessage(7501, LogLevel.Debug, "{Method}: the deadline has passed.", EventName = "GrpcDeadlineExceeded")]
    private static partial void LogDeadlineExceeded(ILogger logger, string method);

    [LoggerMessage(7502, LogLevel.Debug, "{Method}: the client was gone before the deadline could be told.", EventName = "GrpcCloseFailed")]
    private static partial void LogCloseFailed(ILogger logger, Exception exception, string method);

    [LoggerMessage(7503, LogLevel.Information, "{Method}: ended with {Code}: {Detail}", EventName = "GrpcCallFailed")]
    private static partial void LogCallFailed(ILogger logger, string method, StatusCode code, string detail, Exception? exception);

    [LoggerMessage(7507, LogLevel.Debug, "{Method}: the client sent what cannot be read, {Code}: {Detail}", EventName = "GrpcRequestBroken")]
    private static partial void LogRequestBroken(ILogger logger, string method, StatusCode code, string detail);

    [LoggerMessage(7504, LogLevel.Debug, "{Method}: cancelled by the client.", EventName = "GrpcCallCancelled")]
    private static partial void LogCallCancelled(ILogger logger, string method);

    [LoggerMessage(7505, LogLevel.Error, "{Method}: the handler threw an unexpected exception; the client sees UNKNOWN.", EventName = "GrpcHandlerThrew")]
    private static partial void LogHandlerThrew(ILogger logger, Exception exception, string method);

    [LoggerMessage(7506, LogLevel.Error, "{Method}: a cancellation callback threw when the deadline passed.", EventName = "GrpcCancellationThrew")]
    private static partial void LogCancellationThrew(ILogger logger, Exception exception, string method);
}

/// <summary>The client sent what is no message: its fault alone, told to it and at debug level, with no stack of ours.</summary>
internal sealed class RequestFaultException(Status status) : RpcException(status);

/// <summary>What a handler gets that writes on after the end; it need not be logged as a fault of the handler.</summary>
internal sealed class CallEndedException() : InvalidOperationException("Can't write the message because the call has ended.");

/// <summary>Deadline and cancellation of a server call, for calls made on its behalf.</summary>
internal sealed class ServerCallToken(DateTime deadline, CancellationToken cancellationToken) : ContextPropagationToken
{
    public DateTime Deadline => deadline;

    public CancellationToken CancellationToken => cancellationToken;
}
