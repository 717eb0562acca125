using System.Runtime.CompilerServices;

namespace Grpc.Core;

/// <summary>Received messages, one after the other; a single reader.</summary>
public interface IAsyncStreamReader<out T>
{
    /// <summary>The message that the last <see cref="MoveNext"/> found.</summary>
    T Current { get; }

    /// <summary>Waits for the next message; false after the last.</summary>
    /// <exception cref="RpcException">On a client, the call failed.</exception>
    /// <exception cref="InvalidOperationException">Another MoveNext is still waiting.</exception>
    Task<bool> MoveNext(CancellationToken cancellationToken);
}

/// <summary>Messages to send, one after the other; the returned task paces the writer to what the network takes.</summary>
public interface IAsyncStreamWriter<in T>
{
    /// <summary>How the next messages are sent; null takes the call's default.</summary>
    WriteOptions? WriteOptions { get; set; }

    /// <summary>Sends a message. Await it before the next: the wait is the flow control.</summary>
    /// <exception cref="InvalidOperationException">The previous write has not ended, or the call has.</exception>
    Task WriteAsync(T message);

    /// <summary>Sends a message; cancelling the token ends the whole call.</summary>
    Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        if (cancellationToken.CanBeCanceled)
        {
            throw new NotSupportedException("This writer cannot cancel a single write.");
        }

        return WriteAsync(message);
    }
}

/// <summary>Responses of a server.</summary>
public interface IServerStreamWriter<in T> : IAsyncStreamWriter<T>;

/// <summary>Requests of a client.</summary>
public interface IClientStreamWriter<in T> : IAsyncStreamWriter<T>
{
    /// <summary>Says that no more requests follow.</summary>
    Task CompleteAsync();
}

/// <summary>Hints for sending.</summary>
[Flags]
public enum WriteFlags
{
    /// <summary>More follows soon: the message may wait in the buffer.</summary>
    BufferHint = 0x1,

    /// <summary>Do not compress this message.</summary>
    NoCompress = 0x2,
}

/// <summary>How messages are sent; immutable.</summary>
public class WriteOptions(WriteFlags flags = default)
{
    /// <summary>No hint.</summary>
    public static readonly WriteOptions Default = new();

    /// <summary>The hints.</summary>
    public WriteFlags Flags { get; } = flags;
}

/// <summary>Reading streams the C# way.</summary>
public static class AsyncStreamReaderExtensions
{
    /// <summary>Waits for the next message without a token of its own.</summary>
    public static Task<bool> MoveNext<T>(this IAsyncStreamReader<T> streamReader)
        where T : class
    {
        ArgumentNullException.ThrowIfNull(streamReader);
        return streamReader.MoveNext(CancellationToken.None);
    }

    /// <summary>Every message until the stream ends; can be enumerated once.</summary>
    public static IAsyncEnumerable<T> ReadAllAsync<T>(this IAsyncStreamReader<T> streamReader, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(streamReader);
        return ReadAllCoreAsync(streamReader, cancellationToken);
    }

    private static async IAsyncEnumerable<T> ReadAllCoreAsync<T>(
        IAsyncStreamReader<T> reader, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await reader.MoveNext(cancellationToken))
        {
            yield return reader.Current;
        }
    }
}
