using System.Net;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;

namespace MultiCluster.Silo.Engines;

/// <summary>Asks every silo that a gateway is connected to for a sign of life, so that one that hangs is passed over.</summary>
internal sealed partial class SiloSignReader(IGrainFactory grains, SiloRoutes routes, TimeProvider time, ILogger<SiloSignReader> logger) : BackgroundService
{
    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            for (long round = 0; ; round++)
            {
                // They take one route after the other, so that as many questions as there are routes try each once.
                for (int i = routes.Count; i > 0; i--)
                {
                    _ = AskAsync(round, stoppingToken);
                }

                await Task.Delay(SiloRoutes.AskEvery, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The way to stop.
        }
    }

    private async Task AskAsync(long round, CancellationToken stop)
    {
        try
        {
            routes.Hear(IPEndPoint.Parse(await grains.GetGrain<ISiloSignGrain>(0).ShowAsync().WaitAsync(stop)), round);
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
