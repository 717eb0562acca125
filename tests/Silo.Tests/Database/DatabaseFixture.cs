using System.Globalization;
using MultiCluster.Silo.Database;
using MultiCluster.TestSupport;
using Npgsql;

namespace MultiCluster.Silo.Tests.Database;

/// <summary>One PostgreSQL for all tests of a run; each test has databases of its own.</summary>
[CollectionDefinition(Name)]
public sealed class DatabaseCollection : ICollectionFixture<PostgresServer>
{
    public const string Name = "PostgreSQL";
}

/// <summary>A database that is there for one test.</summary>
internal sealed class TestDatabase : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly PostgresServer _server;

    private TestDatabase(PostgresServer server, string name)
    {
        _server = server;
        Name = name;
        Settings = new DatabaseSettings { ConnectionString = server.ConnectionString(name) };
        Source = NpgsqlDataSource.Create(Settings.ToConnectionString());
    }

    public string Name { get; }

    public DatabaseSettings Settings { get; }

    public NpgsqlDataSource Source { get; }

    public DatabaseSchema Schema => new(Source);

    public static async Task<TestDatabase> CreateAsync(PostgresServer server, bool migrate = true)
    {
        string name = $"test_{Guid.NewGuid():N}";
        await RunOnServerAsync(server, $"CREATE DATABASE {name}");
        var database = new TestDatabase(server, name);
        if (migrate)
        {
            await database.Schema.MigrateAsync(CancellationToken.None).WaitAsync(Deadline);
        }

        return database;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using NpgsqlCommand command = Source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync().WaitAsync(Deadline);
    }

    /// <summary>Connections of another name.</summary>
    public NpgsqlDataSource ConnectAs(string applicationName) =>
        NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(Settings.ToConnectionString()) { ApplicationName = applicationName }.ConnectionString);

    /// <summary>Asks until the number is as wished.</summary>
    public async Task UntilAsync(string sql, Func<long, bool> wish)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (await ScalarAsync<long>(sql) is var found && !wish(found))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Deadline, $"{sql} still finds {found}.");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
        }
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using NpgsqlCommand command = Source.CreateCommand(sql);
        return (T)Convert.ChangeType((await command.ExecuteScalarAsync().WaitAsync(Deadline))!, typeof(T), CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        await RunOnServerAsync(_server, $"DROP DATABASE {Name} WITH (FORCE)");
    }

    private static async Task RunOnServerAsync(PostgresServer server, string sql)
    {
        await using NpgsqlDataSource source = NpgsqlDataSource.Create($"{server.ConnectionString("postgres")};Pooling=false");
        await using NpgsqlCommand command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync().WaitAsync(Deadline);
    }
}
