using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>What a streaming grain method returns to its caller. Generated classes hold the arguments and invoke the method.</summary>
/// <remarks>Nothing happens before it is enumerated; each enumeration is a stream of its own.</remarks>
internal abstract class GrainEnumerable<T> : IAsyncEnumerable<T>
{
    // As many elements as Orleans sends at a time.
    private const int DefaultBatchSize = 100;

    private GrainReference _target = null!;

    public int MaxBatchSize { get; private set; } = DefaultBatchSize;

    public GrainReference Target => _target;

    public GrainMethod Method { get; private set; } = null!;

    /// <summary>The argument of type <see cref="CancellationToken"/>; methods that have none keep this one.</summary>
    public virtual CancellationToken Token => CancellationToken.None;

    /// <summary>Generated: calls the method with the arguments, and with this token in place of the caller's.</summary>
    public abstract IAsyncEnumerable<T> InvokeMethod(object grain, CancellationToken token);

    public IAsyncEnumerable<T> Bind(GrainReference target, int method)
    {
        _target = target;
        Method = target.Shared.Methods[method];
        return this;
    }

    public IAsyncEnumerable<T> WithBatchSize(int maxBatchSize)
    {
        var copy = (GrainEnumerable<T>)MemberwiseClone();
        copy.MaxBatchSize = maxBatchSize;
        return copy;
    }

    public IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default) => new GrainEnumerator<T>(this, cancellationToken);
}

/// <summary>The reader's end of a stream. Like every enumerator, for one reader at a time.</summary>
internal sealed class GrainEnumerator<T> : IAsyncEnumerator<T>
{
    private readonly StreamSession<T> _session;
    private readonly CancellationTokenSource? _linked;
    private readonly CancellationToken _token;
    private IReadOnlyList<T> _batch = [];
    private int _index;
    private bool _completed;

    public GrainEnumerator(GrainEnumerable<T> source, CancellationToken token)
    {
        if (source.Token.CanBeCanceled && token.CanBeCanceled && source.Token != token)
        {
            _linked = CancellationTokenSource.CreateLinkedTokenSource(source.Token, token);
            _token = _linked.Token;
        }
        else
        {
            _token = token.CanBeCanceled ? token : source.Token;
        }

        _session = new StreamSession<T>(source, RequestContext.Snapshot);
    }

    public T Current => _batch[_index];

    public ValueTask<bool> MoveNextAsync() => ++_index < _batch.Count ? ValueTask.FromResult(true) : FetchAsync();

    public async ValueTask DisposeAsync()
    {
        _linked?.Dispose();
        if (!_completed)
        {
            _completed = true;
            await _session.CloseFromReaderAsync();
        }
    }

    private async ValueTask<bool> FetchAsync()
    {
        (_batch, _index) = ([], 0);
        if (_completed)
        {
            return false;
        }

        try
        {
            _token.ThrowIfCancellationRequested();
            (_batch, bool last) = await _session.PullAsync().WaitAsync(_token);
            _completed = last;
            return _batch.Count > 0;
        }
        catch
        {
            _completed = true;
            _ = _session.Close();   // the reader gets its error at once; the producer ends in its own time
            throw;
        }
    }
}
