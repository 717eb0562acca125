using System.Net;
using System.Net.Sockets;
using MultiCluster.TestSupport;

namespace MultiCluster.Cluster.Tests;

/// <summary>Silos that start where they should not, or on machines that are not as they should be.</summary>
public sealed class StartTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [ClusterFact]
    public async Task Start_TwiceWithOneIdentity_TheSecondIsRefused_AndTheFirstGoesOn()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.CreateAsync(server);
        string silo = $"127.0.0.1:{FreePort()}";
        await using ServiceProcess first = await fleet.StartSiloAsync(("SiloNetwork:ListenSilo", silo));

        // On another machine it could listen: it says that it is the first one all the same.
        await using ServiceProcess second = await fleet.LaunchSiloAsync(
            ("SiloNetwork:ListenSilo", silo.Replace("127.0.0.1", "127.0.0.2", StringComparison.Ordinal)), ("SiloNetwork:AdvertisedAddress", "127.0.0.1"));
        await second.ExitedAsync();

        Assert.Equal(1, second.ExitCode);
        Assert.Contains($"Another process runs as the silo {silo} of this service; stop it, or give this one its own", second.Printed, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", second.Printed, StringComparison.Ordinal);
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM silo_lease WHERE renewed_at > clock_timestamp() - interval '2 s'", held => held == 1);
        Assert.False(first.HasExited, first.Printed);
    }

    [ClusterFact]
    public async Task Start_OneThatWasKilled_ComesBackWithItsIdentity()
    {
        await using FleetUnderTest fleet = await FleetUnderTest.CreateAsync(server);
        string silo = $"127.0.0.1:{FreePort()}";
        await using ServiceProcess first = await fleet.StartSiloAsync(("SiloNetwork:ListenSilo", silo));
        await first.SignalAsync("KILL");
        await first.ExitedAsync();

        await using ServiceProcess again = await fleet.StartSiloAsync(("SiloNetwork:ListenSilo", silo));

        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM silo_lease", leases => leases == 1);

        // By this name the database knows whose lease allows a write.
        await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM pg_stat_activity WHERE application_name IN (SELECT silo FROM silo_lease)", named => named > 0);
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
