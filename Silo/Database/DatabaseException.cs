using System.Net.Sockets;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>The database cannot be used as it is; the message is one sentence that says what to do, and holds no credential.</summary>
public sealed class DatabaseException : Exception
{
    /// <summary>With a sentence for the operator.</summary>
    public DatabaseException(string message)
        : base(message)
    {
    }

    /// <summary>With a sentence for the operator, and the cause for the log.</summary>
    public DatabaseException(string message, Exception cause)
        : base(message, cause)
    {
    }

    /// <summary>Says what an error of the driver means for the operator.</summary>
    /// <param name="cause">From the driver.</param>
    /// <param name="connectionString">Where it happened; only host, port, database and user of it are shown.</param>
    internal static DatabaseException From(NpgsqlException cause, string connectionString)
    {
        var at = new NpgsqlConnectionStringBuilder(connectionString);
        string server = $"{at.Host}:{at.Port}";
        return new DatabaseException(Sentence(cause, at, server), cause);
    }

    private static string Sentence(NpgsqlException cause, NpgsqlConnectionStringBuilder at, string server) => cause switch
    {
        PostgresException { SqlState: PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification } =>
            $"PostgreSQL at {server} refuses user '{at.Username}'; correct the user and password of Database:ConnectionString or Database:PasswordFile.",
        PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName } =>
            $"PostgreSQL at {server} has no database '{at.Database}'; create it (CREATE DATABASE), or name another in Database:ConnectionString.",
        PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } =>
            $"User '{at.Username}' may not do this in database '{at.Database}' at {server}; grant it the rights of the owner of schema '{at.SearchPath}'.",
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } =>
            $"The disk of PostgreSQL at {server} is full; free space there. Nothing was changed.",
        PostgresException { SqlState: PostgresErrorCodes.TooManyConnections } =>
            $"PostgreSQL at {server} has no connection left; raise its max_connections, or lower Database:MaxConnections.",
        PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } =>
            $"PostgreSQL at {server} is a read-only replica; name the primary in Database:ConnectionString.",
        PostgresException { SqlState: PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown } =>
            $"PostgreSQL at {server} is starting or stopping; try again shortly.",
        PostgresException other =>
            $"PostgreSQL at {server} answered with an error ({other.SqlState}); see its log.",
        { InnerException: SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain } } =>
            $"The host name '{at.Host}' of the database does not resolve; correct Host in Database:ConnectionString.",
        { InnerException: SocketException socket } =>
            $"PostgreSQL at {server} cannot be reached ({socket.SocketErrorCode}); start it, or correct Host and Port in Database:ConnectionString.",
        { InnerException: TimeoutException } =>
            $"PostgreSQL at {server} did not answer in time; see whether it runs and is not overloaded.",
        { InnerException: EndOfStreamException or IOException } =>
            $"PostgreSQL at {server} closed the connection, as when it stops or restarts; try again shortly, and see its log if that stays.",
        _ => $"PostgreSQL at {server} cannot be used ({cause.InnerException?.GetType().Name ?? cause.GetType().Name}); see whether it speaks the PostgreSQL protocol and its TLS settings fit.",
    };
}
