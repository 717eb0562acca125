using MultiCluster.Silo.Database;
using MultiCluster.TestSupport;

namespace MultiCluster.Silo.Tests.Database;

/// <summary>The right to act, on a real PostgreSQL, whose clock decides.</summary>
[Collection(DatabaseCollection.Name)]
public sealed class SiloLeaseTests(PostgresServer server)
{
    private const string One = "10.0.0.1:11111@5";
    private const string Endpoint = "10.0.0.1:11111";

    [PostgresFact]
    public async Task End_HolderHasGoneSilent_WaitsUntilTheLeaseHasLapsed_ThenTheHolderCannotRenew()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var leases = new SiloLeases(database.Source, TimeProvider.System);
        Assert.True(await leases.AcquireAsync(One, Endpoint, CancellationToken.None));
        Assert.True(await leases.RenewAsync(One, CancellationToken.None));
        DateTime renewed = await database.ScalarAsync<DateTime>("SELECT renewed_at FROM silo_lease");

        await leases.EndAsync(One, CancellationToken.None).WaitAsync(TestDatabase.Deadline);

        DateTime ended = await database.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        Assert.True(ended - renewed >= SiloLeases.Lease, $"ended {ended - renewed} after the last renewal");
        Assert.False(await leases.RenewAsync(One, CancellationToken.None));
        Assert.Equal(0, await database.ScalarAsync<long>("SELECT count(*) FROM silo_lease"));
    }

    [PostgresFact]
    public async Task End_HolderGoesOnRenewing_IsRefused_AndTheHolderKeepsIt()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var leases = new SiloLeases(database.Source, TimeProvider.System);
        Assert.True(await leases.AcquireAsync(One, Endpoint, CancellationToken.None));
        using var stop = new CancellationTokenSource();
        Task renewing = RenewAsync(leases, stop.Token);

        await Assert.ThrowsAsync<TimeoutException>(() => leases.EndAsync(One, CancellationToken.None).WaitAsync(TestDatabase.Deadline));

        await stop.CancelAsync();
        await renewing;
        Assert.True(await leases.RenewAsync(One, CancellationToken.None));
    }

    [PostgresTheory]
    [InlineData("10.0.0.1", 5, 6, false)]
    [InlineData("10.0.0.1", 5, 3, true)]
    [InlineData("10.0.0.1", 4, 6, true)]   // the process before
    [InlineData("10.0.0.2", 5, 6, true)]
    public async Task Renew_SiloWasDeclaredDead_IsLost_SoThatOthersMayTakeOver(string address, int generation, int status, bool isRenewed)
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var leases = new SiloLeases(database.Source, TimeProvider.System);
        Assert.True(await leases.AcquireAsync(One, Endpoint, CancellationToken.None));
        await database.ExecuteAsync("INSERT INTO silo_table (deployment_id) VALUES ('fleet')");
        await database.ExecuteAsync(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"""
            INSERT INTO silo (deployment_id, address, port, generation, name, host_name, status, proxy_port, start_time, alive_at)
            VALUES ('fleet', '{address}', 11111, {generation}, 's', 'h', {status}, 30000, now(), now())
            """));

        Assert.Equal(isRenewed, await leases.RenewAsync(One, CancellationToken.None));
    }

    [PostgresFact]
    public async Task End_LeaseWasGivenBack_NobodyWaits()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var leases = new SiloLeases(database.Source, TimeProvider.System);
        Assert.True(await leases.AcquireAsync(One, Endpoint, CancellationToken.None));
        await leases.ReleaseAsync(One, CancellationToken.None);

        Task ending = leases.EndAsync(One, CancellationToken.None);
        await ending.WaitAsync(SiloLeases.Lease / 2);
    }

    [PostgresFact]
    public async Task Acquire_AnotherProcessHasTheEndpoint_IsRefused_OnceItIsGoneItIsGranted()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var leases = new SiloLeases(database.Source, TimeProvider.System);
        Assert.True(await leases.AcquireAsync(One, Endpoint, CancellationToken.None));
        using var stop = new CancellationTokenSource();
        Task renewing = RenewAsync(leases, stop.Token);

        Assert.False(await leases.AcquireAsync("10.0.0.1:11111@6", Endpoint, CancellationToken.None).WaitAsync(TestDatabase.Deadline));
        Assert.True(await leases.AcquireAsync("10.0.0.2:11111@6", "10.0.0.2:11111", CancellationToken.None).WaitAsync(TestDatabase.Deadline));

        // As after a kill: nobody gives the lease back, and the process that is started in its place waits for it.
        await stop.CancelAsync();
        await renewing;
        Assert.True(await leases.AcquireAsync("10.0.0.1:11111@7", Endpoint, CancellationToken.None).WaitAsync(TestDatabase.Deadline));
    }

    private static async Task RenewAsync(SiloLeases leases, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await leases.RenewAsync(One, CancellationToken.None);
        }
    }
}
