namespace MultiCluster.Grains.Mirror;

/// <summary>What <see cref="HistoryCursor.TryRead"/> found.</summary>
internal enum HistoryRead
{
    /// <summary>A change.</summary>
    Change,

    /// <summary>Nothing yet. Wait with <see cref="HistoryCursor.WaitAsync"/>.</summary>
    CaughtUp,

    /// <summary>Changes were dropped that this reader has not seen. List again.</summary>
    Expired,

    /// <summary>The cluster has left; its last snapshots stay readable. Nothing will come any more.</summary>
    Ended,
}

/// <summary>Follows the changes of one cluster from a revision on. Not thread-safe; one reader each.</summary>
/// <remarks>Changes come in the order of their stamps, so those of one object in order. After <see cref="HistoryRead.Expired"/> it stays expired.</remarks>
internal sealed class HistoryCursor
{
    private readonly MirrorHistory _history;
    private List<Change> _additions = [];
    private int _nextAddition;
    private HistorySegment? _segment;
    private int _index;

    internal HistoryCursor(MirrorHistory history, long stamp)
    {
        _history = history;
        Stamp = stamp;
    }

    /// <summary>Everything up to this revision has been read.</summary>
    public long Stamp { get; private set; }

    /// <summary>Takes the next change, without waiting.</summary>
    public HistoryRead TryRead(out Change? change)
    {
        change = null;
        while (true)
        {
            if (_nextAddition < _additions.Count)
            {
                change = _additions[_nextAddition++];
                Stamp = change.Stamp;
                return HistoryRead.Change;
            }

            if (_segment is null || _segment.IsDropped)
            {
                // The rest of a dropped segment is not read on: its successor is out of reach, and what is still known is found anew.
                if (_history.Locate(Stamp) is not { } place)
                {
                    return HistoryRead.Expired;
                }

                (_additions, _segment, _index) = place;
                _nextAddition = 0;
                continue;
            }

            if (_index < _segment.Count)
            {
                change = _segment[_index++];
                Stamp = change.Stamp;
                return HistoryRead.Change;
            }

            if (_segment.Next is { } next)
            {
                _segment = next;
                _index = 0;
                continue;
            }

            if (_segment.IsDropped || _index < _segment.Count)
            {
                continue;
            }

            return _history.IsEnded && _index == _segment.Count ? HistoryRead.Ended : HistoryRead.CaughtUp;
        }
    }

    /// <summary>When nothing is left to read: a revision through which this reader now has seen everything, for a bookmark.</summary>
    /// <param name="revision">The revision.</param>
    /// <param name="look">Called under the mirror's gate where nothing is left: what it sees of the mirror is what the reader has seen the way to.</param>
    public bool TryBookmark(out long revision, Action? look = null)
    {
        revision = _nextAddition < _additions.Count || _segment is null ? 0 : _history.RevisionAtEnd(_segment, _index, look);
        if (revision == 0)
        {
            return false;
        }

        Stamp = Math.Max(Stamp, revision);
        revision = Stamp;
        return true;
    }

    /// <summary>Ends when <see cref="TryRead"/> would answer anything but <see cref="HistoryRead.CaughtUp"/>.</summary>
    public async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task more = _history.NextAnnouncement();
            if (!IsCaughtUp())
            {
                return;
            }

            await more.WaitAsync(cancellationToken);
        }
    }

    private bool IsCaughtUp() =>
        _nextAddition == _additions.Count && _segment is { IsDropped: false, Next: null } segment && _index == segment.Count && !_history.IsEnded;
}
