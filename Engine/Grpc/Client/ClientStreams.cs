using System.Net;
using Grpc.Core;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Grpc.Client;

/// <summary>The responses of a streaming call; one reader at a time.</summary>
internal sealed class ClientStreamReader<TRequest, TResponse>(ClientCall<TRequest, TResponse> call) : IAsyncStreamReader<TResponse>
    where TRequest : class
    where TResponse : class
{
    public TResponse Current { get; private set; } = null!;

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        TResponse? message = await call.ReadAsync(cancellationToken);
        Current = message!;
        return message is not null;
    }
}

/// <summary>The requests of a streaming call; each write is awaited before the next.</summary>
internal sealed class ClientStreamWriter<TRequest, TResponse>(
    ClientCall<TRequest, TResponse> call, StreamedContent content, Marshaller<TRequest> marshaller, MessageWriter writer) : IClientStreamWriter<TRequest>
    where TRequest : class
    where TResponse : class
{
    // A buffer that one large message has blown up is not kept for the small ones that may follow for hours.
    private const int LargestKeptBuffer = 64 * 1024;

    private readonly Lock _gate = new();
    private PooledBuffer? _buffer;
    private bool _writing;
    private bool _completed;

    public WriteOptions? WriteOptions { get; set; } = call.WriteOptions;

    public Task WriteAsync(TRequest message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(TRequest message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        cancellationToken.ThrowIfCancellationRequested();
        Begin();
        try
        {
            using CancellationTokenRegistration giveUp = cancellationToken.UnsafeRegister(static call => ((ClientCall<TRequest, TResponse>)call!).CancelByCaller(), call);
            await SendAsync(message);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or HttpRequestException or ObjectDisposedException)
        {
            call.EndIfDue();

            // When the call is still open then, the server has ended it in a way that only its responses tell.
            throw call.Ended is null
                ? new RpcException(new Status(StatusCode.Unavailable, "The server takes no more requests; its response says why.", e))
                : Refused();
        }
        finally
        {
            lock (_gate) { _writing = false; }
        }
    }

    public Task CompleteAsync()
    {
        lock (_gate)
        {
            if (_writing)
            {
                throw new InvalidOperationException("Can't complete the requests because the previous write has not ended.");
            }

            _completed = true;
        }

        _buffer?.Dispose();
        _buffer = null;
        content.Complete();
        return Task.CompletedTask;
    }

    private void Begin()
    {
        lock (_gate)
        {
            if (_completed)
            {
                throw new InvalidOperationException("Can't write the message because the requests are complete.");
            }

            if (_writing)
            {
                throw new InvalidOperationException("Can't write the message because the previous write has not ended; await it first.");
            }

            if (call.Ended is not null)
            {
                throw Refused();
            }

            _writing = true;
        }
    }

    private Exception Refused() => call.Ended!.Status.StatusCode == StatusCode.OK
        ? new InvalidOperationException("Can't write the message because the call has ended.")
        : call.ToException();

    private async Task SendAsync(TRequest message)
    {
        Stream stream = await content.Opened.WaitAsync(call.Stopped);
        _buffer ??= new PooledBuffer();
        _buffer.Clear();
        writer.Write(message, marshaller.ContextualSerializer, _buffer, call.Compresses(WriteOptions));
        await stream.WriteAsync(_buffer.Written, call.Stopped);
        if (!(WriteOptions?.Flags ?? default).HasFlag(WriteFlags.BufferHint))
        {
            await stream.FlushAsync(call.Stopped);
        }

        if (_buffer.Length > LargestKeptBuffer)
        {
            _buffer.Dispose();
            _buffer = null;
        }
    }
}

/// <summary>The body of a call with one request.</summary>
internal sealed class SingleMessageContent<T>(T message, Marshaller<T> marshaller, MessageWriter writer, bool compress) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var buffer = new PooledBuffer();
        writer.Write(message, marshaller.ContextualSerializer, buffer, compress);
        await stream.WriteAsync(buffer.Written, cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}

/// <summary>The body of a call with many requests: hands its stream to the writer and lives until that is done.</summary>
internal sealed class StreamedContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<Stream> Opened => _opened.Task;

    public void Complete() => _completed.TrySetResult();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // The server may have something to say before the first request.
        await stream.FlushAsync(cancellationToken);
        if (!_opened.TrySetResult(stream))
        {
            throw new IOException("The requests cannot be sent a second time over another connection.");
        }

        await _completed.Task.WaitAsync(cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
