using System.Globalization;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>How many bytes the answers of all clusters of a process may hold at the same time.</summary>
/// <remarks>
/// Thread-safe; one per process. Room is given in the order it is asked for, but nobody waits behind a cluster that has used up its own
/// share. The first <see cref="FreeBytes"/> of an answer are not counted: probes wait for nobody, and the number of connections bounds them.
/// A wait ends after <see cref="KubeClientOptions.MaxHeldWait"/>, also where answers that grow wait for each other.
/// </remarks>
public sealed class AnswerBudget
{
    /// <summary>Bytes that every answer may have without being counted.</summary>
    public const int FreeBytes = 64 * 1024;

    private readonly KubeClientOptions _options;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly LinkedList<Ask> _waiting = [];
    private long _held;

    /// <summary>Makes a budget.</summary>
    /// <param name="options">Its bounds.</param>
    /// <param name="time">Clock; null for the system's.</param>
    public AnswerBudget(KubeClientOptions options, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _time = time ?? TimeProvider.System;
    }

    /// <summary>Bytes that are held now.</summary>
    public long Held
    {
        get
        {
            lock (_gate)
            {
                return _held;
            }
        }
    }

    /// <summary>The part of one cluster.</summary>
    internal AnswerShare OpenShare() => new(this);

    /// <summary>The most that one answer may ask for.</summary>
    internal long MostOfOne => _options.MaxHeldBytesPerCluster;

    /// <exception cref="KubeException">There was no room in time.</exception>
    internal async ValueTask TakeAsync(AnswerShare share, long bytes, CancellationToken cancellationToken)
    {
        LinkedListNode<Ask> place;
        lock (_gate)
        {
            place = _waiting.AddLast(new Ask(share, bytes));
            Grant_NeedsGate();
        }

        Task granted = place.Value.Granted.Task;
        if (granted.IsCompleted)
        {
            return;
        }

        try
        {
            await granted.WaitAsync(_options.MaxHeldWait, _time, cancellationToken);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            bool ownShare;
            lock (_gate)
            {
                if (granted.IsCompleted)
                {
                    return;   // it came at the last moment; a request that was cancelled gives it back when it ends
                }

                ownShare = share.Held + bytes > _options.MaxHeldBytesPerCluster;
                _waiting.Remove(place);
                Grant_NeedsGate();
            }

            if (e is TimeoutException)
            {
                throw NoRoom(ownShare);
            }

            throw;
        }
    }

    internal void Return(AnswerShare share, long bytes)
    {
        lock (_gate)
        {
            share.Held -= bytes;
            _held -= bytes;
            Grant_NeedsGate();
        }
    }

    private void Grant_NeedsGate()
    {
        for (LinkedListNode<Ask>? node = _waiting.First; node is not null;)
        {
            LinkedListNode<Ask>? next = node.Next;
            Ask ask = node.Value;
            if (ask.Share.Held + ask.Bytes <= _options.MaxHeldBytesPerCluster)
            {
                if (_held + ask.Bytes > _options.MaxHeldBytes)
                {
                    return;   // what comes later must not take the room that this one waits for
                }

                ask.Share.Held += ask.Bytes;
                _held += ask.Bytes;
                _waiting.Remove(node);
                ask.Granted.SetResult();
            }

            node = next;
        }
    }

    private KubeException NoRoom(bool ownShare) => new(new KubeError(
        KubeErrorKind.Throttled,
        string.Create(CultureInfo.InvariantCulture, $"{(ownShare
            ? $"Answers of this cluster hold the {AnswerSize.Text(_options.MaxHeldBytesPerCluster)} that they may (MaxHeldBytesPerCluster)"
            : $"Answers of all clusters together hold the {AnswerSize.Text(_options.MaxHeldBytes)} that they may (MaxHeldBytes)")}, and no room came within {_options.MaxHeldWait.TotalSeconds:0.#} s. Ask for less at the same time."))
    {
        Reason = KubeErrorReasons.HeldLimit,
    });

    private sealed record Ask(AnswerShare Share, long Bytes)
    {
        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>One cluster's part of the budget.</summary>
internal sealed class AnswerShare(AnswerBudget budget)
{
    /// <summary>What its answers hold; only the budget touches it, under its gate.</summary>
    public long Held { get; set; }

    /// <summary>The most that one answer may ask for.</summary>
    public long MostOfOne => budget.MostOfOne;

    /// <summary>Begins to hold for one answer.</summary>
    public AnswerHold Begin() => new(this);

    public ValueTask TakeAsync(long bytes, CancellationToken cancellationToken) => budget.TakeAsync(this, bytes, cancellationToken);

    public void Return(long bytes) => budget.Return(this, bytes);
}

/// <summary>What one answer holds of the budget until it is disposed. Not thread-safe.</summary>
internal sealed class AnswerHold(AnswerShare share) : IDisposable
{
    private long _counted;

    /// <summary>Waits until the answer may have so many bytes altogether.</summary>
    /// <exception cref="KubeException">There was no room in time.</exception>
    public ValueTask GrowAsync(long bytes, CancellationToken cancellationToken)
    {
        long more = Math.Min(bytes, share.MostOfOne) - AnswerBudget.FreeBytes - _counted;
        return more > 0 ? GrowByAsync(more, cancellationToken) : ValueTask.CompletedTask;
    }

    public void Dispose()
    {
        if (_counted > 0)
        {
            share.Return(_counted);
            _counted = 0;
        }
    }

    private async ValueTask GrowByAsync(long more, CancellationToken cancellationToken)
    {
        await share.TakeAsync(more, cancellationToken);
        _counted += more;
    }
}
