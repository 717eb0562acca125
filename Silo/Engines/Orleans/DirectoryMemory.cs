using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace MultiCluster.Silo.Engines;

/// <summary>Has a silo read every second where all grains live, so that it knows that while the database is away.</summary>
internal sealed partial class DirectoryMemory(DatabaseGrainDirectory directory, TimeProvider time, ILogger<DirectoryMemory> logger) : BackgroundService
{
    // What has moved since is not known to a silo that passes calls on.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            do
            {
                try
                {
                    await directory.RememberAsync().WaitAsync(stoppingToken);
                }
                catch (Exception e) when (e is NpgsqlException or TimeoutException)
                {
                    LogNotRead(logger, e);   // what was read last is what is remembered; /readyz tells that the database is away
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    [LoggerMessage(6105, LogLevel.Debug, "The directory could not be read; what was read last is remembered.", EventName = "DirectoryNotRead")]
    private static partial void LogNotRead(ILogger logger, Exception error);
}
