using System.Collections.Immutable;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Grains.Cluster;
using MultiCluster.Silo.Hosting;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Silo.Demo;

/// <summary>The demo: three simulated clusters, the whole service over them, and one that fails and recovers while you watch.</summary>
internal static class DemoRun
{
    private static readonly TimeSpan CalmFor = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan UnhealthyFor = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan DownFor = TimeSpan.FromSeconds(20);

    public static async Task RunAsync(ServiceSettings settings, bool hasDataDirectory, TextWriter output, CancellationToken stop)
    {
        // Without a wish of the user every demo starts from nothing, and takes away what it made.
        DirectoryInfo? own = hasDataDirectory ? null : Directory.CreateTempSubdirectory("multicluster-demo-");
        settings.DataDirectory = own?.FullName ?? settings.DataDirectory;

        // The members and the service start side by side: most of both is compiling code that the other does not need.
        Task<SimulatedCluster[]> starting = Task.Run(() => Task.WhenAll(DemoCluster.All.Select(c => c.StartAsync(stop))), CancellationToken.None);
        try
        {
            await using Service service = await StartServiceAsync(settings, stop);
            SimulatedCluster[] members = await starting;
            await RegisterAsync(service, members, stop);
            foreach (SimulatedCluster member in members)
            {
                await service.WriteFileAsync($"{member.Options.Name}.kubeconfig", member.KubeconfigYaml(), stop);
            }

            await output.WriteLineAsync(DemoScreen.Text(service));
            await Task.WhenAll(
                PlayAsync(members.Single(m => m.Options.Name == "edge-1"), output, stop),
                NarrateAsync(service.Services.GetRequiredService<FleetView>(), output, stop),
                service.App.WaitForShutdownAsync(stop));
        }
        finally
        {
            await Task.WhenAny(starting);
            foreach (SimulatedCluster member in starting.IsCompletedSuccessfully ? starting.Result : [])
            {
                await member.DisposeAsync();
            }

            own?.Delete(recursive: true);
        }
    }

    private static async Task<Service> StartServiceAsync(ServiceSettings settings, CancellationToken stop)
    {
        Service service = await CreateAsync(settings, stop);
        try
        {
            await service.StartAsync(stop);
            return service;
        }
        catch (ServiceStartException)
        {
            // The usual ports are taken: a demo need not insist on them.
            await service.DisposeAsync();
            settings.Listen = "127.0.0.1:0";
            settings.ListenMetrics = "127.0.0.1:0";
            service = await CreateAsync(settings, stop);
            await service.StartAsync(stop);
            return service;
        }
    }

    private static Task<Service> CreateAsync(ServiceSettings settings, CancellationToken stop) => Service.CreateAsync(settings, configuration: null, builder =>
    {
        // An outage shall show while one watches: within some six seconds instead of thirty.
        builder.Services.Configure<HealthOptions>(o => o.ProbeInterval = TimeSpan.FromSeconds(2));

        // The screen tells the story; failing probes of a cluster that is meant to fail would only hide it.
        builder.Logging.SetMinimumLevel(LogLevel.Error);
    }, stop);

    private static async Task RegisterAsync(Service service, SimulatedCluster[] members, CancellationToken stop)
    {
        var commands = service.Services.GetRequiredService<ClusterCommands>();
        await Task.WhenAll(members.Select((member, i) => commands.RegisterAsync(
            member.Options.Name,
            DemoCluster.All[i].Labels,
            new ConnectionInput { Kubeconfig = member.KubeconfigYaml() },
            MirrorScope.Default,
            force: true,
            dryRun: false,
            stop)));
    }

    private static async Task PlayAsync(SimulatedCluster edge, TextWriter output, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(CalmFor, TimeProvider.System, stop);
                await SayAsync(output, "edge-1's etcd gets slow: its /readyz will fail for 20 s.");
                edge.Faults.FailHealthChecks("etcd");
                await Task.Delay(UnhealthyFor, TimeProvider.System, stop);
                await SayAsync(output, "and now edge-1 is cut off: nobody answers for 20 s. Its objects stay readable, with their age.");
                await edge.StopListeningAsync(cancellationToken: stop);
                await Task.Delay(DownFor, TimeProvider.System, stop);
                await SayAsync(output, "edge-1 comes back; watches go on where they stopped.");
                edge.Faults.FailHealthChecks();
                await edge.StartListeningAsync(stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The demo ends.
        }
    }

    private static async Task NarrateAsync(FleetView fleet, TextWriter output, CancellationToken stop)
    {
        ImmutableDictionary<string, ClusterPhase> shown = ImmutableDictionary<string, ClusterPhase>.Empty;
        try
        {
            while (true)
            {
                Task changed = fleet.Changed();
                foreach (ClusterSummary summary in fleet.Current.Clusters.Values.Select(c => c.Summary).OfType<ClusterSummary>())
                {
                    if (!shown.TryGetValue(summary.Name, out ClusterPhase before) || before != summary.Phase)
                    {
                        shown = shown.SetItem(summary.Name, summary.Phase);
                        string why = summary.Fault is { } fault ? $" ({fault.Kind}: {fault.Message})" : "";
                        await SayAsync(output, $"   {summary.Name} is {summary.Phase}{why}");
                    }
                }

                await changed.WaitAsync(stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The demo ends.
        }
    }

    private static Task SayAsync(TextWriter output, string line) =>
        output.WriteLineAsync($"{TimeProvider.System.GetLocalNow():HH:mm:ss}  {line}");
}
