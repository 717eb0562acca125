using System.Collections.Immutable;
using MultiCluster.Fleet;

namespace MultiCluster.Grains.Cluster;

/// <summary>The member clusters that this process acts for: which they are, whether it may, and those that stand by to come.</summary>
/// <remarks>
/// One per process, thread-safe. A process that may have lost its clusters to another (it is cut off from what decides that)
/// calls <see cref="Suspend"/>: no member hears of it any more, and what is mirrored stays readable and is called stale.
/// </remarks>
public sealed class LocalClusters
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ClusterSession, string> _acting = [];
    private readonly Dictionary<string, ClusterStandby> _standbys = new(StringComparer.Ordinal);
    private readonly HashSet<Task> _ending = [];
    private bool _isSuspended;
    private volatile bool _isLeaving;

    /// <summary>Whether the process is about to stop: nothing is filled here any more for clusters that might come.</summary>
    public bool IsLeaving => _isLeaving;

    /// <summary>Names of the clusters that are switched on and live here, in no order.</summary>
    public ImmutableArray<string> Names
    {
        get
        {
            lock (_gate)
            {
                return [.. _acting.Values];
            }
        }
    }

    /// <summary>Whether the process has stopped to act for its clusters.</summary>
    public bool IsSuspended
    {
        get
        {
            lock (_gate)
            {
                return _isSuspended;
            }
        }
    }

    /// <summary>Stops everything that reaches members, also of clusters that come later. Returns at once; requests under way are cancelled.</summary>
    public void Suspend() => Set(isSuspended: true);

    /// <summary>Says that the process is about to stop. Whoever has a mirror filled here, to move its cluster, is told that it is not ready, and moves it elsewhere.</summary>
    public void BeginLeave() => _isLeaving = true;

    /// <summary>Goes on where <see cref="Suspend"/> has stopped.</summary>
    public void Resume() => Set(isSuspended: false);

    /// <summary>A cluster's grain lives here from now on.</summary>
    internal void Enter(ClusterSession session, string cluster)
    {
        lock (_gate)
        {
            _acting.Add(session, cluster);
            session.SetSuspended(_isSuspended);
        }
    }

    /// <summary>It does so no longer.</summary>
    internal void Leave(ClusterSession session)
    {
        lock (_gate)
        {
            _acting.Remove(session);
        }
    }

    /// <summary>A standby waits for its cluster from now on. The one that waited before is given back, to be let go.</summary>
    internal ClusterStandby? Offer(ClusterStandby standby)
    {
        lock (_gate)
        {
            _standbys.Remove(standby.Entry.Name, out ClusterStandby? before);
            _standbys.Add(standby.Entry.Name, standby);
            return before;
        }
    }

    /// <summary>Takes the standby of a registration, where one waits; the caller owns what it has filled, and brings it up to date.</summary>
    internal ClusterStandby? Take(ClusterEntry entry)
    {
        lock (_gate)
        {
            bool isIt = _standbys.TryGetValue(entry.Name, out ClusterStandby? standby) && standby.Entry.Uid == entry.Uid;
            return isIt && _standbys.Remove(entry.Name) ? standby : null;
        }
    }

    /// <summary>Whether a standby still waits for its cluster.</summary>
    internal bool Waits(ClusterStandby standby)
    {
        lock (_gate)
        {
            return _standbys.TryGetValue(standby.Entry.Name, out ClusterStandby? waiting) && waiting == standby;
        }
    }

    /// <summary>Takes a standby back that nobody wants. False where somebody has taken it.</summary>
    internal bool Withdraw(ClusterStandby standby)
    {
        lock (_gate)
        {
            return _standbys.TryGetValue(standby.Entry.Name, out ClusterStandby? waiting) && waiting == standby && _standbys.Remove(standby.Entry.Name);
        }
    }

    /// <summary>Lets a session end by itself; its grain has moved on and does not wait for it.</summary>
    internal void LetEnd(ClusterSession session)
    {
        Task ending = session.StopAsync(letGo: false);
        lock (_gate)
        {
            _ending.Add(ending);
        }

        // A session that fails to end has said so in the log; here it only leaves the list.
        _ = ending.ContinueWith(
            done =>
            {
                _ = done.Exception;
                lock (_gate)
                {
                    _ending.Remove(done);
                }
            },
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    /// <summary>Waits for the sessions that were let end.</summary>
    public Task EndedAsync()
    {
        lock (_gate)
        {
            return Task.WhenAll(_ending);
        }
    }

    private void Set(bool isSuspended)
    {
        lock (_gate)
        {
            if (_isSuspended == isSuspended)
            {
                return;
            }

            _isSuspended = isSuspended;
            foreach (ClusterSession session in _acting.Keys)
            {
                session.SetSuspended(isSuspended);
            }
        }
    }
}
