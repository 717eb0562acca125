using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>One stream from a grain to one reader, as its activation sees it.</summary>
internal abstract class StreamSession
{
    /// <summary>Ends the stream and disposes its producer; completes when that is done. Thread-safe, may be called again.</summary>
    public abstract Task Close();

    /// <summary>Whether the reader has not asked for more for a response timeout, so that it is taken for dead.</summary>
    public abstract bool IsAbandoned(long now);
}

/// <inheritdoc/>
/// <remarks>
/// The reader pulls. Each pull is a turn that takes what the producer has ready, at most a batch, and waits only when there
/// is nothing; between pulls the producer is at most one step ahead, so a slow reader holds it up. The producer's object is
/// touched by turns only.
/// </remarks>
internal sealed partial class StreamSession<T>(GrainEnumerable<T> source, Dictionary<string, object>? context) : StreamSession
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private GrainActivation? _host;
    private IAsyncEnumerator<T>? _producer;
    private Task<bool>? _step;
    private Pull? _pull;
    private long _lastPull;
    private int _closing;

    private GrainReference Source => source.Target;

    private ActorRuntime Runtime => source.Target.Runtime;

    /// <summary>The next elements, and whether they are the last. One pull at a time.</summary>
    public Task<(IReadOnlyList<T> Batch, bool Last)> PullAsync()
    {
        var pull = new Pull(this, context);
        Volatile.Write(ref _lastPull, long.MaxValue);
        Volatile.Write(ref _pull, pull);
        if (Volatile.Read(ref _closing) != 0)
        {
            pull.Reject(Aborted());
        }
        else if (_host is not { } host)
        {
            Runtime.Dispatch(pull, source.Target);
        }
        else if (!host.TryPost(pull))
        {
            pull.Reject(Aborted());
        }

        return pull.Result;
    }

    public override bool IsAbandoned(long now)
    {
        long last = Volatile.Read(ref _lastPull);
        TimeSpan patience = Runtime.Messaging.ResponseTimeout;
        return last != long.MaxValue && patience > TimeSpan.Zero && Runtime.Clock.HasPassed(patience, last, now);
    }

    public async Task CloseFromReaderAsync()
    {
        if (_host is null && _pull is null)
        {
            return;   // never started, so there is nothing to end
        }

        try
        {
            await Close().WaitAsync(Runtime.Messaging.ResponseTimeout, Runtime.Time);
        }
        catch (TimeoutException e)
        {
            LogProducerHangs(Runtime.Logger, e, source.Target.GrainId);
        }
    }

    public override Task Close()
    {
        if (Interlocked.Exchange(ref _closing, 1) == 0)
        {
            Volatile.Read(ref _pull)?.Reject(Aborted());
            if (_host is { } host)
            {
                host.Scheduler.QueueClean(static self => _ = ((StreamSession<T>)self!).EndAsync(), this);
            }
            else
            {
                _closed.TrySetResult();
            }
        }

        return _closed.Task;
    }

    private EnumerationAbortedException Aborted() => new(
        $"The stream from grain {source.Target.GrainId} is over before its end: the grain was deactivated, or nothing was read for "
        + $"{Runtime.Messaging.ResponseTimeout}. Start the enumeration again.");

    private async Task RunAsync(Pull pull, GrainActivation activation)
    {
        List<T> batch = [];
        bool last = false;
        bool opens = _producer is null;
        try
        {
            if (_producer is null)
            {
                activation.Add(this);
                Interlocked.Exchange(ref _host, activation);
                if (Volatile.Read(ref _closing) != 0)
                {
                    await EndAsync();   // the reader left between asking and being served
                    return;
                }

                _producer = source.InvokeMethod(activation.GrainInstance!, _stop.Token).GetAsyncEnumerator(_stop.Token);
            }

            while (batch.Count < source.MaxBatchSize)
            {
                _step ??= _producer.MoveNextAsync().AsTask();
                if (!_step.IsCompleted && batch.Count > 0)
                {
                    break;   // what is ready goes out; the step under way belongs to the next pull
                }

                Task<bool> step = _step;
                bool more = await step;
                _step = null;
                if (!more)
                {
                    last = true;
                    break;
                }

                batch.Add(_producer.Current);
            }
        }
        catch (Exception e) when (batch.Count == 0)
        {
            Volatile.Write(ref _lastPull, Runtime.Clock.Timestamp);
            Tell(activation, opens, e);
            pull.Reject(e);
            await Close();
            return;
        }
        catch (Exception)
        {
            // The elements before the failure go out first; the failed step is still there for the next pull.
        }

        Volatile.Write(ref _lastPull, Runtime.Clock.Timestamp);
        Tell(activation, opens, failure: null);
        pull.Complete(batch, last);
        if (last)
        {
            await Close();
        }
    }

    private void Tell(GrainActivation activation, bool opens, Exception? failure)
    {
        bool isCancelled = failure is OperationCanceledException && _stop.IsCancellationRequested;
        if (opens)
        {
            Runtime.Listener?.OnOpened(activation, source.Method.Method, failure, isCancelled);
        }
        else if (failure is not null && !isCancelled)
        {
            Runtime.Listener?.OnBroken(activation, source.Method.Method, failure);
        }
    }

    private async Task EndAsync()
    {
        try
        {
            await _stop.CancelAsync();
            if (_step is { } step)
            {
                // A producer must not be disposed while it works on a step.
                await ((Task)step).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            }

            if (_producer is not null)
            {
                await _producer.DisposeAsync();
            }
        }
        catch (Exception e)
        {
            LogProducerFailed(Runtime.Logger, e, source.Target.GrainId);
        }

        _host!.Remove(this);
        _closed.TrySetResult();
    }

    [LoggerMessage(7006, LogLevel.Warning, "The producer of a stream from grain {Grain} failed while it was disposed.", EventName = "StreamProducerFailed")]
    private static partial void LogProducerFailed(ILogger logger, Exception exception, GrainId grain);

    [LoggerMessage(7007, LogLevel.Warning, "The producer of a stream from grain {Grain} does not end although it was told to; its reader goes on.", EventName = "StreamProducerHangs")]
    private static partial void LogProducerHangs(ILogger logger, Exception exception, GrainId grain);

    /// <summary>One request for more.</summary>
    private sealed class Pull : MailItem
    {
        private readonly StreamSession<T> _session;
        private readonly TaskCompletionSource<(IReadOnlyList<T>, bool)> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Pull(StreamSession<T> session, Dictionary<string, object>? context)
        {
            _session = session;
            Context = context;
        }

        public Task<(IReadOnlyList<T> Batch, bool Last)> Result => _done.Task;

        public override bool AlwaysInterleaves => true;

        public override void Start(GrainActivation activation)
        {
            if (!_done.Task.IsCompleted)
            {
                _ = _session.RunAsync(this, activation);   // reports to the reader
            }

            // Waiting for the producer is not work: it must hold up neither calls nor the end of the activation.
            activation.OnFinished(this, wasLong: false);
        }

        public override void Reject(Exception cause) => _done.TrySetException(cause);

        public override void OnActivationGone(ActorRuntime runtime)
        {
            if (_session._host is null)
            {
                runtime.Dispatch(this, _session.Source);
            }
            else
            {
                Reject(_session.Aborted());
            }
        }

        public void Complete(IReadOnlyList<T> batch, bool last) => _done.TrySetResult((batch, last));
    }
}
