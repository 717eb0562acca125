using System.Globalization;
using System.Runtime.InteropServices;
using MultiCluster.Cluster.Tests;
using MultiCluster.TestSupport;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Fleets of processes on a PostgreSQL of their own, all ended when it is disposed.</summary>
/// <remarks>
/// On Ctrl+C or SIGTERM what runs is given up and all is ended in order; where this process is killed, the operating system ends its children.
/// </remarks>
internal sealed class Fleets : IAsyncDisposable
{
    private readonly PostgresServer _server = new();
    private readonly List<FleetUnderTest> _open = [];

    private Fleets()
    {
    }

    /// <summary>Runs a program over fleets.</summary>
    /// <param name="run">The program; it need not end the fleets that it has started.</param>
    public static async Task RunAsync(Func<Fleets, Task> run)
    {
        if (PostgresServer.SkipReason is { } reason)
        {
            throw new NotSupportedException(reason);
        }

        using var interrupted = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);
        await using var fleets = new Fleets();
        try
        {
            await fleets._server.InitializeAsync();
            await run(fleets).WaitAsync(interrupted.Token);
        }
        catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; ending what was started.");
            Environment.ExitCode = 130;
        }

        void Interrupt(PosixSignalContext context)
        {
            context.Cancel = true;
            interrupted.Cancel();
        }
    }

    /// <summary>Starts silos and a gateway, or one process alone where <paramref name="silos"/> is 0, and waits until every member's pods are there.</summary>
    public async Task<FleetUnderTest> StartAsync(int silos, int members, int podsOfEach)
    {
        FleetUnderTest fleet = silos == 0 ? await FleetUnderTest.StartAloneAsync() : await FleetUnderTest.CreateAsync(_server);
        _open.Add(fleet);
        if (silos > 0)
        {
            fleet.Silos.AddRange(await Task.WhenAll(Enumerable.Range(0, silos).Select(_ => fleet.StartSiloAsync())));
            await fleet.StartGatewayAsync();
        }

        await fleet.AddMembersAsync(members, podsOfEach);
        return fleet;
    }

    /// <summary>Ends a fleet before the others.</summary>
    public async Task EndAsync(FleetUnderTest fleet)
    {
        _open.Remove(fleet);
        await fleet.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            foreach (FleetUnderTest fleet in _open)
            {
                await fleet.DisposeAsync();
            }
        }
        finally
        {
            await _server.DisposeAsync();
        }
    }

    /// <summary>A number behind a name among the arguments.</summary>
    public static int Option(string[] args, string name, int otherwise) =>
        Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? int.Parse(args[at + 1], CultureInfo.InvariantCulture) : otherwise;
}
