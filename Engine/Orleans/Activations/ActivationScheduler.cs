using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Runs the turns of one activation: one at a time, in order, on whichever pool thread is free.</summary>
/// <remarks>Thread-safe. Every continuation of grain code comes here because the scheduler is current while grain code runs.</remarks>
internal sealed class ActivationScheduler(IGrainContext activation) : TaskScheduler, IThreadPoolWorkItem, IWorkItemScheduler
{
    // A busy activation gives its thread back after so many turns, so that it cannot starve the others of the pool.
    private const int TurnsPerSlice = 100;

    private readonly Lock _gate = new();
    private readonly Queue<Task> _turns = new();
    private bool _scheduled;

    public override int MaximumConcurrencyLevel => 1;

    void IThreadPoolWorkItem.Execute()
    {
        IGrainContext? outer = RuntimeContext.Current;
        RuntimeContext.Set(activation);
        try
        {
            for (int turn = 0; turn < TurnsPerSlice; turn++)
            {
                Task? next;
                lock (_gate)
                {
                    if (!_turns.TryDequeue(out next))
                    {
                        _scheduled = false;
                        return;
                    }
                }

                TryExecuteTask(next);
            }
        }
        finally
        {
            RuntimeContext.Set(outer);
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IWorkItemScheduler.QueueAction(Action action) => QueueClean(static action => ((Action)action!).Invoke(), action);

    void IWorkItemScheduler.QueueAction(Action<object> action, object state) => QueueClean(action!, state);

    void IWorkItemScheduler.QueueTask(Task task) => task.Start(this);

    /// <summary>Runs the work as a turn that inherits nothing from the caller's execution context.</summary>
    public void QueueClean(Action<object?> action, object state)
    {
        if (ExecutionContext.IsFlowSuppressed())
        {
            new Task(action, state).Start(this);
            return;
        }

        using AsyncFlowControl suppressed = ExecutionContext.SuppressFlow();
        new Task(action, state).Start(this);
    }

    protected override void QueueTask(Task task)
    {
        lock (_gate)
        {
            _turns.Enqueue(task);
            if (_scheduled)
            {
                return;
            }

            _scheduled = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
    }

    // Inlining is a turn within the turn, so only code that is itself a turn of this activation may do it.
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        !taskWasPreviouslyQueued && Current == this && ReferenceEquals(RuntimeContext.Current, activation) && TryExecuteTask(task);

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_gate) { return _turns.ToArray(); }
    }
}
