using MultiCluster.Silo.CommandLine;
using MultiCluster.Silo.Database;
using MultiCluster.TestSupport;
using Npgsql;

namespace MultiCluster.Silo.Tests.Database;

[Collection(DatabaseCollection.Name)]
public sealed class DatabaseSchemaTests(PostgresServer server)
{
    [PostgresFact]
    public async Task Migrate_EmptyDatabase_ThenAgain_ChangesNothingTheSecondTime()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);

        Assert.Equal((0, DatabaseSchema.CurrentVersion), await database.Schema.MigrateAsync(CancellationToken.None));
        string before = await SnapshotAsync(database);
        Assert.Equal((DatabaseSchema.CurrentVersion, DatabaseSchema.CurrentVersion), await database.Schema.MigrateAsync(CancellationToken.None));

        Assert.Equal(before, await SnapshotAsync(database));
    }

    [PostgresFact]
    public async Task Migrate_FromManyProcessesAtOnce_AllSucceedAndOneWorks()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);

        (int Before, int After)[] runs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => database.Schema.MigrateAsync(CancellationToken.None))).WaitAsync(TestDatabase.Deadline);

        Assert.Single(runs, r => r.Before == 0);
        Assert.All(runs, r => Assert.Equal(DatabaseSchema.CurrentVersion, r.After));
    }

    [PostgresFact]
    public async Task Migrate_StatementOfAnEarlierBuild_IsReplaced()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await database.ExecuteAsync("UPDATE orleansquery SET querytext = 'SELECT 1' WHERE querykey = 'ReadFromStorageKey'");

        await database.Schema.MigrateAsync(CancellationToken.None);

        Assert.NotEqual("SELECT 1", await database.ScalarAsync<string>("SELECT querytext FROM orleansquery WHERE querykey = 'ReadFromStorageKey'"));
    }

    [PostgresFact]
    public async Task MigrateAndCheck_SchemaOfANewerBuild_RefusedAndUntouched()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await database.ExecuteAsync("INSERT INTO schema_version (version) VALUES (99); UPDATE orleansquery SET querytext = 'of the newer build'");
        string before = await SnapshotAsync(database);

        DatabaseException migrate = await Assert.ThrowsAsync<DatabaseException>(() => database.Schema.MigrateAsync(CancellationToken.None));
        DatabaseException check = await Assert.ThrowsAsync<DatabaseException>(() => database.Schema.CheckAsync("multicluster", CancellationToken.None));

        Assert.Contains("schema version 99", migrate.Message, StringComparison.Ordinal);
        Assert.Equal(migrate.Message, check.Message);
        Assert.Equal(before, await SnapshotAsync(database));
    }

    [PostgresFact]
    public async Task Migrate_FailingStep_LeavesNothingBehind()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);
        await database.ExecuteAsync("CREATE SCHEMA multicluster; CREATE TABLE multicluster.reminder (other_peoples integer)");

        await Assert.ThrowsAsync<DatabaseException>(() => database.Schema.MigrateAsync(CancellationToken.None));

        Assert.Equal("reminder", await database.ScalarAsync<string>("SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'multicluster'"));
    }

    [PostgresFact]
    public async Task Check_BeforeMigrate_SaysWhatToRun()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);

        DatabaseException e = await Assert.ThrowsAsync<DatabaseException>(() => database.Schema.CheckAsync("multicluster", CancellationToken.None));

        Assert.Contains("run 'database migrate'", e.Message, StringComparison.Ordinal);
    }

    [PostgresFact]
    public async Task Check_SchemaOfAnEarlierBuild_SaysWhatToRun()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await database.ExecuteAsync("DELETE FROM schema_version WHERE version > 1");

        DatabaseException e = await Assert.ThrowsAsync<DatabaseException>(() => database.Schema.CheckAsync("multicluster", CancellationToken.None));

        Assert.Contains("'database migrate'", e.Message, StringComparison.Ordinal);
    }

    [PostgresFact]
    public async Task Migrate_FromTheFirstVersion_KeepsWhatIsThere_AndASiloOfThatVersionGoesOn()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await database.ExecuteAsync("DROP TABLE silo_lease; DELETE FROM schema_version WHERE version > 1; INSERT INTO service_identity (cluster_id) VALUES ('blue')");

        Assert.Equal((1, DatabaseSchema.CurrentVersion), await database.Schema.MigrateAsync(CancellationToken.None));

        await database.Schema.CheckAsync("blue", CancellationToken.None);
        var leases = new SiloLeases(database.Source, TimeProvider.System);

        // A silo of the first version has no lease: what it leaves is taken over without a wait.
        await leases.EndAsync("10.0.0.1:11111@5", CancellationToken.None).WaitAsync(SiloLeases.Lease / 2);
    }

    [PostgresFact]
    public async Task Check_TwoServicesOnOneDatabase_TheSecondIsRefused()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);

        await database.Schema.CheckAsync("blue", CancellationToken.None);
        await database.Schema.CheckAsync("blue", CancellationToken.None);
        DatabaseException e = await Assert.ThrowsAsync<DatabaseException>(() => database.Schema.CheckAsync("green", CancellationToken.None));

        Assert.Contains("belongs to the service 'blue'", e.Message, StringComparison.Ordinal);
        Assert.Contains("'green'", e.Message, StringComparison.Ordinal);
    }

    [PostgresTheory]
    [InlineData("Password=wrong", "refuses user")]
    [InlineData("Username=nobody;Password=x", "refuses user 'nobody'")]
    [InlineData("Database=nowhere", "no database 'nowhere'")]
    [InlineData("Port=1", "cannot be reached")]
    [InlineData("Host=does-not-exist.invalid", "does not resolve")]
    public async Task Migrate_UnusableDatabase_OneSentenceWithoutThePassword(string change, string expected)
    {
        var settings = new DatabaseSettings { ConnectionString = $"{server.ConnectionString("postgres")};{change}" };
        await using NpgsqlDataSource source = NpgsqlDataSource.Create(settings.ToConnectionString());

        DatabaseException e = await Assert.ThrowsAsync<DatabaseException>(() => new DatabaseSchema(source).MigrateAsync(CancellationToken.None).WaitAsync(TestDatabase.Deadline));

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Password, e.ToString(), StringComparison.Ordinal);
        Assert.EndsWith(".", e.Message, StringComparison.Ordinal);
    }

    [PostgresFact]
    public async Task Migrate_UserWithoutRights_NamesTheUser()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);
        await database.ExecuteAsync($"DROP ROLE IF EXISTS guest_{database.Name}; CREATE ROLE guest_{database.Name} LOGIN PASSWORD 'guest'");
        try
        {
            var settings = new DatabaseSettings { ConnectionString = $"{server.ConnectionString(database.Name)};Username=guest_{database.Name};Password=guest" };
            await using NpgsqlDataSource source = NpgsqlDataSource.Create(settings.ToConnectionString());

            DatabaseException e = await Assert.ThrowsAsync<DatabaseException>(() => new DatabaseSchema(source).MigrateAsync(CancellationToken.None));

            Assert.Contains($"User 'guest_{database.Name}' may not", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            await database.ExecuteAsync($"DROP ROLE guest_{database.Name}");
        }
    }

    [PostgresFact]
    public async Task Command_Migrate_PrintsWhatItDid_AndFailsWithOneSentence()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server, migrate: false);
        using var file = new TemporaryFile($$"""{ "Database": { "ConnectionString": "{{database.Settings.ConnectionString.Replace("\"", "\\\"", StringComparison.Ordinal)}}" } }""");

        Assert.Equal((0, $"The database went from schema version 0 to {DatabaseSchema.CurrentVersion}.\n", ""), await RunAsync(file.Path));
        Assert.Equal((0, $"The database has schema version {DatabaseSchema.CurrentVersion} already.\n", ""), await RunAsync(file.Path));
        (int exit, _, string error) = await RunAsync(null);

        Assert.Equal(1, exit);
        Assert.StartsWith("Set Database:ConnectionString", error, StringComparison.Ordinal);
    }

    private static async Task<(int Exit, string Output, string Error)> RunAsync(string? configuration)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        string[] arguments = configuration is null ? ["database", "migrate"] : ["database", "migrate", "--config", configuration];
        int exit = await ServiceCommand.Create().Parse(arguments)
            .InvokeAsync(new System.CommandLine.InvocationConfiguration { Output = output, Error = error }).WaitAsync(TestDatabase.Deadline);
        return (exit, output.ToString(), error.ToString());
    }

    private static Task<string> SnapshotAsync(TestDatabase database) => database.ScalarAsync<string>("""
        SELECT (SELECT string_agg(table_name || '.' || column_name || ':' || data_type, E'\n' ORDER BY table_name, ordinal_position)
                FROM information_schema.columns WHERE table_schema = 'multicluster')
            || (SELECT string_agg(querykey || '=' || querytext, E'\n' ORDER BY querykey) FROM orleansquery)
            || (SELECT string_agg(version || '@' || applied_at, ',' ORDER BY version) FROM schema_version)
        """);

    private sealed class TemporaryFile : IDisposable
    {
        public TemporaryFile(string content)
        {
            Path = System.IO.Path.GetTempFileName();
            File.WriteAllText(Path, content);
        }

        public string Path { get; }

        public void Dispose() => File.Delete(Path);
    }
}
