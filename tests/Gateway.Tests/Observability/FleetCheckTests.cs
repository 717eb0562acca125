using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Observability;
using MultiCluster.Gateway.Reads;
using MultiCluster.TestSupport;

namespace MultiCluster.Gateway.Tests.Observability;

/// <summary>What <c>/readyz</c> says of the fleet.</summary>
public sealed class FleetCheckTests : IAsyncDisposable
{
    private readonly ManualTimeProvider _time = new();
    private readonly FleetView _fleet;

    // Without any grains, every attempt to watch the fleet fails.
    public FleetCheckTests() => _fleet = new FleetView((Func<IFleetGrain>)null!, new FleetClock(_time), _time, NullLogger<FleetView>.Instance);

    [Fact]
    public async Task Check_NeverTried_TheSiloMayStillBeStarting() =>
        Assert.Equal((HealthStatus.Unhealthy, "has not been heard of yet; the silo may still be starting"), await LookAsync());

    [Fact]
    public async Task Check_NeverHeard_NoSiloAnswers()
    {
        await LoseAsync();

        Assert.Equal(
            (HealthStatus.Unhealthy, "has not been heard of yet: no silo answers; see whether one runs and can be reached from here"), await LookAsync());
    }

    [Fact]
    public async Task Check_Heard_IsHealthy()
    {
        _fleet.Apply(new FleetChange { Version = 1, Whole = true });

        Assert.Equal((HealthStatus.Healthy, null), await LookAsync());
    }

    [Theory]
    [InlineData(29, HealthStatus.Degraded)]
    [InlineData(30, HealthStatus.Unhealthy)]
    public async Task Check_HeardNoMore_IsReadyForAsLongAsTheFleetMayTakeToMove(int seconds, HealthStatus status)
    {
        _fleet.Apply(new FleetChange { Version = 1, Whole = true });
        await LoseAsync();

        _time.Advance(TimeSpan.FromSeconds(seconds));

        Assert.Equal((status, $"has not been heard of for {seconds} s: no silo answers; see whether one runs and can be reached from here"), await LookAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await _fleet.StopAsync(CancellationToken.None);
        _fleet.Dispose();
    }

    private async Task LoseAsync()
    {
        Task waits = _time.TimerArmed(1);
        await _fleet.StartAsync(CancellationToken.None);
        await waits.WaitAsync(TimeSpan.FromSeconds(10));
    }

    private async Task<(HealthStatus Status, string? Text)> LookAsync()
    {
        HealthCheckResult result = await new FleetCheck(_fleet).CheckHealthAsync(new HealthCheckContext());
        return (result.Status, result.Description);
    }
}
