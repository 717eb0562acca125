namespace MultiCluster.Benchmarks.Engines;

/// <summary>Programs that need several processes of one service. Each prints its result as Markdown.</summary>
internal static class EnginePrograms
{
    /// <summary>Runs the program named by the first argument; false when it is none of these.</summary>
    public static async Task<bool> TryRunAsync(string[] args)
    {
        string[] rest = [.. args.Skip(1)];
        switch (args.FirstOrDefault())
        {
            case SecondSilo.Command:
                await SecondSilo.ServeAsync(rest);
                return true;
            case "gateway-reads":
                await GatewayReads.RunAsync(rest);
                return true;
            case "silo-loss":
                await SiloLoss.RunAsync(rest);
                return true;
            default:
                return false;
        }
    }
}
