using Microsoft.Extensions.Diagnostics.HealthChecks;
using MultiCluster.Gateway.Reads;

namespace MultiCluster.Gateway.Observability;

/// <summary>Says in <c>/readyz</c> whether this gateway hears from the fleet, and with that whether any silo can be reached.</summary>
/// <remarks>
/// Before it has heard once, every read would say that there are no clusters. When it hears no more, it stays ready for as long as the fleet may
/// take to move to another silo; then its clients are better off with another gateway, if one still reaches the silos.
/// </remarks>
internal sealed class FleetCheck(FleetView fleet) : IHealthCheck
{
    /// <summary>How long the fleet may be silent: three times what the others take to declare a silo that hangs dead, and to take its grains over.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(Look());

    private HealthCheckResult Look()
    {
        if (!fleet.Current.IsKnown)
        {
            return HealthCheckResult.Unhealthy(fleet.LostFor is null
                ? "has not been heard of yet; the silo may still be starting"
                : "has not been heard of yet: no silo answers; see whether one runs and can be reached from here");
        }

        if (fleet.LostFor is not { } silence)
        {
            return HealthCheckResult.Healthy();
        }

        string lost = $"has not been heard of for {(long)silence.TotalSeconds} s: no silo answers; see whether one runs and can be reached from here";
        return silence < Patience ? HealthCheckResult.Degraded(lost) : HealthCheckResult.Unhealthy(lost);
    }
}
