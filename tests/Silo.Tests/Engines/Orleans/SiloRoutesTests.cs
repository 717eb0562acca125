using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Silo.Engines;
using MultiCluster.TestSupport;

namespace MultiCluster.Silo.Tests.Engines.Orleans;

public sealed class SiloRoutesTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ManualTimeProvider _time = new();
    private readonly SiloRoutes _routes;
    private int[] _listed = [1, 2, 3];
    private int _looks;
    private long _round;
    private readonly Dictionary<int, long> _renewedAt = [];
    private Task _database = Task.CompletedTask;

    public SiloRoutesTests() => _routes = new SiloRoutes(ReadAsync, _time, NullLogger<SiloRoutes>.Instance);

    [Fact]
    public async Task Hang_IsPassedOverBeforeAThirdQuestion_AndTakenBackOnceItRenews()
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassAsync(1.5 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2 3", await RoutesAsync());
        await PassAsync(0.7 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2", await RoutesAsync());
        Assert.Equal(2, _routes.Count);

        // It cannot answer while no call leads over it, and is asked again then.
        await PassAsync(4 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2", await RoutesAsync());
        await PassAsync(Second, answering: [1, 2], renewing: [1, 2, 3]);
        Assert.Equal("1 2 3", await RoutesAsync());
        await PassAsync(5 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    [Fact]
    public async Task Hang_ForLong_IsTriedAgainFromTimeToTime()
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassAsync(3 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2", await RoutesAsync());
        await PassAsync(SiloRoutes.PassedOverFor - 0.5 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2 3", await RoutesAsync());
        await PassAsync(3 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2", await RoutesAsync());
    }

    [Theory]
    [InlineData("busy, and alive by its lease", "1 2", "1 2 3", "1 2 3")]
    [InlineData("cut off from the database, and answers", "1 2 3", "1 2", "1 2 3")]
    [InlineData("one of three answers", "2", "2", "2")]
    [InlineData("nobody answers", "", "", "1 2 3")]
    [InlineData("hangs", "1 3", "1 3", "1 3")]
    public async Task GetGateways_SomeFallSilent_Table(string why, string answering, string renewing, string expected)
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassAsync(4 * Second, Numbers(answering), Numbers(renewing));

        string routes = await RoutesAsync();
        Assert.True(expected == routes, $"{why}: {routes}");

        static int[] Numbers(string text) => [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(n => int.Parse(n, CultureInfo.InvariantCulture))];
    }

    [Fact]
    public async Task CutOffFromThisGateway_AliveByItsLease_IsPassedOver_AndTriedMoreAndMoreRarely()
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassAsync(5 * Second, answering: [1, 2], renewing: [1, 2, 3]);
        Assert.Equal("1 2 3", await RoutesAsync());
        List<double> passedOver = [];
        List<double> tried = [];
        for (int i = 0; i < 4; i++)
        {
            tried.Add(await PassUntilAsync("1 2", answering: [1, 2]));
            passedOver.Add(await PassUntilAsync("1 2 3", answering: [1, 2]));
        }

        Assert.Equal([10.0, 20, 40, 60], passedOver.Select(s => Math.Round(s / 5) * 5));
        Assert.All(tried.Skip(1), s => Assert.InRange(s, 4, 7));

        // It answers again: what was is forgotten.
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassUntilAsync("1 2", answering: [1, 2]);
        Assert.InRange(await PassUntilAsync("1 2 3", answering: [1, 2]), 9, 11);

        async Task<double> PassUntilAsync(string routes, int[] answering)
        {
            long start = _time.GetTimestamp();
            while (await RoutesAsync() != routes)
            {
                Assert.True(_time.GetElapsedTime(start) < 100 * Second, $"The routes stay {await RoutesAsync()}.");
                await PassAsync(0.1 * Second, answering, renewing: [1, 2, 3]);
            }

            return _time.GetElapsedTime(start).TotalSeconds;
        }
    }

    [Fact]
    public async Task GetGateways_OneHasNeverAnswered_IsNotJudged()
    {
        await PassAsync(20 * Second, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    [Fact]
    public async Task GetGateways_GatewayStandsStill_NobodyIsPassedOver()
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        _time.Advance(5 * Second);
        await PassAsync(0.1 * Second, answering: [1], renewing: []);   // the first answers before the others, and before anybody could renew
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3], () => Assert.Equal(3, _routes.Count));
    }

    [Fact]
    public async Task GetGateways_AllSilosStandStill_TheFirstToAnswerDoesNotCondemnTheOthers()
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassAsync(3 * Second, answering: [], renewing: []);
        await PassAsync(0.2 * Second, answering: [1], renewing: []);
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3], () => Assert.Equal(3, _routes.Count));
    }

    [Fact]
    public async Task GetGateways_OneIsNotListedAnyMore_IsForgotten_AndItsSuccessorIsNotBlamed()
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        await PassAsync(3 * Second, answering: [1, 2], renewing: [1, 2]);
        _listed = [1, 2];
        await PassAsync(2 * SiloRoutes.ListAge, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2", await RoutesAsync());

        _listed = [1, 2, 3];
        await PassAsync(2 * SiloRoutes.ListAge, answering: [1, 2], renewing: [1, 2]);
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task GetGateways_DatabaseIsAway_TheLastListCounts_AndAHungSiloIsPassedOverAllTheSame(bool hangs)
    {
        await PassAsync(3 * Second, answering: [1, 2, 3], renewing: [1, 2, 3]);
        _database = hangs ? new TaskCompletionSource().Task : Task.FromException(new TimeoutException("The database is away."));
        await PassAsync(5 * Second, answering: [1, 2, 3], renewing: []);
        Assert.Equal("1 2 3", await RoutesAsync());
        await PassAsync(hangs ? 3 * Second : 2.2 * Second, answering: [1, 2], renewing: []);
        Assert.Equal("1 2", await RoutesAsync());
        await PassAsync(SiloRoutes.PassedOverBlindlyFor, answering: [1, 2], renewing: []);
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    [Fact]
    public async Task GetGateways_NoListYet_FailsAsTheDatabaseDoes_AndReadsItOnceThatIsThere()
    {
        _database = Task.FromException(new TimeoutException("The database is away."));
        await Assert.ThrowsAsync<TimeoutException>(_routes.GetGateways);

        _database = Task.CompletedTask;
        Assert.Equal("1 2 3", await RoutesAsync());
    }

    private static IPEndPoint Endpoint(int silo) => new(IPAddress.Parse($"10.0.0.{silo}"), 30000);

    // Time in which Orleans looks as often as it does, and these silos answer at once and renew their leases.
    private async Task PassAsync(TimeSpan time, int[] answering, int[] renewing, Action? check = null)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += SiloRoutes.LookEvery)
        {
            foreach (int silo in renewing)
            {
                _renewedAt[silo] = _time.GetTimestamp();
            }

            if (_looks++ % (SiloRoutes.AskEvery / SiloRoutes.LookEvery) == 0)
            {
                _round++;
            }

            foreach (int silo in answering)
            {
                _routes.Hear(Endpoint(silo), _round);
            }

            await RoutesAsync();
            check?.Invoke();
            _time.Advance(SiloRoutes.LookEvery);
        }
    }

    private async Task<string> RoutesAsync()
    {
        IList<Uri> routes = await _routes.GetGateways().WaitAsync(TimeSpan.FromSeconds(30));
        return string.Join(' ', routes.Select(uri => uri.Host[^1]));
    }

    private async Task<IReadOnlyList<RunningSilo>> ReadAsync()
    {
        await _database;
        return [.. _listed.Select(n => new RunningSilo(Endpoint(n), 1, _renewedAt.TryGetValue(n, out long at) ? _time.GetElapsedTime(at) : null))];
    }
}
