using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Engines;
using MultiCluster.Silo.Tests.Database;
using MultiCluster.TestSupport;
using Npgsql;
using Orleans.Runtime;

namespace MultiCluster.Silo.Tests.Engines.Orleans;

/// <summary>Where grains live, as another silo knows it while the database is away.</summary>
[Collection(DatabaseCollection.Name)]
public sealed class DatabaseGrainDirectoryTests(PostgresServer server)
{
    private static readonly GrainId One = GrainId.Create("cluster", "one");
    private static readonly GrainId Two = GrainId.Create("cluster", "two");

    [PostgresFact]
    public async Task Lookup_DatabaseIsAway_TellsWhatWasReadLast_OfGrainsThatWereNeverAskedFor()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        var address = new NpgsqlConnectionStringBuilder(database.Settings.ToConnectionString());
        await using var relay = new TcpRelay(new IPEndPoint(IPAddress.Loopback, address.Port));
        address.Port = relay.Port;
        await using NpgsqlDataSource relayed = NpgsqlDataSource.Create(address);
        DatabaseGrainDirectory holder = Directory(database.Source);
        DatabaseGrainDirectory other = Directory(relayed);

        GrainAddress first = At(One, port: 1);
        await holder.Register(first);
        await holder.Register(At(Two, port: 1));
        await other.RememberAsync().WaitAsync(TestDatabase.Deadline);
        GrainAddress moved = At(One, port: 2);
        await holder.Register(moved, first);
        await holder.Unregister((await holder.Lookup(Two))!);
        await other.RememberAsync().WaitAsync(TestDatabase.Deadline);
        relay.Cut();

        Assert.Equal(moved, await other.Lookup(One).WaitAsync(TestDatabase.Deadline));
        Assert.Equal(moved, await other.Register(At(One, port: 1)).WaitAsync(TestDatabase.Deadline));   // it was led to where the grain lived before
        await Assert.ThrowsAsync<SiloUnavailableException>(() => other.Register(At(One, port: 2)).WaitAsync(TestDatabase.Deadline));
        await Assert.ThrowsAsync<SiloUnavailableException>(() => other.Register(At(One, port: 3), moved).WaitAsync(TestDatabase.Deadline));
        await Assert.ThrowsAsync<SiloUnavailableException>(() => other.Lookup(Two).WaitAsync(TestDatabase.Deadline));
    }

    private static DatabaseGrainDirectory Directory(NpgsqlDataSource database) =>
        new(database, new SiloLeases(database, TimeProvider.System), new AllAlive(), TimeProvider.System, NullLogger<DatabaseGrainDirectory>.Instance);

    private static GrainAddress At(GrainId grain, int port) => new()
    {
        GrainId = grain,
        ActivationId = ActivationId.NewId(),
        SiloAddress = SiloAddress.New(IPAddress.Loopback, port, 1),
        MembershipVersion = new MembershipVersion(1),
    };

    private sealed class AllAlive : IClusterMembershipService
    {
        public ClusterMembershipSnapshot CurrentSnapshot { get; } = new(
            Enumerable.Range(1, 3).Select(port => SiloAddress.New(IPAddress.Loopback, port, 1)).ToImmutableDictionary(s => s, s => new ClusterMember(s, SiloStatus.Active, "silo")),
            new MembershipVersion(1));

        public IAsyncEnumerable<ClusterMembershipSnapshot> MembershipUpdates => throw new NotSupportedException();

        public ValueTask Refresh(MembershipVersion minimumVersion = default, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public Task<bool> TryKill(SiloAddress siloAddress) => throw new NotSupportedException();
    }
}
