using System.Diagnostics;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiCluster.Benchmarks.Hosting;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>A silo in a child process that joins the one of this process; the same program with a hidden command.</summary>
/// <remarks>It ends when its input ends, so that nothing stays behind when whoever started it dies.</remarks>
internal sealed class SecondSilo : IAsyncDisposable
{
    /// <summary>Argument that makes this program the child.</summary>
    public const string Command = "serve-silo";

    private readonly Process _process;

    private SecondSilo(Process process, SiloAddress silo, int barePort) => (_process, Silo, BarePort) = (process, silo, barePort);

    public SiloAddress Silo { get; }

    /// <summary>Where it answers <see cref="BareCalls"/>.</summary>
    public int BarePort { get; }

    public int ProcessId => _process.Id;

    /// <summary>Processor time that the child has used so far.</summary>
    public TimeSpan CpuTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public static async Task<SecondSilo> StartAsync(int portOfFirst)
    {
        Process process = Process.Start(ThisProgram.StartInfo(Command, $"{portOfFirst}"))!;
        string line = await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The second silo did not start.");
        string[] words = line.Split(' ');
        return new SecondSilo(process, SiloAddress.FromParsableString(words[0]), int.Parse(words[1], CultureInfo.InvariantCulture));
    }

    /// <summary>The other side: runs until the input ends.</summary>
    /// <param name="args">Port of the first silo.</param>
    public static async Task ServeAsync(string[] args)
    {
        var first = new IPEndPoint(IPAddress.Loopback, int.Parse(args[0], CultureInfo.InvariantCulture));
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.UseOrleans(silo => silo.UseLocalhostClustering(siloPort: FreePorts.Next(), gatewayPort: 0, primarySiloEndpoint: first));
        using IHost host = builder.Build();
        await host.StartAsync();
        await using var bare = new BareServer();
        Console.WriteLine($"{host.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress.ToParsableString()} {bare.Port}");
        while (await Console.In.ReadLineAsync() is not null)
        {
        }
    }

    public async ValueTask DisposeAsync()
    {
        // There is nothing to hand over, and a silo whose neighbour is about to go would wait for it.
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
