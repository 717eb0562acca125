using MultiCluster.Silo.Engines;
using MultiCluster.TestSupport;

namespace MultiCluster.Cluster.Tests;

/// <summary>A test of several processes on one PostgreSQL; skipped, with a word why, where the build or the machine cannot.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ClusterFactAttribute : FactAttribute
{
    /// <summary>Looks whether it can run.</summary>
    public ClusterFactAttribute() =>
        Skip = EngineSetup.Name == "Orleans" ? PostgresServer.SkipReason : "Several processes need the build with -p:Engine=Orleans.";
}
