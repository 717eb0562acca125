namespace MultiCluster.Gateway.Reads;

/// <summary>A stream that is left behind where it does not listen to its token.</summary>
/// <remarks>An enumerator must not be disposed while it moves, so one that is left moving is disposed when it has stopped by itself.</remarks>
internal sealed class PatientStream<T>(IAsyncEnumerator<T> stream, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private Task<bool>? _moving;

    public T Current => stream.Current;

    public async ValueTask<bool> MoveNextAsync(CancellationToken cancellationToken)
    {
        ValueTask<bool> next = stream.MoveNextAsync();
        if (next.IsCompleted)
        {
            return await next;
        }

        _moving = next.AsTask();
        bool any = await _moving.WaitAsync(cancellationToken);
        _moving = null;
        return any;
    }

    /// <summary>Ends the stream; what does not end within a second is left behind.</summary>
    public async ValueTask DisposeAsync()
    {
        // It was cancelled with us and is about to notice, and its grain is told; where that was lost with its silo, nobody answers for half a minute.
        Task ended = EndAsync();
        using var patience = new CancellationTokenSource(Patience, time);
        await ended.WaitAsync(patience.Token).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        if (ended.IsCompleted)
        {
            await ended;
        }
        else
        {
            _ = ended.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);   // what it ends with concerns nobody any more
        }
    }

    private async Task EndAsync()
    {
        if (_moving is { IsCompleted: false } moving)
        {
            await moving.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        await stream.DisposeAsync();
    }
}
