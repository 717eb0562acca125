using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>Says in <c>/readyz</c> whether the database answers.</summary>
internal sealed class DatabaseCheck(NpgsqlDataSource database) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await using NpgsqlCommand command = database.CreateCommand("SELECT 1");
            await command.ExecuteScalarAsync(cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (NpgsqlException e)
        {
            return HealthCheckResult.Unhealthy(DatabaseException.From(e, database.ConnectionString).Message);
        }
    }
}
