using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MultiCluster.Silo.Database;
using MultiCluster.TestSupport;
using Npgsql;

namespace MultiCluster.Silo.Tests.Database;

/// <summary>What <c>/readyz</c> says of the database; the status is the one of the role.</summary>
[Collection(DatabaseCollection.Name)]
public sealed class DatabaseCheckTests(PostgresServer server)
{
    [PostgresFact]
    public async Task Check_DatabaseAnswers_IsHealthy()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);

        HealthCheckResult result = await CheckAsync(database.Source, HealthStatus.Unhealthy, TimeProvider.System);

        Assert.Equal(HealthStatus.Healthy, result.Status);
    }

    [Theory]
    [InlineData(HealthStatus.Unhealthy)]
    [InlineData(HealthStatus.Degraded)]
    public async Task Check_NothingListens_SaysWhereAndWhatToDo(HealthStatus ofTheRole)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        await using NpgsqlDataSource source = Source(port);

        HealthCheckResult result = await CheckAsync(source, ofTheRole, TimeProvider.System);

        Assert.Equal(
            (ofTheRole, $"PostgreSQL at 127.0.0.1:{port} cannot be reached (ConnectionRefused); start it, or correct Host and Port in Database:ConnectionString."),
            (result.Status, result.Description));
    }

    [Fact]
    public async Task Check_DatabaseHangs_SaysSoBeforeTheProbeGivesUp()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();   // takes connections, and never says a word
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        await using NpgsqlDataSource source = Source(port);
        var time = new ManualTimeProvider();

        Task<HealthCheckResult> check = CheckAsync(source, HealthStatus.Degraded, time);
        await time.TimerArmed(1);
        time.Advance(TimeSpan.FromMilliseconds(1999));
        Assert.False(check.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));

        HealthCheckResult result = await check.WaitAsync(TestDatabase.Deadline);
        Assert.Equal(
            (HealthStatus.Degraded, $"PostgreSQL at 127.0.0.1:{port} did not answer in time; see whether it runs and is not overloaded."),
            (result.Status, result.Description));
    }

    private static NpgsqlDataSource Source(int port) => NpgsqlDataSource.Create(
        string.Create(CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={port};Username=u;Database=d;SSL Mode=Disable;GSS Encryption Mode=Disable;Timeout=5"));

    private static Task<HealthCheckResult> CheckAsync(NpgsqlDataSource source, HealthStatus ofTheRole, TimeProvider time)
    {
        var check = new DatabaseCheck(source, time);
        return check.CheckHealthAsync(new HealthCheckContext { Registration = new HealthCheckRegistration("database", check, ofTheRole, tags: null) });
    }
}
