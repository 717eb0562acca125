using Microsoft.Extensions.Logging;
using Orleans;

namespace MultiCluster.Silo.Engines;

/// <summary>Keeps a gateway trying to reach a silo for as long as it takes.</summary>
/// <remarks>It could do no better by ending: a silo that comes later is what it waits for, and <c>/readyz</c> says so meanwhile.</remarks>
internal sealed partial class SiloConnectionRetry(TimeProvider time, ILogger<SiloConnectionRetry> logger) : IClientConnectionRetryFilter
{
    // As often as the list of silos is read anew.
    private static readonly TimeSpan Delay = SiloRoutes.ListAge;

    private int _isTold;

    /// <inheritdoc/>
    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _isTold, 1) == 0)
        {
            LogNoSilo(logger, exception, Delay);
        }

        await Task.Delay(Delay, time, cancellationToken);
        return true;
    }

    [LoggerMessage(6160, LogLevel.Warning, "No silo can be reached; trying again every {Delay} until one can.", EventName = "NoSiloReached")]
    private static partial void LogNoSilo(ILogger logger, Exception exception, TimeSpan delay);
}
