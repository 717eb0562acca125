using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using MultiCluster.Silo.Database;
using Npgsql;
using Orleans;
using Orleans.GrainDirectory;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Knows on which silo each grain lives, in the database.</summary>
/// <remarks>
/// <para>The default directory is spread over the silos: with one of them, what it knew is lost, and grains that live elsewhere are started
/// anew. A cluster's grain holds a mirror that takes seconds to fill, so only those that lived on the lost silo may move. The
/// unique key of the table also is what lets one grain never live twice.</para>
/// <para>Where the database does not answer and nothing is remembered, it throws an <see cref="OrleansException"/>, which travels to callers
/// on other silos; what the driver throws does not.</para>
/// <para>What lived on a dead silo may be taken over only when that silo's lease has lapsed (<see cref="SiloLeases"/>), so that it has stopped
/// acting for it. Whoever removes or replaces such an entry waits for that, for at most the length of a lease.</para>
/// <para>Silos remember what they have looked up, and read where all grains live every second (<see cref="RememberAsync"/>), so that calls that lead over
/// another silo than before find their way while the database is away; it is asked when a grain starts or stops, and once per grain and silo. Thread-safe.</para>
/// </remarks>
internal sealed partial class DatabaseGrainDirectory(
    NpgsqlDataSource database, SiloLeases leases, IClusterMembershipService membership, TimeProvider time, ILogger<DatabaseGrainDirectory> logger) : IGrainDirectory
{
    // Longer than a lease; an entry whose silo goes on renewing is left alone.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // A look-up takes a millisecond; beyond this the database is away, and what was known last is the best there is.
    private static readonly TimeSpan LookupTimeout = TimeSpan.FromSeconds(1);

    private const int MostTries = 3;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<string, Task> _ending = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<GrainId, GrainAddress> _known = new();

    // One statement: whoever comes second gets the row of whoever came first. An update that changes nothing makes the row that is there
    // come back, also when another transaction has just added it.
    private const string RegisterStatement = """
        INSERT INTO grain_directory AS d (grain_id, activation_id, silo, membership_version)
        VALUES (@grain, @activation, @silo, @version)
        ON CONFLICT (grain_id) DO UPDATE SET
            activation_id = CASE WHEN d.activation_id = @previous THEN excluded.activation_id ELSE d.activation_id END,
            silo = CASE WHEN d.activation_id = @previous THEN excluded.silo ELSE d.silo END,
            membership_version = CASE WHEN d.activation_id = @previous THEN excluded.membership_version ELSE d.membership_version END,
            registered_at = CASE WHEN d.activation_id = @previous THEN now() ELSE d.registered_at END
        RETURNING d.activation_id, d.silo, d.membership_version
        """;

    /// <inheritdoc/>
    public Task<GrainAddress?> Register(GrainAddress address) => Register(address, previousAddress: null);

    /// <inheritdoc/>
    public async Task<GrainAddress?> Register(GrainAddress address, GrainAddress? previousAddress)
    {
        try
        {
            return await AnswerAsync(() => RegisterAsync(address, previousAddress));
        }
        catch (SiloUnavailableException e) when (ElsewhereOf(address, previousAddress) is { } elsewhere)
        {
            // A call that was led to where the grain lived before goes on to where it lives. Nothing is granted by that.
            LogFromMemory(logger, e, address.GrainId);
            return elsewhere;
        }
    }

    private GrainAddress? ElsewhereOf(GrainAddress address, GrainAddress? previous) =>
        _known.TryGetValue(address.GrainId, out GrainAddress? known) && known.ActivationId != previous?.ActivationId
        && !known.SiloAddress!.Equals(address.SiloAddress) && membership.CurrentSnapshot.GetSiloStatus(known.SiloAddress) == SiloStatus.Active
            ? known : null;

    private async Task<GrainAddress?> RegisterAsync(GrainAddress address, GrainAddress? previousAddress)
    {
        if (previousAddress?.SiloAddress is { } previous)
        {
            await EndLeaseIfDeadAsync(previous);
        }

        await using NpgsqlCommand command = database.CreateCommand(RegisterStatement);
        command.Parameters.AddWithValue("grain", address.GrainId.ToString());
        command.Parameters.AddWithValue("activation", address.ActivationId.ToParsableString());
        command.Parameters.AddWithValue("silo", address.SiloAddress!.ToParsableString());
        command.Parameters.AddWithValue("version", address.MembershipVersion.Value);
        command.Parameters.AddWithValue("previous", previousAddress?.ActivationId.ToParsableString() ?? "");
        return Know(address.GrainId, await ReadAsync(command, address.GrainId));
    }

    /// <inheritdoc/>
    public Task Unregister(GrainAddress address) => AnswerAsync(() => UnregisterAsync(address));

    private async Task<int> UnregisterAsync(GrainAddress address)
    {
        _known.TryRemove(KeyValuePair.Create(address.GrainId, address));
        await EndLeaseIfDeadAsync(address.SiloAddress!);
        await using NpgsqlCommand command = database.CreateCommand("DELETE FROM grain_directory WHERE grain_id = @grain AND activation_id = @activation");
        command.Parameters.AddWithValue("grain", address.GrainId.ToString());
        command.Parameters.AddWithValue("activation", address.ActivationId.ToParsableString());
        return await command.ExecuteNonQueryAsync();
    }

    /// <inheritdoc/>
    public Task<GrainAddress?> Lookup(GrainId grainId) => AnswerAsync(() => LookupAsync(grainId));

    private async Task<GrainAddress?> LookupAsync(GrainId grainId)
    {
        try
        {
            // Not cancelled but left behind: the driver would block a thread to tell the server.
            return Know(grainId, await FindAsync(grainId).WaitAsync(LookupTimeout, time));
        }
        catch (Exception e) when ((e is NpgsqlException or TimeoutException) && _known.TryGetValue(grainId, out GrainAddress? last))
        {
            // Whoever lived there lives there still as a rule, since nobody can move without the database.
            LogFromMemory(logger, e, grainId);
            return last;
        }
    }

    /// <summary>Reads where all grains live, for a time when the database is away.</summary>
    /// <exception cref="NpgsqlException">The database does not answer.</exception>
    public async Task RememberAsync()
    {
        // Whatever this silo learns meanwhile is newer than what is being read.
        Dictionary<GrainId, GrainAddress> before = new(_known);
        await using NpgsqlCommand command = database.CreateCommand("SELECT activation_id, silo, membership_version, grain_id FROM grain_directory");
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            GrainAddress read = AddressIn(reader, GrainId.Parse(reader.GetString(3)));
            if (before.Remove(read.GrainId, out GrainAddress? then))
            {
                _known.TryUpdate(read.GrainId, read, then);
            }
            else
            {
                _known.TryAdd(read.GrainId, read);
            }
        }

        foreach (KeyValuePair<GrainId, GrainAddress> gone in before)
        {
            _known.TryRemove(gone);
        }
    }

    /// <inheritdoc/>
    public async Task UnregisterSilos(List<SiloAddress> siloAddresses)
    {
        try
        {
            await Task.WhenAll(siloAddresses.Select(EndLeaseAsync));
            await using NpgsqlCommand command = database.CreateCommand("DELETE FROM grain_directory WHERE silo = ANY(@silos)");
            command.Parameters.AddWithValue("silos", siloAddresses.Select(s => s.ToParsableString()).ToArray());
            await command.ExecuteNonQueryAsync();
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            // Only tidying: whoever finds a grain on a dead silo replaces the entry. And who calls this never calls again after an exception.
            LogTidyFailed(logger, e, siloAddresses.Count);
        }
    }

    private async Task<T> AnswerAsync<T>(Func<Task<T>> question)
    {
        string reason;
        for (int tried = 1; ; tried++)
        {
            try
            {
                return await question();
            }
            catch (NpgsqlException e) when (IsBroken(e) && tried < MostTries)
            {
                // A database that was restarted has broken every connection that is kept, and each says so once. All questions may be asked
                // twice. A grain that is moving would else lose its place, and with it what was filled for it.
                LogAskedAgain(logger, e);
                database.Clear();
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                reason = e.Message;   // the exception itself could not be read at the other end
                break;
            }

            await Task.Delay(Pause * (tried * (0.5 + Random.Shared.NextDouble())), time);
        }

        // Of this type, as for a silo that is lost: the grain lives nowhere until the database says where, and whoever asks may ask again.
        throw new SiloUnavailableException($"The database does not say which silo holds the grain: {reason} GET /readyz of the silos tells what is missing.");
    }

    /// <summary>Whether it says that a connection has ended, and nothing of the question.</summary>
    private static bool IsBroken(NpgsqlException error) =>
        error is not PostgresException { SqlState: not (PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow) };

    // A grain that moves comes from a silo that lives: that one has let it go itself.
    private Task EndLeaseIfDeadAsync(SiloAddress silo) =>
        membership.CurrentSnapshot.GetSiloStatus(silo) == SiloStatus.Dead ? EndLeaseAsync(silo) : Task.CompletedTask;

    /// <summary>Waits until a dead silo has stopped acting; all grains of it wait together.</summary>
    private async Task EndLeaseAsync(SiloAddress silo)
    {
        string name = silo.ToParsableString();
        Task ending = _ending.GetOrAdd(name, static (name, self) => self.EndAsync(name), this);
        try
        {
            await ending;
        }
        catch
        {
            _ending.TryRemove(KeyValuePair.Create(name, ending));   // the next one asks again
            throw;
        }
    }

    private async Task EndAsync(string silo)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        await leases.EndAsync(silo, patience.Token);
    }

    private async Task<GrainAddress?> FindAsync(GrainId grain)
    {
        await using NpgsqlCommand command = database.CreateCommand("SELECT activation_id, silo, membership_version FROM grain_directory WHERE grain_id = @grain");
        command.Parameters.AddWithValue("grain", grain.ToString());
        return await ReadAsync(command, grain);
    }

    private GrainAddress? Know(GrainId grain, GrainAddress? address)
    {
        if (address is null)
        {
            _known.TryRemove(grain, out _);
        }
        else
        {
            _known[grain] = address;
        }

        return address;
    }

    private static async Task<GrainAddress?> ReadAsync(NpgsqlCommand command, GrainId grain)
    {
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        return await reader.ReadAsync() ? AddressIn(reader, grain) : null;
    }

    private static GrainAddress AddressIn(NpgsqlDataReader row, GrainId grain) => new()
    {
        GrainId = grain,
        ActivationId = ActivationId.FromParsableString(row.GetString(0)),
        SiloAddress = SiloAddress.FromParsableString(row.GetString(1)),
        MembershipVersion = new MembershipVersion(row.GetInt64(2)),
    };

    [LoggerMessage(6103, LogLevel.Debug, "The database does not say where {Grain} lives; taken to be where it was.", EventName = "DirectoryFromMemory")]
    private static partial void LogFromMemory(ILogger logger, Exception exception, GrainId grain);

    [LoggerMessage(6104, LogLevel.Debug, "A connection to the database was broken; asking again over a new one.", EventName = "DirectoryAskedAgain")]
    private static partial void LogAskedAgain(ILogger logger, Exception exception);

    [LoggerMessage(6100, LogLevel.Warning, "Grains of {Count} lost silos stay in the directory until they are asked for.", EventName = "DirectoryTidyFailed")]
    private static partial void LogTidyFailed(ILogger logger, Exception exception, int count);
}
