using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>The right of a silo to act for its clusters, as the database keeps it.</summary>
/// <remarks>
/// <para>A lease holds for <see cref="Lease"/> from its last renewal, by the database's clock. A silo counts from when it asked for the renewal,
/// which is never later, and gives up <see cref="Margin"/> earlier: so it has stopped before another may begin.</para>
/// <para>Thread-safe. Every member throws <see cref="NpgsqlException"/> or ends with its token where the database does not answer.</para>
/// </remarks>
internal sealed class SiloLeases(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>How long a renewal holds. A killed silo keeps its clusters from others for this long at most.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(3);

    /// <summary>How much earlier than that its holder gives up: time to end what is under way.</summary>
    public static readonly TimeSpan Margin = TimeSpan.FromSeconds(0.5);

    private const int Dead = 6;   // SiloStatus of Orleans, whose table of silos it is

    /// <summary>Takes a new lease.</summary>
    /// <param name="silo">The silo: its endpoint and the generation of this process.</param>
    /// <param name="endpoint">Where others reach it; two processes must not have the same.</param>
    /// <param name="cancellationToken">Ends the wait for another process with the endpoint to be gone.</param>
    /// <returns>False where another process has the endpoint and goes on renewing.</returns>
    public async Task<bool> AcquireAsync(string silo, string endpoint, CancellationToken cancellationToken)
    {
        // One that was killed a moment ago and is started again finds its own old lease, which lapses.
        long start = time.GetTimestamp();
        while (!await TryAcquireAsync(silo, endpoint, cancellationToken))
        {
            if (time.GetElapsedTime(start) > 2 * Lease)
            {
                return false;
            }

            await Task.Delay(Lease / 10, time, cancellationToken);
        }

        return true;
    }

    /// <summary>Renews. False where somebody has ended the lease, or the others have declared the silo dead: then it is lost for good.</summary>
    /// <remarks>
    /// A silo that was declared dead may be the last to hear of it: it looks less and less often while the database is away. Renewing its lease all the
    /// while, it would keep its clusters from the others without answering for them.
    /// </remarks>
    public async Task<bool> RenewAsync(string silo, CancellationToken cancellationToken) =>
        await ExecuteAsync(
            $"""
            UPDATE silo_lease SET renewed_at = clock_timestamp()
            WHERE silo = @silo AND NOT EXISTS (SELECT FROM silo AS s WHERE s.status = {Dead} AND s.address || ':' || s.port || '@' || s.generation = @silo)
            """, silo, cancellationToken) > 0;

    /// <summary>Says that the silo is about to go, so that nothing is placed on it any more.</summary>
    public Task AnnounceLeaveAsync(string silo, CancellationToken cancellationToken) =>
        ExecuteAsync("UPDATE silo_lease SET is_leaving = true WHERE silo = @silo", silo, cancellationToken);

    /// <summary>Gives the lease back: nobody has to wait for it.</summary>
    public Task ReleaseAsync(string silo, CancellationToken cancellationToken) => ExecuteAsync("DELETE FROM silo_lease WHERE silo = @silo", silo, cancellationToken);

    /// <summary>Ends the lease of a silo that others call dead; waits until it has lapsed.</summary>
    /// <exception cref="TimeoutException">The silo goes on renewing: it is alive, whatever others say.</exception>
    public async Task EndAsync(string silo, CancellationToken cancellationToken)
    {
        long start = time.GetTimestamp();
        while (true)
        {
            TimeSpan left = await TryEndAsync(silo, cancellationToken);
            if (left <= TimeSpan.Zero)
            {
                return;
            }

            if (time.GetElapsedTime(start) > 3 * Lease)
            {
                throw new TimeoutException($"Silo {silo} was declared dead, and goes on renewing its lease; its clusters stay with it.");
            }

            await Task.Delay(left + TimeSpan.FromMilliseconds(10), time, cancellationToken);
        }
    }

    /// <summary>Ends the lease if it has lapsed; otherwise says how long it still holds.</summary>
    private async Task<TimeSpan> TryEndAsync(string silo, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = database.CreateCommand("""
            WITH ended AS (DELETE FROM silo_lease WHERE silo = @silo AND renewed_at <= clock_timestamp() - @lease RETURNING silo)
            SELECT extract(epoch FROM renewed_at + @lease - clock_timestamp())::double precision FROM silo_lease
            WHERE silo = @silo AND silo NOT IN (SELECT silo FROM ended)
            """);
        command.Parameters.AddWithValue("silo", silo);
        command.Parameters.AddWithValue("lease", Lease);
        return await command.ExecuteScalarAsync(cancellationToken) is double seconds ? TimeSpan.FromSeconds(Math.Max(seconds, 0.001)) : TimeSpan.Zero;
    }

    private async Task<bool> TryAcquireAsync(string silo, string endpoint, CancellationToken cancellationToken)
    {
        // Old leases of the endpoint go with it, and those of silos that nobody has missed.
        await using NpgsqlConnection connection = await database.OpenConnectionAsync(cancellationToken);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand("""
            SELECT pg_advisory_xact_lock(hashtextextended('multicluster.silo_lease.' || @endpoint, 0));
            DELETE FROM silo_lease WHERE (endpoint = @endpoint AND renewed_at <= clock_timestamp() - @lease) OR renewed_at < clock_timestamp() - interval '1 day';
            INSERT INTO silo_lease (silo, endpoint) SELECT @silo, @endpoint WHERE NOT EXISTS (SELECT FROM silo_lease WHERE endpoint = @endpoint)
            """, connection);
        command.Parameters.AddWithValue("silo", silo);
        command.Parameters.AddWithValue("endpoint", endpoint);
        command.Parameters.AddWithValue("lease", Lease);
        await command.ExecuteNonQueryAsync(cancellationToken);
        await using var mine = new NpgsqlCommand("SELECT count(*) FROM silo_lease WHERE silo = @silo", connection);
        mine.Parameters.AddWithValue("silo", silo);
        bool isMine = await mine.ExecuteScalarAsync(cancellationToken) is long and > 0;
        await transaction.CommitAsync(cancellationToken);
        return isMine;
    }

    private async Task<int> ExecuteAsync(string sql, string silo, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = database.CreateCommand(sql);
        command.Parameters.AddWithValue("silo", silo);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
