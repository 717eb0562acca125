using MultiCluster.Benchmarks.Engines;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Benchmarks.Reads;

if (await EnginePrograms.TryRunAsync(args) || await SystemPrograms.TryRunAsync(args) || await FleetReadPrograms.TryRunAsync(args) || await FieldFilters.TryRunAsync(args) || MirrorPrograms.TryRun(args))
{
    return Environment.ExitCode;
}

Console.Error.WriteLine(
    "Usage: Benchmarks first-sync | event-latency | isolation | start | engine | grain-calls | grain-figures | gateway-reads | silo-loss | fleet-reads | field-filters | mirror-layouts | mirror-memory | service-memory | mirror-ingest | mirror-read; see benchmarks/README.md.");
return 2;
