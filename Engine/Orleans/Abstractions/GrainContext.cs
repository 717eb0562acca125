using Orleans.Serialization.Invocation;

namespace Orleans.Serialization.Invocation
{
    /// <summary>Holds what calls are made on.</summary>
    public interface ITargetHolder
    {
        /// <summary>The object that the calls reach.</summary>
        object? GetTarget();

        /// <summary>A component that was set on this holder, or null.</summary>
        object? GetComponent(Type componentType);
    }

    /// <summary>Shorthands over <see cref="ITargetHolder"/>.</summary>
    public static class TargetHolderExtensions
    {
        /// <summary>A component that was set on this holder, or null.</summary>
        public static TComponent? GetComponent<TComponent>(this ITargetHolder targetHolder) where TComponent : class =>
            (TComponent?)targetHolder.GetComponent(typeof(TComponent));
    }
}

namespace Orleans.Runtime
{
    /// <summary>One life of a grain, as its own code and the runtime see it.</summary>
    public interface IGrainContext : ITargetHolder, IEquatable<IGrainContext>
    {
        /// <summary>A reference that others may use to call the grain.</summary>
        GrainReference GrainReference { get; }

        /// <summary>Who the grain is.</summary>
        GrainId GrainId { get; }

        /// <summary>Which life of the grain this is.</summary>
        ActivationId ActivationId { get; }

        /// <summary>The grain object; null before it is built.</summary>
        object? GrainInstance { get; }

        /// <summary>Services that live as long as this activation.</summary>
        IServiceProvider ActivationServices { get; }

        /// <summary>Where parts of the grain take part in its start and stop.</summary>
        IGrainLifecycle ObservableLifecycle { get; }

        /// <summary>Runs work as turns of this activation. Thread-safe.</summary>
        IWorkItemScheduler Scheduler { get; }

        /// <summary>Completes when this life has ended.</summary>
        Task Deactivated { get; }

        /// <summary>Attaches a component under its type; null removes it.</summary>
        void SetComponent<TComponent>(TComponent? value) where TComponent : class;

        /// <summary>Ends this life when the running calls are done; calls that wait go to the next life. Thread-safe.</summary>
        void Deactivate(DeactivationReason deactivationReason, CancellationToken cancellationToken = default);
    }

    /// <summary>Gives the activation whose turn is running.</summary>
    public interface IGrainContextAccessor
    {
        /// <summary>The activation whose turn is running, or null outside of grains.</summary>
        IGrainContext GrainContext { get; }
    }

    /// <summary>Queues work for an activation; each item runs as a turn.</summary>
    public interface IWorkItemScheduler
    {
        /// <summary>Runs the action as a turn.</summary>
        void QueueAction(Action action);

        /// <summary>Runs the action as a turn.</summary>
        void QueueAction(Action<object> action, object state);

        /// <summary>Starts the task as a turn.</summary>
        void QueueTask(Task task);
    }

    internal static class RuntimeContext
    {
        [ThreadStatic]
        private static IGrainContext? _current;

        public static IGrainContext? Current => _current;

        public static void Set(IGrainContext? context) => _current = context;
    }
}
