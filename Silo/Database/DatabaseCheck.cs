using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>Says in <c>/readyz</c> whether the database answers.</summary>
/// <remarks>
/// The failure is the registration's: a silo without its database can take over no cluster and is not ready; a gateway goes on answering
/// from the mirrors, so that for it this is a word to the operator only.
/// </remarks>
internal sealed class DatabaseCheck(NpgsqlDataSource database, TimeProvider time) : IHealthCheck
{
    // Probes give up after three seconds, and then nobody would read what is wrong; and a gateway would be taken for unready for it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            // Not by a token: to end a statement the driver asks the server, which is just what does not answer. It ends by its own timeouts.
            await AskAsync(database).WaitAsync(Patience, time, cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (NpgsqlException e)
        {
            return Missing(e);
        }
        catch (TimeoutException e)
        {
            return Missing(new NpgsqlException(e.Message, e));
        }

        HealthCheckResult Missing(NpgsqlException e) => new(context.Registration.FailureStatus, DatabaseException.From(e, database.ConnectionString).Message);
    }

    /// <summary>Ends well where the database answers.</summary>
    /// <exception cref="NpgsqlException">It does not.</exception>
    internal static async Task AskAsync(NpgsqlDataSource database)
    {
        await using NpgsqlCommand command = database.CreateCommand("SELECT 1");
        await command.ExecuteScalarAsync(CancellationToken.None);
    }
}
