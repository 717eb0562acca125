using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>Says in <c>/readyz</c> whether the database answers.</summary>
/// <remarks>
/// The failure is the registration's: a silo without its database can take over no cluster and is not ready; a gateway goes on answering
/// from the mirrors, so that for it this is a word to the operator only.
/// </remarks>
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
            return new HealthCheckResult(context.Registration.FailureStatus, DatabaseException.From(e, database.ConnectionString).Message);
        }
    }
}
