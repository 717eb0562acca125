using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Benchmarks.Reads;

if (await SystemPrograms.TryRunAsync(args) || await FleetReadPrograms.TryRunAsync(args) || await FieldFilters.TryRunAsync(args) || MirrorPrograms.TryRun(args))
{
    return 0;
}

Console.Error.WriteLine(
    "Usage: Benchmarks first-sync | event-latency | isolation | start | engine | grain-figures | fleet-reads | field-filters | mirror-layouts | mirror-memory | service-memory | mirror-ingest | mirror-read; see benchmarks/README.md.");
return 2;
