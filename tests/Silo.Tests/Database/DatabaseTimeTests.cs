using MultiCluster.Fleet;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Silo.Tests.Database;

[Collection(DatabaseCollection.Name)]
public sealed class DatabaseTimeTests(PostgresServer server)
{
    // Far above what a busy machine may take for one statement.
    private static readonly TimeSpan Near = TimeSpan.FromSeconds(5);

    [PostgresTheory]
    [InlineData(-60)]
    [InlineData(0)]
    [InlineData(60)]
    public async Task Open_MachineIsAMinuteOff_TimeIsTheDatabases_AndTheOperatorIsTold(int ahead)
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        DatabaseTime clock = await DatabaseTime.OpenAsync(database.Source, new SkewedTime(TimeSpan.FromSeconds(ahead)), CancellationToken.None);

        TimeSpan error = clock.GetUtcNow() - new DateTimeOffset(await database.ScalarAsync<DateTime>("SELECT clock_timestamp()"), TimeSpan.Zero);

        Assert.InRange(error, -Near, Near);
        Assert.Equal(ahead == 0, clock.Fault is null);
        Assert.True(ahead == 0 || clock.Fault!.Contains(ahead > 0 ? "60 s ahead of" : "60 s behind", StringComparison.Ordinal), clock.Fault);
    }

    [PostgresFact]
    public async Task Open_MachineIsMinutesOff_DoesNotStart()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);

        ServiceStartException refused = await Assert.ThrowsAsync<ServiceStartException>(
            () => DatabaseTime.OpenAsync(database.Source, new SkewedTime(TimeSpan.FromMinutes(-3)), CancellationToken.None));

        Assert.Contains("180 s behind that of the database; set both by NTP", refused.Message, StringComparison.Ordinal);
    }

    [PostgresFact]
    public async Task Revisions_OfMachinesMinutesApart_FollowEachOther()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var ahead = new FleetClock(await DatabaseTime.OpenAsync(database.Source, new SkewedTime(TimeSpan.FromSeconds(60)), CancellationToken.None));
        var behind = new FleetClock(await DatabaseTime.OpenAsync(database.Source, new SkewedTime(TimeSpan.FromSeconds(-60)), CancellationToken.None));

        // What a silo that is killed has told last, and what its successor stamps first, seconds later, without ever having heard of it.
        DateTimeOffset told = FleetClock.TimeOf(ahead.Tick());
        DateTimeOffset stamped = FleetClock.TimeOf(behind.Tick());

        Assert.InRange(stamped - told, -Near, Near);
    }

    private sealed class SkewedTime(TimeSpan ahead) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + ahead;
    }
}
