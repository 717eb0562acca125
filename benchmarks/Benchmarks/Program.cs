using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;

if (await SystemPrograms.TryRunAsync(args) || MirrorPrograms.TryRun(args))
{
    return 0;
}

Console.Error.WriteLine("Usage: Benchmarks mirror-layouts | mirror-memory | mirror-ingest | mirror-read | first-sync [options]; see benchmarks/README.md");
return 2;
