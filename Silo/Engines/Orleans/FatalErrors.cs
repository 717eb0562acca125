using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>What a silo does that cannot go on.</summary>
/// <remarks>
/// One that is told that the others have declared it dead has broken nothing: it stops as it does when its lease is lost (<see cref="LeaseKeeper.Lose"/>).
/// After anything else its state is not known, and the process ends on the spot, as Orleans would have it. Thread-safe.
/// </remarks>
/// <param name="services">Asked for the lease when it is needed: that needs the membership, which needs this.</param>
/// <param name="logger">Log.</param>
internal sealed partial class FatalErrors(IServiceProvider services, ILogger<FatalErrors> logger) : IFatalErrorHandler
{
    /// <inheritdoc/>
    public bool IsUnexpected(Exception exception) => true;

    /// <inheritdoc/>
    public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null)
    {
        if (exception is not null)
        {
            LogFatal(logger, exception, context);
            Environment.FailFast($"{context}: {exception.Message} The process ends, and can be started again.", exception);
        }

        LogDead(logger, context);
        services.GetRequiredService<LeaseKeeper>().Lose();
    }

    [LoggerMessage(6171, LogLevel.Debug, "Told by the membership: {Context}", EventName = "SiloToldDead")]
    private static partial void LogDead(ILogger logger, string? context);

    [LoggerMessage(6170, LogLevel.Critical, "The silo cannot go on: {Context}. The process ends, and can be started again.", EventName = "SiloFatal")]
    private static partial void LogFatal(ILogger logger, Exception exception, string? context);
}
