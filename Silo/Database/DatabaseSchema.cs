using System.Globalization;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>The tables of the service, and their versions.</summary>
/// <remarks>
/// Upgrades only go forward, and each keeps what the version before it reads and writes working: silos of the last version
/// run on while those of the next one start. Safe to run from several processes at once; one does the work, the others wait.
/// </remarks>
internal sealed class DatabaseSchema(NpgsqlDataSource database)
{
    // Any number will do, as long as nobody else on the server uses it: "mcschema" in ASCII.
    private const long MigrationLock = 0x6d63736368656d61;

    private readonly string _schema = Quoted(new NpgsqlConnectionStringBuilder(database.ConnectionString).SearchPath!.Split(',')[0].Trim().Trim('"'));

    /// <summary>Version that this build makes and needs.</summary>
    public static int CurrentVersion => SqlText.Steps.Count;

    /// <summary>Brings the database to <see cref="CurrentVersion"/>. Does nothing where it is there already.</summary>
    /// <returns>The versions before (0 for an empty database) and after.</returns>
    /// <exception cref="DatabaseException">The database cannot be reached or written, or is of a newer build. Nothing was changed.</exception>
    public async Task<(int Before, int After)> MigrateAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using NpgsqlConnection connection = await database.OpenConnectionAsync(cancellationToken);
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);

            // Held to the end of the transaction; whoever comes second then finds the work done.
            await ExecuteAsync(connection, $"SELECT pg_advisory_xact_lock({MigrationLock.ToString(CultureInfo.InvariantCulture)})", cancellationToken);
            int before = await ReadVersionAsync(connection, cancellationToken);
            RefuseNewer(before);
            if (before == 0)
            {
                await ExecuteAsync(connection, $"""
                    CREATE SCHEMA IF NOT EXISTS {_schema};
                    CREATE TABLE {_schema}.schema_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
                    """, cancellationToken);
            }

            for (int version = before + 1; version <= CurrentVersion; version++)
            {
                await ExecuteAsync(connection, SqlText.Steps[version - 1], cancellationToken);
                await ExecuteAsync(connection, "INSERT INTO schema_version (version) VALUES (@version)", cancellationToken, ("version", version));
            }

            await WriteStatementsAsync(connection, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return (before, CurrentVersion);
        }
        catch (NpgsqlException e)
        {
            throw DatabaseException.From(e, database.ConnectionString);
        }
    }

    /// <summary>Makes sure that this build can work with the database, and that it belongs to this service.</summary>
    /// <param name="clusterId">Name of the service; the first that asks claims the database for it.</param>
    /// <param name="cancellationToken">Ends the check.</param>
    /// <exception cref="DatabaseException">It cannot, or does not.</exception>
    public async Task CheckAsync(string clusterId, CancellationToken cancellationToken)
    {
        try
        {
            await using NpgsqlConnection connection = await database.OpenConnectionAsync(cancellationToken);
            int version = await ReadVersionAsync(connection, cancellationToken);
            RefuseNewer(version);
            if (version < CurrentVersion)
            {
                throw new DatabaseException(version == 0
                    ? "The database holds no tables of MultiCluster yet; run 'database migrate' with the same configuration first."
                    : $"The database has schema version {version}, and this build needs {CurrentVersion}; run its 'database migrate' with the same configuration first.");
            }

            // The second statement sees what the first has not written, because another was there before.
            await ExecuteAsync(connection, "INSERT INTO service_identity (cluster_id) VALUES (@id) ON CONFLICT DO NOTHING", cancellationToken, ("id", clusterId));
            await using var command = new NpgsqlCommand("SELECT cluster_id FROM service_identity", connection);
            if (await command.ExecuteScalarAsync(cancellationToken) is string owner && owner != clusterId)
            {
                throw new DatabaseException(
                    $"The database belongs to the service '{owner}', and this process is set to '{clusterId}'; set Service:ClusterId to '{owner}' to join it, or name another database.");
            }
        }
        catch (NpgsqlException e)
        {
            throw DatabaseException.From(e, database.ConnectionString);
        }
    }

    /// <summary>Version of the schema; 0 where there is none.</summary>
    private async Task<int> ReadVersionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var exists = new NpgsqlCommand("SELECT to_regclass(@table) IS NOT NULL", connection);
        exists.Parameters.AddWithValue("table", $"{_schema}.schema_version");
        if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
        {
            return 0;
        }

        await using var version = new NpgsqlCommand($"SELECT coalesce(max(version), 0) FROM {_schema}.schema_version", connection);
        return (int)(await version.ExecuteScalarAsync(cancellationToken))!;
    }

    // Written anew each time: a build may better a statement without a new version of the tables.
    private static async Task WriteStatementsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        foreach ((string key, string text) in SqlText.Statements)
        {
            await ExecuteAsync(
                connection,
                """
                INSERT INTO orleansquery (querykey, querytext) VALUES (@key, @text)
                ON CONFLICT (querykey) DO UPDATE SET querytext = excluded.querytext WHERE orleansquery.querytext <> excluded.querytext
                """,
                cancellationToken,
                ("key", key),
                ("text", text));
        }
    }

    private static void RefuseNewer(int version)
    {
        if (version > CurrentVersion)
        {
            throw new DatabaseException(
                $"The database has schema version {version}, and this build knows only {CurrentVersion}; use the build that made it, or a later one. Nothing was changed.");
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params (string Name, object Value)[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach ((string name, object value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static string Quoted(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
