namespace MultiCluster.Engine.Tests;

/// <summary>Tests that measure the memory of the process: no other runs beside them, whose memory they would measure too.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MemoryTests
{
    public const string Name = "Memory";
}
