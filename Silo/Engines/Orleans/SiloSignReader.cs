using System.Net;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;

namespace MultiCluster.Silo.Engines;

/// <summary>Asks every silo that a gateway is connected to for a sign of life, so that one that hangs is passed over.</summary>
internal sealed partial class SiloSignReader(IGrainFactory grains, SiloRoutes routes, TimeProvider time, ILogger<SiloSignReader> logger) : BackgroundService
{
    // A fifth of what makes a silo one that hangs; a question costs a tenth of a millisecond.
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(400);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                // They take one route after the other, so that as many questions as there are routes try each once.
                for (int i = routes.Count; i > 0; i--)
                {
                    _ = AskAsync(stoppingToken);
                }

                await Task.Delay(Period, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The way to stop.
        }
    }

    private async Task AskAsync(CancellationToken stop)
    {
        long asked = time.GetTimestamp();
        try
        {
            routes.Hear(IPEndPoint.Parse(await grains.GetGrain<ISiloSignGrain>(0).ShowAsync().WaitAsync(stop)), asked);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The way to stop.
        }
        catch (Exception e)
        {
            LogNoSign(logger, e);   // no sign is what it is about
        }
    }

    [LoggerMessage(6163, LogLevel.Debug, "A silo has given no sign of life.", EventName = "NoSiloSign")]
    private static partial void LogNoSign(ILogger logger, Exception error);
}
