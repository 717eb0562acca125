namespace Orleans
{
    /// <summary>Takes part in a start and stop.</summary>
    public interface ILifecycleObserver
    {
        /// <summary>Runs at its stage of the start; a failure fails the start.</summary>
        Task OnStart(CancellationToken cancellationToken = default);

        /// <summary>Runs at its stage of the stop.</summary>
        Task OnStop(CancellationToken cancellationToken = default);
    }

    /// <summary>A start and stop in stages, upwards and downwards.</summary>
    public interface ILifecycleObservable
    {
        /// <summary>Takes part at that stage.</summary>
        IDisposable Subscribe(string observerName, int stage, ILifecycleObserver observer);
    }

    /// <summary>Subscribes itself when it is built.</summary>
    public interface ILifecycleParticipant<in TLifecycleObservable> where TLifecycleObservable : ILifecycleObservable
    {
        /// <summary>Subscribes.</summary>
        void Participate(TLifecycleObservable lifecycle);
    }

    /// <summary>Shorthands for subscriptions.</summary>
    public static class LifecycleExtensions
    {
        /// <summary>Takes part at that stage.</summary>
        public static IDisposable Subscribe(this ILifecycleObservable observable, string observerName, int stage, Func<CancellationToken, Task> onStart) =>
            observable.Subscribe(observerName, stage, onStart, null);

        /// <summary>Takes part at that stage.</summary>
        public static IDisposable Subscribe(
            this ILifecycleObservable observable, string observerName, int stage, Func<CancellationToken, Task> onStart, Func<CancellationToken, Task>? onStop) =>
            observable.Subscribe(observerName, stage, new Observer(onStart, onStop));

        private sealed class Observer(Func<CancellationToken, Task> onStart, Func<CancellationToken, Task>? onStop) : ILifecycleObserver
        {
            public Task OnStart(CancellationToken cancellationToken) => onStart(cancellationToken);

            public Task OnStop(CancellationToken cancellationToken) => onStop?.Invoke(cancellationToken) ?? Task.CompletedTask;
        }
    }
}

namespace Orleans.Runtime
{
    /// <summary>The start and stop of one activation.</summary>
    public interface IGrainLifecycle : ILifecycleObservable;

    /// <summary>The stages of an activation.</summary>
    public static class GrainLifecycleStage
    {
        /// <summary>Before everything.</summary>
        public const int First = int.MinValue;

        /// <summary>State is read.</summary>
        public const int SetupState = 1000;

        /// <summary>OnActivateAsync and OnDeactivateAsync run.</summary>
        public const int Activate = 2000;

        /// <summary>After everything.</summary>
        public const int Last = int.MaxValue;
    }
}
