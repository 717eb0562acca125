namespace MultiCluster.Simulator.Storage;

/// <summary>One change as the history keeps it: the states before and after share their bytes with the store.</summary>
internal readonly record struct StoredChange(long Revision, StoredObject? Before, StoredObject? After);

/// <summary>The objects of one resource and the recent changes to them. Guarded by the gate of its <see cref="ClusterStore"/>.</summary>
internal sealed class ResourceStore(int historyLimit, long floor)
{
    private StoredChange[] _ring = new StoredChange[64];
    private int _first;
    private int _count;
    private TaskCompletionSource _changed = NewSignal();

    public OrderedObjects Current { get; private set; } = OrderedObjects.Empty;

    /// <summary>Every change after this revision is in the history; a watch from before it is too old.</summary>
    public long Floor { get; private set; } = floor;

    /// <summary>True once the resource is gone for good (its CRD was deleted): watches end.</summary>
    public bool IsClosed { get; private set; }

    public void Apply(StoredChange change)
    {
        Current = change.After is { } after
            ? Current.With(after)
            : Current.Without(change.Before!.Namespace, change.Before.Name);
        Append(change);
        Signal();
    }

    /// <summary>Replaces everything, as a restore or a bulk seed does: nobody can watch across it.</summary>
    public void Reset(OrderedObjects objects, long floor)
    {
        Current = objects;
        _first = _count = 0;
        Floor = floor;
        Signal();
    }

    /// <summary>Forgets the changes up to a revision.</summary>
    public void ForgetUpTo(long revision)
    {
        while (_count > 0 && _ring[_first].Revision <= revision)
        {
            DropFirst();
        }

        Floor = Math.Max(Floor, revision);
    }

    public void Close()
    {
        IsClosed = true;
        Signal();
    }

    /// <summary>Copies the changes after a revision, at most as many as the target holds; false when some of them are forgotten.</summary>
    public bool TryRead(long after, Span<StoredChange> target, out int read)
    {
        read = 0;
        if (after < Floor)
        {
            return false;
        }

        for (int i = FirstAfter(after); i < _count && read < target.Length; i++)
        {
            target[read++] = At(i);
        }

        return true;
    }

    /// <summary>The objects as they were at a revision; null when that is forgotten.</summary>
    public OrderedObjects? At(long revision)
    {
        if (revision < Floor)
        {
            return null;
        }

        OrderedObjects objects = Current;
        for (int i = _count - 1; i >= 0 && At(i).Revision > revision; i--)
        {
            StoredChange change = At(i);
            objects = change.Before is { } before ? objects.With(before) : objects.Without(change.After!.Namespace, change.After.Name);
        }

        return objects;
    }

    /// <summary>Completes at the next change.</summary>
    public Task NextChange() => _changed.Task;

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ref StoredChange At(int index) => ref _ring[(_first + index) % _ring.Length];

    private int FirstAfter(long revision)
    {
        int low = 0;
        int high = _count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (At(middle).Revision <= revision)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private void Append(StoredChange change)
    {
        if (_count == historyLimit)
        {
            Floor = _ring[_first].Revision;
            DropFirst();
        }
        else if (_count == _ring.Length)
        {
            var larger = new StoredChange[Math.Min(_ring.Length * 2, historyLimit)];
            for (int i = 0; i < _count; i++)
            {
                larger[i] = At(i);
            }

            (_ring, _first) = (larger, 0);
        }

        _count++;
        At(_count - 1) = change;
    }

    private void DropFirst()
    {
        _ring[_first] = default;
        _first = (_first + 1) % _ring.Length;
        _count--;
    }

    private void Signal() => Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
}
