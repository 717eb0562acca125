using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>One open watch: its stream, what has arrived of it, and how long it may be silent.</summary>
internal sealed class OpenWatch : IAsyncDisposable
{
    // Most events are small and most watches silent, so a watch reads little at a time.
    private const int ReadBytes = 16 * 1024;

    private readonly KubeStream _stream;
    private readonly ReceiveBuffer _buffer = new(ReadBytes);
    private readonly WatchFrameReader _frames;
    private bool _closed;

    public OpenWatch(KubeStream stream, TimeSpan patience, int maxObjectBytes, TimeProvider time, CancellationToken stop)
    {
        _stream = stream;
        _frames = new WatchFrameReader(maxObjectBytes);
        Silence = new SilenceGuard(patience, time, stop);
    }

    public SilenceGuard Silence { get; }

    /// <summary>Events and bookmarks so far.</summary>
    public long Frames { get; private set; }

    /// <summary>Bookmarks so far.</summary>
    public int Bookmarks { get; set; }

    public bool TryRead(out WatchFrame frame) => _frames.TryRead(_buffer.Unread, out frame);

    /// <summary>The event's bytes may go.</summary>
    public void Used(int length)
    {
        Frames++;
        _buffer.Consume(length);
    }

    /// <summary>Waits for more bytes; 0 at the end.</summary>
    public async ValueTask<int> FillAsync()
    {
        if (_buffer.IsEmpty || IsBlank())
        {
            // An empty read returns when there is something to read, and no buffer waits with it.
            _buffer.Consume(_buffer.Unread.Length);
            _buffer.ReleaseIfEmpty();
            _ = await _stream.Body.ReadAsync(Memory<byte>.Empty, Silence.Token);
        }

        int count = await _stream.Body.ReadAsync(_buffer.Free(), Silence.Token);
        _buffer.Commit(count);
        Silence.Heard();
        return count;
    }

    /// <summary>Whether bytes of an unfinished event are left.</summary>
    public bool EndsInMiddle() => !IsBlank();

    /// <summary>Aborts the request. Only the reading loop calls it, so no read is under way that could write into the buffer.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_closed)
        {
            return;
        }

        _closed = true;
        await _stream.DisposeAsync();
        Silence.Dispose();
        _buffer.Dispose();
    }

    private bool IsBlank() => !_buffer.Unread.ContainsAnyExcept(" \r\n\t"u8);
}
