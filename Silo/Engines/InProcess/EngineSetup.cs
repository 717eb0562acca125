using MultiCluster.Engine;
using Orleans.Hosting;

namespace MultiCluster.Silo.Engines;

/// <summary>What only the in-process engine knows: states and reminders are files in the data directory.</summary>
internal static class EngineSetup
{
    /// <summary>Name of the engine, for the log of the start.</summary>
    public const string Name = "in-process";

    public static void Configure(ISiloBuilder silo, string dataDirectory) =>
        silo.UseLocalhostClustering().UseFileStorage(Path.Combine(dataDirectory, "state"), "clusters");
}
