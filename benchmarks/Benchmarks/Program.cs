using MultiCluster.Benchmarks.Mirror;

if (MirrorPrograms.TryRun(args))
{
    return 0;
}

Console.Error.WriteLine("Usage: Benchmarks mirror-layouts | mirror-memory | mirror-ingest | mirror-read [objects]");
return 2;
