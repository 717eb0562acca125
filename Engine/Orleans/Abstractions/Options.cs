namespace Orleans.Configuration
{
    /// <summary>How calls are made.</summary>
    public abstract class MessagingOptions
    {
        /// <summary>How long a caller waits before it gets a <see cref="TimeoutException"/>.</summary>
        /// <value>Default 30 seconds. Checked once a second, or ten times per timeout when that is more often.</value>
        public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>Whether the callee's <see cref="CancellationToken"/> ends when the caller has timed out.</summary>
        /// <value>Default true.</value>
        public bool CancelRequestOnTimeout { get; set; } = true;

        /// <summary>Whether a cancelling caller waits until the callee has ended.</summary>
        /// <value>Default false: the caller gets <see cref="OperationCanceledException"/> at once.</value>
        public bool WaitForCancellationAcknowledgement { get; set; }
    }

    /// <summary>How calls are made by clients. In process the silo's options hold for both.</summary>
    public class ClientMessagingOptions : MessagingOptions;

    /// <summary>How calls are made and queued in a silo.</summary>
    public class SiloMessagingOptions : MessagingOptions
    {
        /// <summary>How many calls may wait for one activation; one more gets <see cref="Runtime.LimitExceededException"/>. 0 is no limit.</summary>
        /// <value>Default 10,000: at 1 KB a call 10 MB for a grain that hangs. Orleans itself has no limit by default.</value>
        public int MaxEnqueuedRequestsHardLimit { get; set; } = 10_000;
    }

    /// <summary>When idle activations end, and how long starting and ending may take.</summary>
    public class GrainCollectionOptions
    {
        /// <summary>How long an activation may be idle.</summary>
        /// <value>Default 15 minutes; <see cref="Timeout.InfiniteTimeSpan"/> for ever. Must be longer than <see cref="CollectionQuantum"/>.</value>
        public TimeSpan CollectionAge { get; set; } = TimeSpan.FromMinutes(15);

        /// <summary>How often idle activations are looked for.</summary>
        /// <value>Default 1 minute.</value>
        public TimeSpan CollectionQuantum { get; set; } = TimeSpan.FromMinutes(1);

        /// <summary>Ages for single grain classes by full name; they win over attributes.</summary>
        public Dictionary<string, TimeSpan> ClassSpecificCollectionAge { get; set; } = [];

        /// <summary>How long OnActivateAsync may take.</summary>
        /// <value>Default 30 seconds.</value>
        public TimeSpan ActivationTimeout { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>How long OnDeactivateAsync may take before it is left alone.</summary>
        /// <value>Default 30 seconds.</value>
        public TimeSpan DeactivationTimeout { get; set; } = TimeSpan.FromSeconds(30);
    }

    /// <summary>What the cluster is called.</summary>
    public class ClusterOptions
    {
        /// <summary>The cluster.</summary>
        public string ClusterId { get; set; } = "default";

        /// <summary>The service, which outlives clusters.</summary>
        public string ServiceId { get; set; } = "default";
    }
}

namespace Orleans.Hosting
{
    /// <summary>How reminders tick.</summary>
    public sealed class ReminderOptions
    {
        /// <summary>The shortest period that may be registered.</summary>
        /// <value>Default 1 minute.</value>
        public TimeSpan MinimumReminderPeriod { get; set; } = TimeSpan.FromMinutes(1);
    }
}
