using System.IO.Compression;
using System.IO.Pipelines;
using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using MultiCluster.Engine.Grpc.Server;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Grpc.Client;

/// <summary>One call on the client, from the request to the status.</summary>
/// <remarks>
/// The outcome is decided once, in <see cref="Finish"/>: by the trailers, or by whatever broke the call first (deadline, token,
/// disposal, transport). Everything afterwards reports that outcome.
/// </remarks>
internal sealed class ClientCall<TRequest, TResponse> : ICall
    where TRequest : class
    where TResponse : class
{
    private static readonly StreamPipeReaderOptions PipeOptions = new(bufferSize: 32 * 1024, minimumReadSize: 4 * 1024, useZeroByteReads: true);
    private static readonly Version Http2 = HttpVersion.Version20;

    private readonly GrpcChannel _channel;
    private readonly Method<TRequest, TResponse> _method;
    private readonly string? _host;
    private readonly CallOptions _options;
    private readonly DateTime? _deadline;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<Metadata> _headers = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly List<CancellationTokenRegistration> _registrations = new(3);
    private readonly ITimer? _timer;
    private readonly string? _requestEncoding;
    private Outcome? _outcome;
    private HttpResponseMessage? _response;
    private PipeReader? _pipe;
    private MessageReader? _reader;
    private Outcome? _early;
    private Task _opened = Task.CompletedTask;
    private bool _reading;

    public ClientCall(GrpcChannel channel, Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        _channel = channel;
        _method = method;
        _host = host;
        _options = options;
        _requestEncoding = options.Headers?.GetValue(GrpcNames.EncodingRequestKey);
        var parent = options.PropagationToken as ServerCallToken;
        _deadline = options.Deadline?.ToUniversalTime();
        if (parent is not null && parent.Deadline < (_deadline ?? DateTime.MaxValue))
        {
            _deadline = parent.Deadline;
        }

        _ = _headers.Task.Exception;   // nobody has to read the headers of a failed call
        if (_deadline is { } deadline && deadline != DateTime.MaxValue)
        {
            TimeSpan left = deadline - TimeProvider.System.GetUtcNow().UtcDateTime;
            if (left <= TimeSpan.Zero)
            {
                Finish(new Status(StatusCode.DeadlineExceeded, ""), Metadata.Empty);
                return;
            }

            _timer = TimeProvider.System.CreateTimer(
                static call => ((ClientCall<TRequest, TResponse>)call!).OnTimer(), this, Capped(left), Timeout.InfiniteTimeSpan);
        }

        StopWhen(static call => call.CancelByCaller(), options.CancellationToken);
        StopWhen(static call => call.Finish(new Status(StatusCode.Cancelled, "The call that this one was made for has ended."), Metadata.Empty), parent?.CancellationToken ?? default);
        StopWhen(static call => call.Finish(new Status(StatusCode.Cancelled, "gRPC channel disposed."), Metadata.Empty), channel.Disposing);
    }

    public Task<Metadata> Headers => _headers.Task;

    public Status Status => _outcome?.Status ?? throw new InvalidOperationException("The status is known when the call has ended.");

    public Metadata Trailers => _outcome?.Trailers ?? throw new InvalidOperationException("The trailers are known when the call has ended.");

    /// <summary>Set when the call has ended.</summary>
    public Outcome? Ended => _outcome;

    public CancellationToken Stopped => _stop.Token;

    public WriteOptions? WriteOptions => _options.WriteOptions;

    public async Task<TResponse> SendSingleAsync(TRequest request)
    {
        await OpenAsync(new SingleMessageContent<TRequest>(request, _method.RequestMarshaller, NewWriter(), Compresses(_options.WriteOptions)));
        return await ReadSingleAsync();
    }

    public IAsyncStreamReader<TResponse> SendForStream(TRequest request)
    {
        _opened = OpenAsync(new SingleMessageContent<TRequest>(request, _method.RequestMarshaller, NewWriter(), Compresses(_options.WriteOptions)));
        return new ClientStreamReader<TRequest, TResponse>(this);
    }

    public Task<TResponse> OpenForSingleAsync(out IClientStreamWriter<TRequest> requests)
    {
        var content = new StreamedContent();
        requests = new ClientStreamWriter<TRequest, TResponse>(this, content, _method.RequestMarshaller, NewWriter());
        Task<TResponse> response = RunAsync();

        // Who hears of the failure from a write need not ask for the response as well.
        _ = response.ContinueWith(static failed => _ = failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return response;

        async Task<TResponse> RunAsync()
        {
            await OpenAsync(content);
            return await ReadSingleAsync();
        }
    }

    public IAsyncStreamReader<TResponse> OpenForStream(out IClientStreamWriter<TRequest> requests)
    {
        var content = new StreamedContent();
        requests = new ClientStreamWriter<TRequest, TResponse>(this, content, _method.RequestMarshaller, NewWriter());
        _opened = OpenAsync(content);
        return new ClientStreamReader<TRequest, TResponse>(this);
    }

    public bool Compresses(WriteOptions? options) =>
        _requestEncoding == GrpcNames.Gzip && !(options?.Flags ?? default).HasFlag(WriteFlags.NoCompress);

    /// <summary>The next response, or null after the last.</summary>
    public async Task<TResponse?> ReadAsync(CancellationToken cancellationToken, bool required = false)
    {
        // Giving up on a read is giving up on the call: what is on its way cannot be sent back.
        using CancellationTokenRegistration giveUp = cancellationToken.UnsafeRegister(static call => ((ClientCall<TRequest, TResponse>)call!).CancelByCaller(), this);
        BeginRead();
        TResponse? message = null;
        try
        {
            await _opened;
            if (_outcome is null && _reader is not null)
            {
                message = await _reader.ReadAsync(_method.ResponseMarshaller.ContextualDeserializer, _stop.Token);
            }

            if (message is null)
            {
                FinishFromTrailers(required);
            }
        }
        catch (Exception e)
        {
            throw Failed(e, cancellationToken);
        }
        finally
        {
            EndRead();
        }

        return message is not null || _outcome!.Status.StatusCode == StatusCode.OK ? message : throw ToException(cancellationToken);
    }

    public void CancelByCaller() => Finish(new Status(StatusCode.Cancelled, "Call canceled by the client."), Metadata.Empty);

    public void Dispose() => Finish(new Status(StatusCode.Cancelled, "gRPC call disposed."), Metadata.Empty);

    /// <summary>The exception that tells the caller how the call ended, ending it with this failure if it had not.</summary>
    public Exception Failed(Exception failure, CancellationToken cancellationToken = default)
    {
        if (failure is RpcException known)
        {
            Finish(known.Status, known.Trailers);
        }
        else
        {
            EndIfDue();
            Finish(ResponseMapping.StatusOf(failure), Metadata.Empty);
        }

        return ToException(cancellationToken);
    }

    /// <summary>Ends the call when its token or deadline says so: the transport, or a server with the same deadline, may notice first.</summary>
    public void EndIfDue()
    {
        if (_options.CancellationToken.IsCancellationRequested)
        {
            CancelByCaller();
        }
        else if (_deadline <= TimeProvider.System.GetUtcNow().UtcDateTime)
        {
            Finish(new Status(StatusCode.DeadlineExceeded, ""), Metadata.Empty);
        }
    }

    public Exception ToException(CancellationToken cancellationToken = default)
    {
        Outcome outcome = _outcome!;
        if (_channel.ThrowsCancellation && outcome.Status.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded)
        {
            CancellationToken token = cancellationToken.IsCancellationRequested ? cancellationToken : _options.CancellationToken;
            return new OperationCanceledException(outcome.Status.Detail, new RpcException(outcome.Status, outcome.Trailers), token);
        }

        return new RpcException(outcome.Status, outcome.Trailers);
    }

    private static TimeSpan Capped(TimeSpan wait) => wait < TimeSpan.FromDays(30) ? wait : TimeSpan.FromDays(30);   // timers hold no more than 49

    private MessageWriter NewWriter() => new(_channel.MaxSendMessageSize, CompressionLevel.Fastest);

    private async Task<TResponse> ReadSingleAsync()
    {
        TResponse? message = await ReadAsync(CancellationToken.None, required: true);
        if (await ReadAsync(CancellationToken.None) is not null)
        {
            throw Failed(new RpcException(new Status(StatusCode.Internal, "The server sent more than the one message of this method.")));
        }

        return message!;
    }

    /// <summary>Sends the request and waits for the headers. A failure becomes the outcome, which every reader finds.</summary>
    private async Task OpenAsync(HttpContent content)
    {
        if (_outcome is not null)
        {
            return;
        }

        try
        {
            HttpRequestMessage request = await BuildRequestAsync(content);
            Accept(await _channel.Http.SendAsync(request, _stop.Token));
        }
        catch (Exception e)
        {
            _ = Failed(e);
        }
    }

    private async Task<HttpRequestMessage> BuildRequestAsync(HttpContent content)
    {
        content.Headers.TryAddWithoutValidation("Content-Type", GrpcNames.ContentType);
        var request = new HttpRequestMessage(HttpMethod.Post, _channel.AddressOf(_method.FullName))
        {
            Version = Http2,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        request.Headers.Host = _host;
        request.Headers.TryAddWithoutValidation("TE", "trailers");
        request.Headers.TryAddWithoutValidation("User-Agent", "grpc-dotnet-inprocess/0.1");
        request.Headers.TryAddWithoutValidation(GrpcNames.AcceptEncodingHeader, GrpcNames.AcceptedEncodings);
        if (_requestEncoding is not null)
        {
            if (_requestEncoding is not (GrpcNames.Gzip or GrpcNames.Identity))
            {
                throw new RpcException(new Status(StatusCode.Internal, $"The request encoding '{_requestEncoding}' is not supported. Supported: {GrpcNames.AcceptedEncodings}."));
            }

            request.Headers.TryAddWithoutValidation(GrpcNames.EncodingHeader, _requestEncoding);
        }

        Metadata headers = _options.Headers ?? Metadata.Empty;
        if (_channel.SendsCallCredentials && (_channel.CallCredentials is not null || _options.Credentials is not null))
        {
            headers = [.. headers];
            int service = _method.FullName.LastIndexOf('/');
            var context = new AuthInterceptorContext(new Uri(_channel.Address, _method.FullName[..service]).AbsoluteUri, _method.Name, _stop.Token);
            await (_channel.CallCredentials?.ApplyAsync(context, headers) ?? Task.CompletedTask);
            await (_options.Credentials?.ApplyAsync(context, headers) ?? Task.CompletedTask);
        }

        foreach (Metadata.Entry entry in headers)
        {
            if (!GrpcNames.IsReserved(entry.Key))
            {
                request.Headers.TryAddWithoutValidation(entry.Key, MetadataHeaders.ToHeaderValue(entry));
            }
        }

        // Last, so that nothing slow stands between the measurement and the server.
        if (_deadline is { } deadline && deadline != DateTime.MaxValue)
        {
            request.Headers.TryAddWithoutValidation(GrpcNames.TimeoutHeader, GrpcTimeout.Format(deadline - TimeProvider.System.GetUtcNow().UtcDateTime));
        }

        return request;
    }

    private void Accept(HttpResponseMessage response)
    {
        lock (_gate)
        {
            if (_outcome is not null)
            {
                response.Dispose();
                return;
            }

            _response = response;
        }

        if (ResponseMapping.Refusal(response) is { } refusal)
        {
            throw new RpcException(refusal, ResponseMapping.ReadMetadata(response.Headers));
        }

        Metadata headers = ResponseMapping.ReadMetadata(response.Headers);
        if (ResponseMapping.StatusOf(response.Headers) is { } status)
        {
            _headers.TrySetResult(headers);
            _early = new Outcome(status, headers);
            if (status.StatusCode != StatusCode.OK)
            {
                Finish(status, headers);
            }

            return;
        }

        string? encoding = response.Headers.NonValidated.TryGetValues(GrpcNames.EncodingHeader, out System.Net.Http.Headers.HeaderStringValues values) ? values.ToString() : null;
        _pipe = PipeReader.Create(response.Content.ReadAsStream(_stop.Token), PipeOptions);
        _reader = new MessageReader(_pipe, _channel.MaxReceiveMessageSize, encoding);
        _headers.TrySetResult(headers);
    }

    private void FinishFromTrailers(bool messageMissing)
    {
        if (_outcome is not null)
        {
            return;
        }

        Outcome said = _early ?? new Outcome(
            ResponseMapping.StatusOf(_response!.TrailingHeaders) ?? new Status(StatusCode.Cancelled, "No grpc-status found on response."),
            ResponseMapping.ReadMetadata(_response.TrailingHeaders));
        bool broken = messageMissing && said.Status.StatusCode == StatusCode.OK;
        Finish(broken ? new Status(StatusCode.Internal, "The server ended the call without a message.") : said.Status, said.Trailers);
    }

    /// <summary>Ends the call with this outcome unless it has one, and lets go of the connection's stream.</summary>
    private void Finish(Status status, Metadata trailers)
    {
        CancellationTokenRegistration[] registrations;
        lock (_gate)
        {
            if (_outcome is not null)
            {
                return;
            }

            _outcome = new Outcome(status, trailers);
            registrations = [.. _registrations];
        }

        _timer?.Dispose();
        if (status.StatusCode == StatusCode.OK)
        {
            _headers.TrySetResult(Metadata.Empty);
        }
        else
        {
            _headers.TrySetException(ToException());
            _ = _headers.Task.Exception;
        }

        // Resets the stream when it has not ended by itself; a read or write that waits hears of it.
        _stop.Cancel();
        foreach (CancellationTokenRegistration registration in registrations)
        {
            registration.Unregister();
        }

        LetGo();
    }

    private void BeginRead()
    {
        lock (_gate)
        {
            if (_reading)
            {
                throw new InvalidOperationException("Can't read the next message because the previous read has not ended.");
            }

            _reading = true;
        }
    }

    private void EndRead()
    {
        lock (_gate) { _reading = false; }
        if (_outcome is not null)
        {
            LetGo();
        }
    }

    /// <summary>Returns the buffers, but never under a reader that is still using them: then it does so itself.</summary>
    private void LetGo()
    {
        PipeReader? pipe;
        HttpResponseMessage? response;
        lock (_gate)
        {
            if (_reading)
            {
                return;
            }

            (pipe, _pipe) = (_pipe, null);
            (response, _response) = (_response, null);
        }

        pipe?.Complete();
        response?.Dispose();
    }

    private void OnTimer()
    {
        TimeSpan left = _deadline!.Value - TimeProvider.System.GetUtcNow().UtcDateTime;
        if (left > TimeSpan.FromMilliseconds(1))
        {
            _timer?.Change(Capped(left), Timeout.InfiniteTimeSpan);
            return;
        }

        Finish(new Status(StatusCode.DeadlineExceeded, ""), Metadata.Empty);
    }

    private void StopWhen(Action<ClientCall<TRequest, TResponse>> stop, CancellationToken token)
    {
        if (!token.CanBeCanceled)
        {
            return;
        }

        CancellationTokenRegistration registration = token.UnsafeRegister(static state =>
        {
            var (call, stop) = ((ClientCall<TRequest, TResponse>, Action<ClientCall<TRequest, TResponse>>))state!;
            stop(call);
        }, (this, stop));
        bool late;
        lock (_gate)
        {
            late = _outcome is not null;
            if (!late)
            {
                _registrations.Add(registration);
            }
        }

        if (late)
        {
            registration.Unregister();
        }
    }
}

/// <summary>How a call ended.</summary>
internal sealed record Outcome(Status Status, Metadata Trailers);
