using System.Data;
using MultiCluster.Silo.Database;
using MultiCluster.TestSupport;
using Npgsql;

namespace MultiCluster.Silo.Tests.Database;

/// <summary>Every statement that Orleans looks up, by its key, with the parameters and columns that it uses.</summary>
[Collection(DatabaseCollection.Name)]
public sealed class StatementTests(PostgresServer server)
{
    private const int Joining = 2;
    private const int Active = 3;
    private const int Dead = 6;

    private static readonly DateTime Now = new(2026, 3, 1, 12, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void Statements_EveryKeyThatOrleansNeeds_IsThere() => Assert.Equal(
        [
            "CleanupDefunctSiloEntriesKey", "ClearStorageKey", "DeleteMembershipTableEntriesKey", "DeleteReminderRowKey", "DeleteReminderRowsKey", "DeleteStorageKey",
            "GatewaysQueryKey", "InsertMembershipKey", "InsertMembershipVersionKey", "MembershipReadAllKey", "MembershipReadRowKey",
            "ReadFromStorageKey", "ReadRangeRows1Key", "ReadRangeRows2Key", "ReadReminderRowKey", "ReadReminderRowsKey",
            "UpdateIAmAlivetimeKey", "UpdateMembershipKey", "UpsertReminderRowKey", "WriteToStorageKey",
        ],
        SqlText.Statements.Keys.Order(StringComparer.Ordinal));

    // ---- silos

    [PostgresFact]
    public async Task InsertMembershipVersion_Twice_TrueOnce()
    {
        await using Calls calls = await Calls.CreateAsync(server);

        Assert.True(await calls.BooleanAsync("InsertMembershipVersionKey", ("DeploymentId", "d")));
        Assert.False(await calls.BooleanAsync("InsertMembershipVersionKey", ("DeploymentId", "d")));
        Assert.True(await calls.BooleanAsync("InsertMembershipVersionKey", ("DeploymentId", "other")));
    }

    [PostgresFact]
    public async Task ReadAll_NoSilos_OneRowWithTheVersionAlone()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d")));

        Assert.Equal(0, row["version"]);
        Assert.Null(row["starttime"]);
    }

    [PostgresFact]
    public async Task InsertMembership_RightVersion_RaisesItAndReadsBackWhole()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);

        Assert.True(await calls.InsertSiloAsync(1, version: 0));

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("MembershipReadRowKey", ("DeploymentId", "d"), ("Address", "10.0.0.1"), ("Port", 11111), ("Generation", 7)));
        Assert.Equal(
            ("10.0.0.1", 11111, 7, "silo-1", "host-1", Joining, 30000, null, Now, Now, 1),
            ((string)row["address"]!, (int)row["port"]!, (int)row["generation"]!, (string)row["siloname"]!, (string)row["hostname"]!, (int)row["status"]!, (int)row["proxyport"]!,
                (string?)row["suspecttimes"], ((DateTime)row["starttime"]!).ToUniversalTime(), ((DateTime)row["iamalivetime"]!).ToUniversalTime(), (int)row["version"]!));
    }

    [PostgresFact]
    public async Task ReadRow_UnknownSilo_OneRowWithTheVersionAlone()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.InsertSiloAsync(1, version: 0);

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("MembershipReadRowKey", ("DeploymentId", "d"), ("Address", "10.0.0.9"), ("Port", 1), ("Generation", 1)));

        Assert.Equal((1, null), ((int)row["version"]!, row["starttime"]));
    }

    [PostgresFact]
    public async Task InsertMembership_OldVersionOrSameSilo_FalseAndNothingChanges()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.InsertSiloAsync(1, version: 0);

        Assert.False(await calls.InsertSiloAsync(2, version: 0));
        Assert.False(await calls.InsertSiloAsync(1, version: 1));

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d")));
        Assert.Equal((1, "silo-1"), ((int)row["version"]!, (string)row["siloname"]!));
    }

    [PostgresFact]
    public async Task UpdateMembership_RightVersion_RaisesIt_OthersChangeNothing()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.InsertSiloAsync(1, version: 0);

        Assert.True(await calls.UpdateSiloAsync(1, Active, "suspect,when", version: 1));
        Assert.False(await calls.UpdateSiloAsync(1, Dead, null, version: 1));
        Assert.False(await calls.UpdateSiloAsync(2, Dead, null, version: 2));

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d")));
        Assert.Equal((2, Active, "suspect,when"), ((int)row["version"]!, (int)row["status"]!, (string)row["suspecttimes"]!));
        Assert.True(await calls.UpdateSiloAsync(1, Active, null, version: 2));
        Assert.Null(Assert.Single(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d")))["suspecttimes"]);
    }

    [PostgresFact]
    public async Task Membership_ManyWritersWithTheSameVersion_OneWins()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        for (int version = 0; version < 10; version++)
        {
            int seen = version;
            bool[] won = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => calls.InsertSiloAsync((seen * 12) + i, seen))).WaitAsync(TestDatabase.Deadline);
            Assert.Single(won, w => w);
        }

        List<Dictionary<string, object?>> rows = await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d"));
        Assert.Equal(10, rows.Count);
        Assert.All(rows, r => Assert.Equal(10, r["version"]));
    }

    [PostgresFact]
    public async Task UpdateIAmAlive_ChangesTheTimeAndNotTheVersion()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.InsertSiloAsync(1, version: 0);

        await calls.RowsAsync("UpdateIAmAlivetimeKey", ("DeploymentId", "d"), ("Address", "10.0.0.1"), ("Port", 11111), ("Generation", 7), ("IAmAliveTime", Now.AddMinutes(1)));

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d")));
        Assert.Equal((1, Now.AddMinutes(1)), ((int)row["version"]!, ((DateTime)row["iamalivetime"]!).ToUniversalTime()));
    }

    [PostgresFact]
    public async Task Gateways_OnlyActiveSilosThatHaveOne()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.InsertSiloAsync(1, version: 0);
        await calls.InsertSiloAsync(2, version: 1);
        await calls.InsertSiloAsync(3, version: 2, proxyPort: 0);
        await calls.UpdateSiloAsync(2, Active, null, version: 3);
        await calls.UpdateSiloAsync(3, Active, null, version: 4);

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("GatewaysQueryKey", ("DeploymentId", "d"), ("Status", Active)));

        Assert.Equal(("10.0.0.2", 30000, 7), ((string)row["address"]!, (int)row["proxyport"]!, (int)row["generation"]!));
    }

    [PostgresFact]
    public async Task CleanupDefunct_OldSilosThatAreNotActive_AreForgotten()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.InsertSiloAsync(1, version: 0);
        await calls.InsertSiloAsync(2, version: 1);
        await calls.InsertSiloAsync(3, version: 2);
        await calls.UpdateSiloAsync(1, Dead, null, version: 3);
        await calls.UpdateSiloAsync(2, Active, null, version: 4);
        await calls.UpdateSiloAsync(3, Dead, null, version: 5, aliveAt: Now.AddDays(1));

        await calls.RowsAsync("CleanupDefunctSiloEntriesKey", ("DeploymentId", "d"), ("IAmAliveTime", Now.AddHours(1)));

        List<Dictionary<string, object?>> rows = await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d"));
        Assert.Equal(["silo-2", "silo-3"], rows.Select(r => (string)r["siloname"]!).Order(StringComparer.Ordinal));
    }

    [PostgresFact]
    public async Task DeleteMembershipTableEntries_ForgetsThatDeploymentOnly()
    {
        await using Calls calls = await Calls.CreateAsync(server, withTable: true);
        await calls.BooleanAsync("InsertMembershipVersionKey", ("DeploymentId", "other"));
        await calls.InsertSiloAsync(1, version: 0);

        await calls.RowsAsync("DeleteMembershipTableEntriesKey", ("DeploymentId", "d"));

        Assert.Empty(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "d")));
        Assert.Single(await calls.RowsAsync("MembershipReadAllKey", ("DeploymentId", "other")));
    }

    // ---- states

    [PostgresFact]
    public async Task State_WrittenReadAndOverwritten_CountsItsVersion()
    {
        await using Calls calls = await Calls.CreateAsync(server);

        Assert.Empty(await calls.ReadStateAsync("a"));
        Assert.Equal([1], await calls.WriteStateAsync("a", null, [1, 2, 3]));
        Assert.Equal([2], await calls.WriteStateAsync("a", 1, [4]));

        Dictionary<string, object?> row = Assert.Single(await calls.ReadStateAsync("a"));
        Assert.Equal(2, row["version"]);
        Assert.Equal([4], (byte[])row["payloadbinary"]!);
        Assert.Empty(await calls.ReadStateAsync("b"));
        Assert.Empty(await calls.ReadStateAsync(null));
    }

    [PostgresFact]
    public async Task State_StaleOrMissingVersion_ChangesNothing()
    {
        await using Calls calls = await Calls.CreateAsync(server);
        await calls.WriteStateAsync("a", null, [1]);
        await calls.WriteStateAsync("a", 1, [2]);

        Assert.Empty(await calls.WriteStateAsync("a", null, [9]));
        Assert.Empty(await calls.WriteStateAsync("a", 1, [9]));
        Assert.Empty(await calls.WriteStateAsync("never", 1, [9]));
        Assert.Empty(await calls.ClearStateAsync("ClearStorageKey", "a", 1));
        Assert.Empty(await calls.ClearStateAsync("DeleteStorageKey", "a", 1));

        Assert.Equal([2], (byte[])Assert.Single(await calls.ReadStateAsync("a"))["payloadbinary"]!);
    }

    [PostgresFact]
    public async Task State_Cleared_HasNoPayloadAndCountsOn_ThenIsWrittenAgain()
    {
        await using Calls calls = await Calls.CreateAsync(server);
        await calls.WriteStateAsync("a", null, [1]);

        Assert.Equal([2], await calls.ClearStateAsync("ClearStorageKey", "a", 1));
        Dictionary<string, object?> row = Assert.Single(await calls.ReadStateAsync("a"));
        Assert.Equal((2, null), ((int)row["version"]!, row["payloadbinary"]));
        Assert.Equal([3], await calls.WriteStateAsync("a", 2, [5]));
    }

    [PostgresFact]
    public async Task State_Deleted_IsGoneAndCanBeWrittenAnew()
    {
        await using Calls calls = await Calls.CreateAsync(server);
        await calls.WriteStateAsync("a", null, [1]);

        Assert.Equal([2], await calls.ClearStateAsync("DeleteStorageKey", "a", 1));
        Assert.Empty(await calls.ReadStateAsync("a"));
        Assert.Equal([1], await calls.WriteStateAsync("a", null, [5]));
    }

    [PostgresFact]
    public async Task State_ManyFirstWriters_OneWins()
    {
        await using Calls calls = await Calls.CreateAsync(server);

        List<int>[] first = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => calls.WriteStateAsync("a", null, [(byte)i]))).WaitAsync(TestDatabase.Deadline);
        List<int>[] second = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => calls.WriteStateAsync("a", 1, [(byte)i]))).WaitAsync(TestDatabase.Deadline);

        Assert.Equal([1], first.SelectMany(v => v));
        Assert.Equal([2], second.SelectMany(v => v));
    }

    [PostgresFact]
    public async Task State_OfASilo_IsWrittenAsLongAsItsLeaseHasNotEnded()
    {
        const string silo = "10.0.0.1:11111@7";
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await using var calls = new Calls(database, database.ConnectAs(silo));
        await using var others = new Calls(database, database.ConnectAs("10.0.0.1:11111@8"));
        await database.ExecuteAsync($"INSERT INTO silo_lease (silo, endpoint, renewed_at) VALUES ('{silo}', '10.0.0.1:11111', now() - interval '1 h')");

        // Lapsed, and nobody has taken over: what it writes is the truth.
        Assert.Equal([1], await calls.WriteStateAsync("a", null, [1]));
        Assert.Equal([2], await calls.WriteStateAsync("a", 1, [2]));
        Assert.Equal([1], await calls.WriteStateAsync("b", null, [1]));
        Assert.Equal([2], await calls.ClearStateAsync("ClearStorageKey", "b", 1));
        Assert.Equal([3], await calls.ClearStateAsync("DeleteStorageKey", "b", 2));
        Assert.Empty(await others.WriteStateAsync("a", 2, [9]));

        await new SiloLeases(database.Source, TimeProvider.System).EndAsync(silo, CancellationToken.None);

        Assert.Empty(await calls.WriteStateAsync("a", 2, [9]));
        Assert.Empty(await calls.WriteStateAsync("c", null, [9]));
        Assert.Empty(await calls.ClearStateAsync("ClearStorageKey", "a", 2));
        Assert.Empty(await calls.ClearStateAsync("DeleteStorageKey", "a", 2));
        Assert.Equal([2], (byte[])Assert.Single(await calls.ReadStateAsync("a"))["payloadbinary"]!);
        Assert.Empty(await calls.ReadStateAsync("c"));
    }

    [PostgresFact]
    public async Task State_BeingWritten_TheLeaseDoesNotEndBefore()
    {
        const string silo = "10.0.0.1:11111@7";
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await using NpgsqlDataSource source = database.ConnectAs(silo);
        await database.ExecuteAsync($"INSERT INTO silo_lease (silo, endpoint, renewed_at) VALUES ('{silo}', '10.0.0.1:11111', now() - interval '1 h')");
        await using NpgsqlConnection connection = await source.OpenConnectionAsync();
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync();
        await using NpgsqlCommand write = connection.CreateCommand();
        write.CommandText = SqlText.Statements["WriteToStorageKey"];
        Calls.Bind(write, [.. Calls.Identity("a"), ("GrainStateVersion", null), ("PayloadBinary", new byte[] { 1 })]);
        Assert.Equal(1, await write.ExecuteScalarAsync());

        // The silo renews all the while, from another connection.
        var leases = new SiloLeases(database.Source, TimeProvider.System);
        Assert.True(await leases.RenewAsync(silo, CancellationToken.None).WaitAsync(TestDatabase.Deadline));
        await database.ExecuteAsync("UPDATE silo_lease SET renewed_at = now() - interval '1 h'");

        Task ending = leases.EndAsync(silo, CancellationToken.None);
        await database.UntilAsync("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()", waiting => waiting == 1);
        Assert.False(ending.IsCompleted);
        await transaction.CommitAsync();
        await ending.WaitAsync(TestDatabase.Deadline);
    }

    [PostgresFact]
    public async Task State_OfMegabytes_ComesBackEqual()
    {
        await using Calls calls = await Calls.CreateAsync(server);
        byte[] large = new byte[5 * 1024 * 1024];
        new Random(1).NextBytes(large);

        await calls.WriteStateAsync("a", null, large);

        Assert.Equal(large, (byte[])Assert.Single(await calls.ReadStateAsync("a"))["payloadbinary"]!);
    }

    // ---- reminders

    [PostgresFact]
    public async Task Reminder_UpsertedReadAndDeleted()
    {
        await using Calls calls = await Calls.CreateAsync(server);

        Assert.Equal(1, await calls.UpsertReminderAsync("g", "r", 5, Now, 60_000));
        Assert.Equal(2, await calls.UpsertReminderAsync("g", "r", 5, Now.AddHours(1), 90_000));

        Dictionary<string, object?> row = Assert.Single(await calls.RowsAsync("ReadReminderRowKey", ("ServiceId", "s"), ("GrainId", "g"), ("ReminderName", "r")));
        Assert.Equal(("g", "r", Now.AddHours(1), 90_000L, 2),
            ((string)row["grainid"]!, (string)row["remindername"]!, ((DateTime)row["starttime"]!).ToUniversalTime(), (long)row["period"]!, (int)row["version"]!));
        Assert.False(await calls.BooleanAsync("DeleteReminderRowKey", ("ServiceId", "s"), ("GrainId", "g"), ("ReminderName", "r"), ("Version", 1)));
        Assert.True(await calls.BooleanAsync("DeleteReminderRowKey", ("ServiceId", "s"), ("GrainId", "g"), ("ReminderName", "r"), ("Version", 2)));
        Assert.Empty(await calls.RowsAsync("ReadReminderRowsKey", ("ServiceId", "s"), ("GrainId", "g")));
    }

    [PostgresFact]
    public async Task Reminder_PeriodOfMonths_IsKept()
    {
        await using Calls calls = await Calls.CreateAsync(server);

        await calls.UpsertReminderAsync("g", "r", 5, Now, 90L * 24 * 3_600_000);

        Assert.Equal(90L * 24 * 3_600_000, Assert.Single(await calls.RowsAsync("ReadReminderRowsKey", ("ServiceId", "s"), ("GrainId", "g")))["period"]);
    }

    [PostgresTheory]
    [InlineData("ReadRangeRows1Key", -10, 10, new[] { 0, 10 })]
    [InlineData("ReadRangeRows1Key", 10, int.MaxValue, new[] { int.MaxValue })]
    [InlineData("ReadRangeRows2Key", 10, -10, new[] { int.MinValue, -10, int.MaxValue })]
    [InlineData("ReadRangeRows2Key", 0, 0, new[] { int.MinValue, -10, 0, 10, int.MaxValue })]
    public async Task Reminder_Ranges_ExcludeTheirBeginAndIncludeTheirEnd(string key, int begin, int end, int[] expected)
    {
        await using Calls calls = await Calls.CreateAsync(server);
        foreach (int hash in new[] { int.MinValue, -10, 0, 10, int.MaxValue })
        {
            await calls.UpsertReminderAsync($"g{hash}", "r", hash, Now, 1);
        }

        List<Dictionary<string, object?>> rows = await calls.RowsAsync(key, ("ServiceId", "s"), ("BeginHash", begin), ("EndHash", end));

        Assert.Equal(expected.Select(h => $"g{h}").Order(StringComparer.Ordinal), rows.Select(r => (string)r["grainid"]!).Order(StringComparer.Ordinal));
    }

    [PostgresFact]
    public async Task Reminders_DeletedOfOneService_LeaveThoseOfOthers()
    {
        await using Calls calls = await Calls.CreateAsync(server);
        await calls.UpsertReminderAsync("g", "r", 5, Now, 1);
        await calls.UpsertReminderAsync("g", "r", 5, Now, 1, service: "other");

        await calls.RowsAsync("DeleteReminderRowsKey", ("ServiceId", "s"));

        Assert.Empty(await calls.RowsAsync("ReadReminderRowsKey", ("ServiceId", "s"), ("GrainId", "g")));
        Assert.Single(await calls.RowsAsync("ReadReminderRowsKey", ("ServiceId", "other"), ("GrainId", "g")));
    }

    /// <summary>Executes statements as Orleans does: text from the table, parameters by name, null where there is no value.</summary>
    private sealed class Calls(TestDatabase database, NpgsqlDataSource? source = null) : IAsyncDisposable
    {
        private readonly NpgsqlDataSource _source = source ?? database.Source;

        public static async Task<Calls> CreateAsync(PostgresServer server, bool withTable = false)
        {
            var calls = new Calls(await TestDatabase.CreateAsync(server));
            if (withTable)
            {
                await calls.BooleanAsync("InsertMembershipVersionKey", ("DeploymentId", "d"));
            }

            return calls;
        }

        public async Task<List<Dictionary<string, object?>>> RowsAsync(string key, params (string Name, object? Value)[] parameters)
        {
            await using NpgsqlCommand lookup = _source.CreateCommand("SELECT QueryKey, QueryText FROM OrleansQuery WHERE QueryKey = @key");
            lookup.Parameters.AddWithValue("key", key);
            string text;
            await using (NpgsqlDataReader found = await lookup.ExecuteReaderAsync())
            {
                Assert.True(await found.ReadAsync(), $"There is no statement {key}.");
                text = found.GetString(found.GetOrdinal("QueryText"));
            }

            await using NpgsqlCommand command = _source.CreateCommand(text);
            Bind(command, parameters);
            await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(CommandBehavior.Default);
            List<Dictionary<string, object?>> rows = [];
            while (await reader.ReadAsync())
            {
                rows.Add(Enumerable.Range(0, reader.FieldCount).ToDictionary(reader.GetName, i => reader.IsDBNull(i) ? null : reader.GetValue(i), StringComparer.Ordinal));
            }

            return rows;
        }

        public static void Bind(NpgsqlCommand command, (string Name, object? Value)[] parameters)
        {
            foreach ((string name, object? value) in parameters)
            {
                NpgsqlParameter parameter = command.CreateParameter();
                parameter.ParameterName = name;
                parameter.Value = value ?? DBNull.Value;
                command.Parameters.Add(parameter);
            }
        }

        public async Task<bool> BooleanAsync(string key, params (string Name, object? Value)[] parameters) =>
            (bool)Assert.Single(Assert.Single(await RowsAsync(key, parameters)).Values)!;

        public Task<bool> InsertSiloAsync(int number, int version, int proxyPort = 30000) => BooleanAsync(
            "InsertMembershipKey",
            ("DeploymentId", "d"),
            ("IAmAliveTime", Now),
            ("SiloName", $"silo-{number}"),
            ("HostName", $"host-{number}"),
            ("Address", $"10.0.0.{number}"),
            ("Port", 11111),
            ("Generation", 7),
            ("StartTime", Now),
            ("Status", Joining),
            ("ProxyPort", proxyPort),
            ("Version", version));

        public Task<bool> UpdateSiloAsync(int number, int status, string? suspects, int version, DateTime? aliveAt = null) => BooleanAsync(
            "UpdateMembershipKey",
            ("DeploymentId", "d"),
            ("Address", $"10.0.0.{number}"),
            ("Port", 11111),
            ("Generation", 7),
            ("IAmAliveTime", aliveAt ?? Now),
            ("Status", status),
            ("SuspectTimes", suspects),
            ("Version", version));

        public Task<List<Dictionary<string, object?>>> ReadStateAsync(string? key) => RowsAsync("ReadFromStorageKey", Identity(key));

        public async Task<List<int>> WriteStateAsync(string key, int? version, byte[] payload) =>
            [.. (await RowsAsync("WriteToStorageKey", [.. Identity(key), ("GrainStateVersion", version), ("PayloadBinary", payload)])).Select(r => (int)r["newgrainstateversion"]!)];

        public async Task<List<int>> ClearStateAsync(string statement, string key, int? version) =>
            [.. (await RowsAsync(statement, [.. Identity(key), ("GrainStateVersion", version)])).Select(r => (int)r.Values.First()!)];

        public async Task<int> UpsertReminderAsync(string grain, string name, int hash, DateTime start, long period, string service = "s") =>
            (int)Assert.Single(await RowsAsync(
                "UpsertReminderRowKey",
                ("ServiceId", service),
                ("GrainHash", hash),
                ("GrainId", grain),
                ("ReminderName", name),
                ("StartTime", start),
                ("Period", period <= int.MaxValue ? (int)period : period)))["version"]!;

        /// <summary>Ends its own connections, and the database where it was made for these calls alone.</summary>
        public ValueTask DisposeAsync() => source is null ? database.DisposeAsync() : source.DisposeAsync();

        public static (string Name, object? Value)[] Identity(string? key) =>
        [
            ("GrainIdHash", 17),
            ("GrainIdN0", 0L),
            ("GrainIdN1", 0L),
            ("GrainTypeHash", 23),
            ("GrainTypeString", "cluster"),
            ("GrainIdExtensionString", key),
            ("ServiceId", "s"),
        ];
    }
}
