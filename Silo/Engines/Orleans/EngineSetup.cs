using Microsoft.Extensions.Configuration;
using MultiCluster.Silo.Hosting;
using Orleans.Hosting;

namespace MultiCluster.Silo.Engines;

/// <summary>What only Orleans knows: membership, states and reminders are in PostgreSQL.</summary>
internal static class EngineSetup
{
    /// <summary>Name of the engine, for the log of the start.</summary>
    public const string Name = "Orleans";

    private const string Invariant = "Npgsql";

    public static void Configure(ISiloBuilder silo, string dataDirectory)
    {
        string connection = silo.Configuration.GetConnectionString("Orleans")
            ?? throw new ServiceStartException("Set ConnectionStrings:Orleans to the PostgreSQL database of the service.");
        silo.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = (Invariant, connection));
        silo.AddAdoNetGrainStorage("clusters", o => (o.Invariant, o.ConnectionString) = (Invariant, connection));
        silo.UseAdoNetReminderService(o => (o.Invariant, o.ConnectionString) = (Invariant, connection));
    }
}
