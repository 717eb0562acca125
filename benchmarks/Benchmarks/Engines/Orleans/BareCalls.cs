using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>The least that calls between two processes cost: frames of many callers on one connection, written together where they come together.</summary>
/// <remarks>A request is 64 bytes (caller, length of the answer), an answer 8 bytes and what was asked for. A caller has one call under way at most.</remarks>
internal sealed class BareCalls : IAsyncDisposable
{
    public const int RequestLength = 64;
    public const int HeadLength = 8;

    private readonly Channel<(int Caller, int AnswerLength)> _requests =
        Channel.CreateUnbounded<(int Caller, int AnswerLength)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly TaskCompletionSource[] _answers;
    private readonly TcpClient _connection;
    private readonly Task _writing;
    private readonly Task _reading;

    private BareCalls(TcpClient connection, int callers)
    {
        _connection = connection;
        _answers = new TaskCompletionSource[callers];
        _writing = WriteAsync(PipeWriter.Create(connection.GetStream()));
        _reading = ReadAsync(PipeReader.Create(connection.GetStream(), new StreamPipeReaderOptions(bufferSize: 64 * 1024)));
    }

    public static async Task<BareCalls> ConnectAsync(int port, int callers)
    {
        var connection = new TcpClient { NoDelay = true };
        await connection.ConnectAsync(IPAddress.Loopback, port);
        return new BareCalls(connection, callers);
    }

    /// <summary>Ends when an answer of this length has come.</summary>
    public Task CallAsync(int caller, int answerLength)
    {
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _answers[caller] = answer;
        _requests.Writer.TryWrite((caller, answerLength));
        return answer.Task;
    }

    public async ValueTask DisposeAsync()
    {
        _requests.Writer.Complete();
        await _writing;
        _connection.Client.Shutdown(SocketShutdown.Send);
        await _reading;
        _connection.Dispose();
    }

    private async Task WriteAsync(PipeWriter writer)
    {
        while (await _requests.Reader.WaitToReadAsync())
        {
            while (_requests.Reader.TryRead(out (int Caller, int AnswerLength) request))
            {
                Span<byte> frame = writer.GetSpan(RequestLength)[..RequestLength];
                frame.Clear();
                BinaryPrimitives.WriteInt32LittleEndian(frame, request.Caller);
                BinaryPrimitives.WriteInt32LittleEndian(frame[4..], request.AnswerLength);
                writer.Advance(RequestLength);
            }

            await writer.FlushAsync();
        }
    }

    private async Task ReadAsync(PipeReader reader)
    {
        while (true)
        {
            ReadResult read = await reader.ReadAsync();
            ReadOnlySequence<byte> rest = read.Buffer;
            while (TryCut(ref rest, out int caller))
            {
                _answers[caller].SetResult();
            }

            reader.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }

    private static bool TryCut(ref ReadOnlySequence<byte> rest, out int caller)
    {
        var head = new SequenceReader<byte>(rest);
        if (!head.TryReadLittleEndian(out caller) || !head.TryReadLittleEndian(out int length) || head.Remaining < length)
        {
            return false;
        }

        rest = rest.Slice(HeadLength + length);
        return true;
    }
}

/// <summary>The other side of <see cref="BareCalls"/>, for one connection after the other.</summary>
internal sealed class BareServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Task _serving;

    public BareServer()
    {
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _serving;
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                using TcpClient connection = await _listener.AcceptTcpClientAsync();
                connection.NoDelay = true;
                await AnswerAsync(PipeReader.Create(connection.GetStream()), PipeWriter.Create(connection.GetStream()));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
            {
                return;   // nobody listens any more
            }
        }
    }

    private static async Task AnswerAsync(PipeReader reader, PipeWriter writer)
    {
        while (true)
        {
            ReadResult read = await reader.ReadAsync();
            ReadOnlySequence<byte> rest = read.Buffer;
            while (rest.Length >= BareCalls.RequestLength)
            {
                Answer(rest.Slice(0, BareCalls.RequestLength), writer);
                rest = rest.Slice(BareCalls.RequestLength);
            }

            reader.AdvanceTo(rest.Start, rest.End);
            await writer.FlushAsync();
            if (read.IsCompleted)
            {
                return;
            }
        }
    }

    private static void Answer(ReadOnlySequence<byte> request, PipeWriter writer)
    {
        var fields = new SequenceReader<byte>(request);
        fields.TryReadLittleEndian(out int caller);
        fields.TryReadLittleEndian(out int length);
        Span<byte> answer = writer.GetSpan(BareCalls.HeadLength + length)[..(BareCalls.HeadLength + length)];
        answer.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(answer, caller);
        BinaryPrimitives.WriteInt32LittleEndian(answer[4..], length);
        writer.Advance(answer.Length);
    }
}
