using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiCluster.Benchmarks.Engine;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Calls between two silos in two processes over loopback, beside frames of the same size on one bare connection between the same processes.</summary>
internal sealed class TwoSilos(IGrainFactory grains, SecondSilo second, SiloAddress here, CallRates rates)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <returns>What is to be said of the rows.</returns>
    public static async Task<string> MeasureAsync(Report report, TimeSpan each)
    {
        int port = FreePorts.Next();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.UseOrleans(silo => silo.UseLocalhostClustering(siloPort: port, gatewayPort: 0));
        using IHost host = builder.Build();
        await host.StartAsync();
        await using SecondSilo second = await SecondSilo.StartAsync(port);
        var grains = host.Services.GetRequiredService<IGrainFactory>();
        SiloAddress here = host.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;
        await UntilBothAsync(grains);
        var two = new TwoSilos(grains, second, here, new CallRates(report, each, () => second.CpuTime));
        foreach (bool half in new[] { true, false })
        {
            foreach (int callers in CallRates.Callers)
            {
                await two.SmallAsync(half, callers);
            }

            foreach (int callers in CallRates.Callers)
            {
                await two.ReadAsync(half, callers);
            }
        }

        return "Two silos: the other one is a process of its own and all goes over loopback; with half remote each caller calls a grain here and one there in turn. "
            + "They stand beside requests and answers of the same size on one bare TCP connection between the same two processes (all of them remote), and the processor time is that of both. ";
    }

    private static async Task UntilBothAsync(IGrainFactory grains)
    {
        IManagementGrain management = grains.GetGrain<IManagementGrain>(0);
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        while ((await management.GetHosts(onlyActive: true)).Count != 2)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, patience.Token);
        }
    }

    private static string Where(bool half) => half ? "two silos, half remote" : "two silos, all remote";

    private async Task SmallAsync(bool half, int callers)
    {
        ICounterGrain[] remote = await PlaceAsync<ICounterGrain>(second.Silo, second.ProcessId, half, callers);
        ICounterGrain[] local = half ? await PlaceAsync<ICounterGrain>(here, Environment.ProcessId, half, callers) : remote;
        int[] turns = new int[callers];
        await using BareCalls bare = await BareCalls.ConnectAsync(second.BarePort, callers);
        long calls = await rates.CompareAsync(
            $"small, {Where(half)}", callers,
            caller => (turns[caller]++ % 2 == 0 ? remote : local)[caller].AddAsync(1),
            caller => bare.CallAsync(caller, answerLength: sizeof(long)));
        await GrainCalls.ProveAsync(calls, half ? [.. remote, .. local] : remote);
    }

    private async Task ReadAsync(bool half, int callers)
    {
        IPodGrain[] remote = await PlaceAsync<IPodGrain>(second.Silo, second.ProcessId, half, callers);
        IPodGrain[] local = half ? await PlaceAsync<IPodGrain>(here, Environment.ProcessId, half, callers) : remote;
        int[] turns = new int[callers];
        var reads = new SamplePodReads();
        int bytes = await reads.ReadAsync(0, request => remote[0].GetAsync(request, CancellationToken.None));
        await using BareCalls bare = await BareCalls.ConnectAsync(second.BarePort, callers);
        await rates.CompareAsync(
            $"read, {Where(half)}", callers,
            caller =>
            {
                int turn = turns[caller]++;
                return reads.ReadAsync(turn, request => (turn % 2 == 0 ? remote : local)[caller].GetAsync(request, CancellationToken.None));
            },
            caller => bare.CallAsync(caller, bytes));
    }

    private async Task<T[]> PlaceAsync<T>(SiloAddress silo, int processId, bool half, int callers)
        where T : IPlacedGrain
    {
        T[] placed = [.. Enumerable.Range(0, callers).Select(i => grains.GetGrain<T>($"{Where(half)}-{callers}-{i} in {processId}"))];
        RequestContext.Set(IPlacementDirector.PlacementHintKey, silo);
        try
        {
            foreach (T grain in placed)
            {
                int lives = await grain.PlaceAsync();
                if (lives != processId)
                {
                    throw new InvalidOperationException($"A grain lives in process {lives} and should in {processId}.");
                }
            }
        }
        finally
        {
            RequestContext.Remove(IPlacementDirector.PlacementHintKey);
        }

        return placed;
    }
}
