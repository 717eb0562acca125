using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>The PostgreSQL database that silos and gateways of one service share.</summary>
/// <remarks>Only the engine for several machines needs it; the in-process engine keeps everything in the data directory.</remarks>
public sealed class DatabaseSettings
{
    /// <summary>Section of the configuration.</summary>
    public const string Section = "Database";

    /// <summary>PostgreSQL schema that holds the tables, unless the connection string names a search path.</summary>
    public const string DefaultSchema = "multicluster";

    /// <summary>Where the database is, such as <c>Host=db;Database=multicluster;Username=multicluster</c>. May hold the password.</summary>
    /// <value>No default. Without it, <c>database migrate</c> refuses, and a service is one silo that keeps everything in its data directory.</value>
    public string ConnectionString { get; set; } = "";

    /// <summary>A file that holds the password and nothing else, such as a mounted secret; goes before one in the connection string.</summary>
    /// <value>Default none. It is read at each start.</value>
    public string PasswordFile { get; set; } = "";

    /// <summary>Most connections that one process holds.</summary>
    /// <value>Default 20, from 2 to 1000. A silo uses few of them for long; the sum over all processes must stay below what PostgreSQL allows.</value>
    public int MaxConnections { get; set; } = 20;

    /// <summary>The longest that one statement may take.</summary>
    /// <value>Default 5 s, from 1 s to 5 minutes. A silo that cannot reach the database for that long counts the attempt as failed.</value>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The connection string with everything that these settings say.</summary>
    /// <exception cref="DatabaseException">Something is missing or out of its range.</exception>
    internal string ToConnectionString()
    {
        if (string.IsNullOrWhiteSpace(ConnectionString))
        {
            throw new DatabaseException("Set Database:ConnectionString to the PostgreSQL database of the service, such as Host=db;Database=multicluster;Username=multicluster.");
        }

        if (MaxConnections is < 2 or > 1000)
        {
            throw new DatabaseException($"Database:MaxConnections is {MaxConnections}, and must lie between 2 and 1000.");
        }

        if (CommandTimeout < TimeSpan.FromSeconds(1) || CommandTimeout > TimeSpan.FromMinutes(5))
        {
            throw new DatabaseException($"Database:CommandTimeout is {CommandTimeout}, and must lie between 1 second and 5 minutes.");
        }

        NpgsqlConnectionStringBuilder builder = Parse(ConnectionString)
            ?? throw new DatabaseException("Database:ConnectionString is not one of PostgreSQL; write it as Host=…;Database=…;Username=….");
        if (string.IsNullOrEmpty(builder.Host))
        {
            throw new DatabaseException("Database:ConnectionString names no Host; add it, such as Host=db.");
        }

        if (PasswordFile.Length > 0)
        {
            builder.Password = ReadPassword();
        }

        builder.SearchPath ??= DefaultSchema;
        builder.ApplicationName ??= "multicluster";
        builder.MaxPoolSize = MaxConnections;
        builder.CommandTimeout = (int)CommandTimeout.TotalSeconds;
        builder.Timeout = (int)CommandTimeout.TotalSeconds;
        builder.KeepAlive = 10;
        builder.PersistSecurityInfo = false;
        if (!builder.ContainsKey("GSS Encryption Mode"))
        {
            // The driver would look for Kerberos at each connection, which most images do not hold.
            builder.GssEncryptionMode = GssEncryptionMode.Disable;
        }

        return CanBeUsed(builder.ConnectionString)
            ? builder.ConnectionString
            : throw new DatabaseException("Database:ConnectionString is not one of PostgreSQL; write it as Host=…;Database=…;Username=…, with the port as Port=….");
    }

    // Some words are looked at only when a connection is to be made, and what the driver says of them quotes them.
    private static bool CanBeUsed(string connectionString)
    {
        try
        {
            NpgsqlDataSource.Create(connectionString).Dispose();
            return true;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or OverflowException or InvalidOperationException or NotSupportedException)
        {
            return false;
        }
    }

    // The driver's own message may quote the string, and with it the password.
    private static NpgsqlConnectionStringBuilder? Parse(string text)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(text);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or OverflowException)
        {
            return null;
        }
    }

    private string ReadPassword()
    {
        try
        {
            return File.ReadAllText(PasswordFile).TrimEnd('\r', '\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DatabaseException($"Database:PasswordFile {PasswordFile} cannot be read ({e.GetType().Name}); correct the path or its rights.", e);
        }
    }
}
