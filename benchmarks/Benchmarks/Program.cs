using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Benchmarks.Reads;

if (await SystemPrograms.TryRunAsync(args) || await FleetReadPrograms.TryRunAsync(args) || MirrorPrograms.TryRun(args))
{
    return 0;
}

Console.Error.WriteLine("Usage: Benchmarks mirror-layouts | mirror-memory | mirror-ingest | mirror-read | first-sync | fleet-reads [clusters] [pods each] [options]; see benchmarks/README.md");
return 2;
