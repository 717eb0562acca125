using Microsoft.AspNetCore.DataProtection;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>Files that every gateway of a service must have in common, kept encrypted in the database.</summary>
/// <remarks>The first process that needs one creates it; every other takes what the first has made, whatever lay in its own directory.</remarks>
internal sealed class SharedFiles(NpgsqlDataSource database, IDataProtector protector)
{
    // Any number that nobody else on the server uses: "mcfiles" in ASCII.
    private const long FilesLock = 0x6d6366696c6573;

    /// <summary>Brings the files into the directory, lets <paramref name="open"/> create what is missing, and shares what it created.</summary>
    /// <param name="directory">Where the files are.</param>
    /// <param name="names">Names of the files in it.</param>
    /// <param name="open">Reads the files, and creates those that are not there.</param>
    /// <param name="cancellationToken">Ends the wait for other processes that do the same.</param>
    /// <exception cref="DatabaseException">The database cannot be used, or holds a file that its own keys cannot decrypt.</exception>
    public async Task ShareAsync(string directory, IReadOnlyList<string> names, Action open, CancellationToken cancellationToken)
    {
        try
        {
            // One process at a time, so that two that start together do not create two authorities.
            await using NpgsqlConnection connection = await database.OpenConnectionAsync(cancellationToken);
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
            await using (var hold = new NpgsqlCommand("SELECT pg_advisory_xact_lock(@lock)", connection))
            {
                hold.Parameters.AddWithValue("lock", FilesLock);
                await hold.ExecuteNonQueryAsync(cancellationToken);
            }

            Dictionary<string, string> kept = await ReadAsync(connection, cancellationToken);
            foreach (string name in names.Where(kept.ContainsKey))
            {
                Write(Path.Combine(directory, name), kept[name]);
            }

            open();
            foreach (string name in names.Where(n => !kept.ContainsKey(n)))
            {
                await using var add = new NpgsqlCommand("INSERT INTO shared_file (name, content) VALUES (@name, @content)", connection);
                add.Parameters.AddWithValue("name", name);
                add.Parameters.AddWithValue("content", protector.Protect(await File.ReadAllTextAsync(Path.Combine(directory, name), cancellationToken)));
                await add.ExecuteNonQueryAsync(cancellationToken);
            }

            await transaction.CommitAsync(cancellationToken);
        }
        catch (NpgsqlException e)
        {
            throw DatabaseException.From(e, database.ConnectionString);
        }
    }

    private async Task<Dictionary<string, string>> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        Dictionary<string, string> files = new(StringComparer.Ordinal);
        await using var command = new NpgsqlCommand("SELECT name, content FROM shared_file", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            string name = reader.GetString(0);
            try
            {
                files.Add(name, protector.Unprotect(reader.GetString(1)));
            }
            catch (System.Security.Cryptography.CryptographicException e)
            {
                throw new DatabaseException($"The file '{name}' in table shared_file cannot be decrypted with the keys in table data_protection_key; restore both from one backup.", e);
            }
        }

        return files;
    }

    private static void Write(string path, string content)
    {
        if (File.Exists(path) && File.ReadAllText(path) == content)
        {
            return;
        }

        File.Delete(path);   // a file that is there keeps its rights
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var writer = new StreamWriter(path, options);
        writer.Write(content);
    }
}
