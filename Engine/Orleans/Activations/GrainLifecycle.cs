using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Starts the parts of an activation upwards by stage, and stops those that were started downwards.</summary>
/// <remarks>Belongs to the activation's turns.</remarks>
internal sealed class GrainLifecycle : IGrainLifecycle
{
    private readonly List<Subscription> _subscriptions = [];
    private int _started = int.MinValue;

    public IDisposable Subscribe(string observerName, int stage, ILifecycleObserver observer)
    {
        ArgumentNullException.ThrowIfNull(observer);
        var subscription = new Subscription(this, stage, observer);
        _subscriptions.Add(subscription);
        return subscription;
    }

    public async Task StartAsync(CancellationToken token)
    {
        foreach (IGrouping<int, Subscription> stage in _subscriptions.GroupBy(s => s.Stage).OrderBy(s => s.Key).ToArray())
        {
            token.ThrowIfCancellationRequested();
            _started = stage.Key;
            await Task.WhenAll(stage.Select(s => s.Observer.OnStart(token)));
        }
    }

    public async Task StopAsync(Action<Exception> onFailure, CancellationToken token)
    {
        foreach (Subscription subscription in _subscriptions.Where(s => s.Stage <= _started).OrderByDescending(s => s.Stage).ToArray())
        {
            try
            {
                await subscription.Observer.OnStop(token).WaitAsync(token);
            }
            catch (Exception e)
            {
                onFailure(e);   // the stages below must still stop
            }
        }
    }

    private sealed record Subscription(GrainLifecycle Owner, int Stage, ILifecycleObserver Observer) : IDisposable
    {
        public void Dispose() => Owner._subscriptions.Remove(this);
    }
}
