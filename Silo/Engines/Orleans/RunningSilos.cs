using System.Net;
using Npgsql;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>A silo that the database lists as running.</summary>
/// <param name="Gateway">Where it listens for gateways.</param>
/// <param name="Generation">Of its process.</param>
/// <param name="Unrenewed">How long ago it has renewed its lease, by the database's clock; null where it has none.</param>
internal sealed record RunningSilo(IPEndPoint Gateway, int Generation, TimeSpan? Unrenewed);

/// <summary>Reads which silos run, and when each was heard of. Thread-safe.</summary>
/// <param name="database">The database.</param>
/// <param name="service">Name of the service that they belong to.</param>
internal sealed class RunningSilos(NpgsqlDataSource database, string service)
{
    /// <summary>Reads them.</summary>
    /// <exception cref="NpgsqlException">The database does not answer.</exception>
    public async Task<IReadOnlyList<RunningSilo>> ReadAsync()
    {
        // A process has one lease for where others reach it; an IPv6 address stands in brackets there.
        await using NpgsqlCommand command = database.CreateCommand("""
            SELECT address, proxy_port, generation, (
                SELECT extract(epoch FROM clock_timestamp() - max(l.renewed_at))::double precision FROM silo_lease AS l
                WHERE l.endpoint = CASE WHEN s.address LIKE '%:%' THEN '[' || s.address || ']' ELSE s.address END || ':' || s.port)
            FROM silo AS s
            WHERE deployment_id = @service AND status = @status AND proxy_port > 0
            """);
        command.Parameters.AddWithValue("service", service);
        command.Parameters.AddWithValue("status", (int)SiloStatus.Active);
        List<RunningSilo> silos = [];
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None);
        while (await reader.ReadAsync(CancellationToken.None))
        {
            silos.Add(new RunningSilo(
                new IPEndPoint(IPAddress.Parse(reader.GetString(0)), reader.GetInt32(1)),
                reader.GetInt32(2),
                await reader.IsDBNullAsync(3, CancellationToken.None) ? null : TimeSpan.FromSeconds(reader.GetDouble(3))));
        }

        return silos;
    }
}
