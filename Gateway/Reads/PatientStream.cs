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

    public async ValueTask DisposeAsync()
    {
        if (_moving is { IsCompleted: false } moving)
        {
            // It was cancelled with us and is about to notice.
            using var patience = new CancellationTokenSource(Patience, time);
            await moving.WaitAsync(patience.Token).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            if (!moving.IsCompleted)
            {
                _ = LeaveBehindAsync(moving);   // ends with the grain's own call; what it ends with concerns nobody any more
                return;
            }
        }

        await stream.DisposeAsync();
    }

    private async Task LeaveBehindAsync(Task moving)
    {
        await moving.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        await stream.DisposeAsync();
    }
}
