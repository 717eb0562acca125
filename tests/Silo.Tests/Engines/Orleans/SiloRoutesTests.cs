using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Silo.Engines;
using MultiCluster.TestSupport;
using Orleans.Messaging;

namespace MultiCluster.Silo.Tests.Engines.Orleans;

public sealed class SiloRoutesTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly SiloList _listed = new("10.0.0.1", "10.0.0.2", "10.0.0.3");
    private readonly SiloRoutes _routes;

    public SiloRoutesTests() => _routes = new SiloRoutes(_listed, _time, NullLogger<SiloRoutes>.Instance);

    [Fact]
    public async Task Hear_OneFallsBehindTheOthers_IsPassedOver_AndGetsAnotherChance()
    {
        await PassAsync(TimeSpan.FromSeconds(1), 1, 2, 3);
        await PassAsync(SiloRoutes.Lag, 1, 2);
        Assert.Equal("1 2 3", await RoutesAsync());
        await PassAsync(TimeSpan.FromSeconds(0.4), 1, 2);
        Assert.Equal("1 2", await RoutesAsync());
        Assert.Equal(2, _routes.Count);

        await PassAsync(SiloRoutes.PassedOverFor, 1, 2);
        Assert.Equal("1 2 3", await RoutesAsync());
        await PassAsync(SiloRoutes.Lag, 1, 2);
        await PassAsync(TimeSpan.FromSeconds(0.4), 1, 2);
        Assert.Equal("1 2", await RoutesAsync());
    }

    [Fact]
    public async Task Hear_GatewayStandsStill_NobodyIsPassedOver()
    {
        await PassAsync(TimeSpan.FromSeconds(1), 1, 2, 3);
        long asked = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromSeconds(30));
        _routes.Hear(Endpoint(1), asked);
        _routes.Hear(Endpoint(2), asked);

        Assert.Equal("1 2 3", await RoutesAsync());
    }

    [Theory]
    [InlineData("one that has never answered is not judged", "1 2", "1 2 3")]
    [InlineData("nobody answers", "", "1 2 3")]
    [InlineData("one of three answers", "2", "2")]
    public async Task GetGateways_AfterSomeHaveAnswered_Table(string why, string answering, string expected)
    {
        int[] silos = [.. answering.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(s => int.Parse(s, System.Globalization.CultureInfo.InvariantCulture))];
        await PassAsync(TimeSpan.FromSeconds(1), silos.Length == 1 ? [1, 2, 3] : silos);
        await PassAsync(TimeSpan.FromSeconds(3), silos);

        string routes = await RoutesAsync();
        Assert.True(expected == routes, $"{why}: {routes}");
    }

    [Fact]
    public async Task GetGateways_OneIsNotListedAnyMore_IsForgotten_AndItsSuccessorIsNotBlamed()
    {
        await PassAsync(TimeSpan.FromSeconds(1), 1, 2, 3);
        await PassAsync(TimeSpan.FromSeconds(3), 1, 2);
        _listed.Silos = ["10.0.0.1", "10.0.0.2"];
        await PassAsync(SiloRoutes.ListAge * 2, 1, 2);
        Assert.Equal("1 2", await RoutesAsync());

        _listed.Silos = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        await PassAsync(SiloRoutes.ListAge * 2, 1, 2);
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    [Fact]
    public async Task GetGateways_DatabaseFailsOrHangs_TheLastListCounts_AndAHungSiloIsPassedOverAllTheSame()
    {
        await PassAsync(TimeSpan.FromSeconds(1), 1, 2, 3);
        _listed.Failure = Task.FromException(new TimeoutException("The database is away."));
        await PassAsync(SiloRoutes.ListAge * 2, 1, 2, 3);
        Assert.Equal("1 2 3", await RoutesAsync());

        _listed.Failure = new TaskCompletionSource().Task;
        await PassAsync(SiloRoutes.ListAge * 2, 1, 2);
        Assert.Equal("1 2", await RoutesAsync());
    }

    [Fact]
    public async Task GetGateways_NoListYet_FailsAsTheDatabaseDoes_AndReadsItOnceThatIsThere()
    {
        _listed.Failure = Task.FromException(new TimeoutException("The database is away."));
        await Assert.ThrowsAsync<TimeoutException>(_routes.GetGateways);

        _listed.Failure = Task.CompletedTask;
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    private static IPEndPoint Endpoint(int silo) => new(IPAddress.Parse($"10.0.0.{silo}"), 30000);

    // Time in which these silos answer at once whatever they are asked, and Orleans looks.
    private async Task PassAsync(TimeSpan time, params int[] answering)
    {
        var step = TimeSpan.FromSeconds(0.2);
        for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += step)
        {
            await RoutesAsync();
            foreach (int silo in answering)
            {
                _routes.Hear(Endpoint(silo), _time.GetTimestamp());
            }

            _time.Advance(step);
        }
    }

    private async Task<string> RoutesAsync()
    {
        IList<Uri> routes = await _routes.GetGateways().WaitAsync(TimeSpan.FromSeconds(30));
        return string.Join(' ', routes.Select(uri => uri.Host[^1]));
    }

    private sealed class SiloList(params string[] silos) : IGatewayListProvider
    {
        public IReadOnlyList<string> Silos { get; set; } = silos;

        public Task Failure { get; set; } = Task.CompletedTask;

        public TimeSpan MaxStaleness => TimeSpan.Zero;

        public bool IsUpdatable => true;

        public Task InitializeGatewayListProvider() => Task.CompletedTask;

        public async Task<IList<Uri>> GetGateways()
        {
            await Failure;
            return [.. Silos.Select(s => new Uri($"gwy.tcp://{s}:30000/1"))];
        }
    }
}
