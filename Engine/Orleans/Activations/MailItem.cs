using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Something an activation is asked to do: a call, a timer's tick, a step of a stream.</summary>
internal abstract class MailItem
{
    /// <summary>The timestamp after which the sender no longer waits.</summary>
    public long Deadline = long.MaxValue;

    // Links of the mailbox that holds the item; only that mailbox touches them, under its activation's lock.
    public MailItem? Next;
    public MailItem? Previous;

    /// <summary>The activation in whose mailbox the item waits; set and cleared under that activation's lock.</summary>
    public volatile GrainActivation? Owner;

    /// <summary>The sender's <see cref="RequestContext"/>.</summary>
    public Dictionary<string, object>? Context;

    /// <summary>The call chain that may come back; empty when none may.</summary>
    public Guid CallChain;

    /// <summary>Runs beside everything.</summary>
    public virtual bool AlwaysInterleaves => false;

    /// <summary>Runs beside others of its kind.</summary>
    public virtual bool IsReadOnly => false;

    /// <summary>Counts as use of the grain.</summary>
    public virtual bool KeepsAlive => true;

    /// <summary>Might run while another runs, so that a search past the head of the mailbox can find it.</summary>
    public bool MightInterleave => AlwaysInterleaves || IsReadOnly || CallChain != Guid.Empty;

    /// <summary>Begins the work, within a turn. Whatever happens, <see cref="GrainActivation.OnFinished"/> is called once.</summary>
    public abstract void Start(GrainActivation activation);

    /// <summary>Tells the sender that the work is not done. Thread-safe.</summary>
    public abstract void Reject(Exception cause);

    /// <summary>The activation ended before the work began: send it to the next one, or drop it.</summary>
    public abstract void OnActivationGone(ActorRuntime runtime);

    /// <summary>The sender no longer waits. The item is out of the mailbox, or it runs.</summary>
    public virtual void OnExpired(GrainActivation activation)
    {
    }
}

/// <summary>The waiting items of one activation in order of arrival. Not thread-safe: under the activation's lock.</summary>
internal sealed class Mailbox
{
    private MailItem? _last;
    private int _interleaving;

    public MailItem? First { get; private set; }

    public int Count { get; private set; }

    /// <summary>Whether a search past the head makes sense.</summary>
    public bool MightInterleave => _interleaving > 0;

    public void Append(MailItem item, GrainActivation owner)
    {
        item.Owner = owner;
        item.Previous = _last;
        if (_last is null)
        {
            First = item;
        }
        else
        {
            _last.Next = item;
        }

        _last = item;
        Count++;
        _interleaving += item.MightInterleave ? 1 : 0;
    }

    public void Remove(MailItem item)
    {
        if (item.Previous is null)
        {
            First = item.Next;
        }
        else
        {
            item.Previous.Next = item.Next;
        }

        if (item.Next is null)
        {
            _last = item.Previous;
        }
        else
        {
            item.Next.Previous = item.Previous;
        }

        (item.Next, item.Previous, item.Owner) = (null, null, null);
        Count--;
        _interleaving -= item.MightInterleave ? 1 : 0;
    }
}
