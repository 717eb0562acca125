using System.Globalization;
using MultiCluster.Silo.Engines;
using MultiCluster.Silo.Tests.Database;
using MultiCluster.TestSupport;
using Orleans.Runtime;

namespace MultiCluster.Silo.Tests.Engines.Orleans;

/// <summary>What the database says of the silos that run.</summary>
[Collection(DatabaseCollection.Name)]
public sealed class RunningSilosTests(PostgresServer server)
{
    [PostgresFact]
    public async Task Read_TellsTheRunningOnesOfThisService_AndTheAgesOfTheirLeases()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await database.ExecuteAsync("INSERT INTO silo_table (deployment_id) VALUES ('fleet'), ('other')");
        await AddAsync("fleet", "10.0.0.1", SiloStatus.Active);
        await AddAsync("fleet", "10.0.0.2", SiloStatus.Active);
        await AddAsync("fleet", "10.0.0.3", SiloStatus.Dead);
        await AddAsync("fleet", "fd00::4", SiloStatus.Active);
        await AddAsync("other", "10.0.0.5", SiloStatus.Active);
        await database.ExecuteAsync("""
            INSERT INTO silo_lease (silo, endpoint, renewed_at) VALUES
            ('10.0.0.1:11111@7', '10.0.0.1:11111', clock_timestamp() - interval '100 s'), ('[fd00::4]:11111@7', '[fd00::4]:11111', clock_timestamp() - interval '200 s')
            """);

        IReadOnlyList<RunningSilo> silos = await new RunningSilos(database.Source, "fleet").ReadAsync();

        Assert.Equal(
            ["10.0.0.1:30000 7 100", "10.0.0.2:30000 7 none", "[fd00::4]:30000 7 200"],
            silos.Select(s => $"{s.Gateway} {s.Generation} {(s.Unrenewed is { } age ? (Math.Floor(age.TotalSeconds / 100) * 100).ToString(CultureInfo.InvariantCulture) : "none")}").Order(StringComparer.Ordinal));

        Task AddAsync(string service, string address, SiloStatus status) => database.ExecuteAsync(string.Create(CultureInfo.InvariantCulture, $"""
            INSERT INTO silo (deployment_id, address, port, generation, name, host_name, status, proxy_port, start_time, alive_at)
            VALUES ('{service}', '{address}', 11111, 7, 's', 'h', {(int)status}, 30000, now(), now())
            """));
    }
}
