using MultiCluster.Silo.Engines;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Programs that need several processes of one service, which this engine does not have.</summary>
internal static class EnginePrograms
{
    /// <summary>Runs the program named by the first argument; false when it is none of these.</summary>
    public static Task<bool> TryRunAsync(string[] args) => args.FirstOrDefault() is "gateway-reads" or "silo-loss"
        ? throw new NotSupportedException($"{args[0]} needs several processes of one service; the engine {EngineSetup.Name} has but one. Build with -p:Engine=Orleans.")
        : Task.FromResult(false);
}
