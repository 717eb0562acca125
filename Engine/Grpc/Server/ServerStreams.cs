using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Server;

/// <summary>The requests of a streaming call; one reader at a time.</summary>
internal sealed class ServerStreamReader<T>(HttpServerCall call, Marshaller<T> marshaller) : IAsyncStreamReader<T>
    where T : class
{
    private static readonly Task<bool> True = Task.FromResult(true);
    private static readonly Task<bool> False = Task.FromResult(false);

    private int _reading;

    public T Current { get; private set; } = null!;

    public Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<bool>(cancellationToken);
        }

        if (Interlocked.Exchange(ref _reading, 1) == 1)
        {
            return Task.FromException<bool>(new InvalidOperationException("Can't read the next message because the previous read has not ended."));
        }

        ValueTask<T?> read = call.ReadAsync(marshaller, cancellationToken);
        return read.IsCompletedSuccessfully ? (Accept(read.Result) ? True : False) : AwaitAsync(read);
    }

    private async Task<bool> AwaitAsync(ValueTask<T?> read)
    {
        try
        {
            return Accept(await read);
        }
        finally
        {
            Volatile.Write(ref _reading, 0);
        }
    }

    private bool Accept(T? message)
    {
        Current = message!;
        Volatile.Write(ref _reading, 0);
        return message is not null;
    }
}

/// <summary>The responses of a streaming call; each write is awaited before the next.</summary>
internal sealed class ServerStreamWriter<T>(HttpServerCall call, Marshaller<T> marshaller) : IServerStreamWriter<T>
    where T : class
{
    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(T message) => call.WriteAsync(message, marshaller, WriteOptions);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();

        // A frame that is half on the wire cannot be taken back, so giving up on it is giving up on the call.
        await using CancellationTokenRegistration abort = cancellationToken.UnsafeRegister(static http => ((Microsoft.AspNetCore.Http.HttpContext)http!).Abort(), call.Http);
        await WriteAsync(message);
    }
}
