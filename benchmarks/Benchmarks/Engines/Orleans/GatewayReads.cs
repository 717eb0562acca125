using System.Diagnostics;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Cluster.Tests;
using MultiCluster.V1;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>Lists, counts and watches through a gateway process with one silo and with three, beside one process of the same build that is both.</summary>
internal sealed class GatewayReads(Fleets fleets, int members, int pods, TimeSpan each, int changesPerSecond)
{
    private const int Page = 500;

    // One owner of each member: ten pods.
    private const string Label = "app=app-00007";

    private static readonly int[] Clients = [1, 8];
    private static readonly (string Name, int Silos)[] Topologies = [("one process", 0), ("gateway and 1 silo", 1), ("gateway and 3 silos", 3)];

    /// <param name="args">[--rounds N] [--seconds N] [--members N] [--pods N] [--changes N]</param>
    public static Task RunAsync(string[] args) => Fleets.RunAsync(async fleets =>
    {
        int rounds = Fleets.Option(args, "--rounds", 2);
        int seconds = Fleets.Option(args, "--seconds", 10);
        int members = Fleets.Option(args, "--members", 30);
        int pods = Fleets.Option(args, "--pods", 2_000);
        int changes = Fleets.Option(args, "--changes", 1_000);
        string load = Load.Average;
        var run = new GatewayReads(fleets, members, pods, TimeSpan.FromSeconds(seconds), changes);
        Figures[] all = [.. Topologies.Select(static _ => new Figures())];
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < Topologies.Length; i++)
            {
                await Console.Error.WriteLineAsync($"round {round + 1} of {rounds}: {Topologies[i].Name}");
                await run.MeasureAsync(Topologies[i].Silos, all[i]);
            }
        }

        var report = new Report("Reads through a gateway", "what", "clients", "of", "p50 ms", "p99 ms", "per second", "p50 against one process", "p99 against one process");
        foreach (int clients in Clients)
        {
            Add($"page of {Page}", clients, f => f.Lists[clients]);
        }

        foreach (int clients in Clients)
        {
            Add("count of all by a label", clients, f => f.Counts[clients]);
        }

        Add($"change in a member → watcher, {changes:N0}/s", 1, static f => f.Events);
        report.Print($"Engine Orleans. {members} members with {pods:N0} pods of 8.3 KB (4.2 KB without managedFields) in the process of the clients; gateway, silos and PostgreSQL are processes on the same machine. "
            + $"gRPC over TLS, every client waits for its answer and asks at once again: page behind page through all {members * pods:N0} pods, or how many of them have one value of a label. "
            + $"Changes go round the members, the watcher follows all of them; each came once. {seconds} s of each, in {rounds} rounds over the three, each time with new processes. "
            + $"Load average before {load}, after {Load.Average}.");

        void Add(string what, int clients, Func<Figures, Timed> of)
        {
            Samples peer = of(all[0]).Times;
            foreach (((string name, _), Figures figures) in Topologies.Zip(all))
            {
                Timed timed = of(figures);
                report.Row(
                    what, clients, name, Load.Text(timed.Times.Median), Load.Text(timed.Times.P99), Load.Text(timed.PerSecond),
                    $"{timed.Times.Median / peer.Median:f2}", $"{timed.Times.P99 / peer.P99:f2}");
            }
        }
    });

    private async Task MeasureAsync(int silos, Figures figures)
    {
        FleetUnderTest fleet = await fleets.StartAsync(silos, members, pods);
        using (var client = new FleetClient(fleet))
        {
            int labelled = await ProveAsync(client);
            await LoopAsync(1, TimeSpan.FromSeconds(1), () => CountAsync(client, labelled));   // code is compiled, connections are open
            foreach (int clients in Clients)
            {
                figures.Lists[clients].Add(await LoopAsync(clients, each, Lister(client)));
                figures.Counts[clients].Add(await LoopAsync(clients, each, () => CountAsync(client, labelled)));
            }

            figures.Events.Add(await WatchAsync(client, fleet));
        }

        await fleets.EndAsync(fleet);
    }

    /// <summary>Whether the pages make up all pods of all members, each once, and a count finds what they show.</summary>
    /// <returns>How many pods have the label.</returns>
    private async Task<int> ProveAsync(FleetClient client)
    {
        HashSet<(string Cluster, string Namespace, string Name)> seen = [];
        int labelled = 0;
        var request = new ListRequest { Query = Pods(), Limit = Page };
        do
        {
            ListResponse page = await client.Resources.ListAsync(request, client.Admin);
            foreach (V1.Object pod in page.Objects)
            {
                seen.Add((pod.Cluster, pod.Namespace, pod.Name));
                labelled += pod.Json.Span.IndexOf("\"app\":\"app-00007\""u8) >= 0 ? 1 : 0;
            }

            request.Continue = page.Continue;
        }
        while (request.Continue.Length > 0);

        if (seen.Count != members * pods || seen.GroupBy(static s => s.Cluster, StringComparer.Ordinal).Any(c => c.Count() != pods))
        {
            throw new InvalidOperationException($"{seen.Count} pods were listed instead of {members * pods}.");
        }

        await CountAsync(client, labelled);
        return labelled > 0 ? labelled : throw new InvalidOperationException($"No pod has the label {Label}.");
    }

    private static ObjectQuery Pods() => new() { Kind = "pods" };

    private static async Task CountAsync(FleetClient client, int labelled)
    {
        ObjectQuery query = Pods();
        query.LabelSelector = Label;
        CountResponse count = await client.Resources.CountAsync(new CountRequest { Query = query }, client.Admin);
        if (count.Total != labelled || count.Coverage.Any(static c => c.State != CoverageState.Ok))
        {
            throw new InvalidOperationException($"{count.Total} pods were counted instead of {labelled}; coverage: {string.Join(", ", count.Coverage.Where(static c => c.State != CoverageState.Ok))}");
        }
    }

    /// <summary>A client that lists page behind page, and begins anew after the last.</summary>
    private Func<Func<Task>> Lister(FleetClient client) => () =>
    {
        var request = new ListRequest { Query = Pods(), Limit = Page };
        int left = members * pods;
        return async () =>
        {
            ListResponse page = await client.Resources.ListAsync(request, client.Admin);
            if (page.Objects.Count != Math.Min(Page, left))
            {
                throw new InvalidOperationException($"A page has {page.Objects.Count} pods, with {left} still to come.");
            }

            request.Continue = page.Continue;
            left = page.Continue.Length == 0 ? members * pods : left - page.Objects.Count;
        };
    };

    private static Task<Timed> LoopAsync(int clients, TimeSpan duration, Func<Task> act) => LoopAsync(clients, duration, () => act);

    private static async Task<Timed> LoopAsync(int clients, TimeSpan duration, Func<Func<Task>> create)
    {
        long start = Stopwatch.GetTimestamp();
        Samples[] parts = await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
        {
            Func<Task> act = create();
            var times = new Samples();
            while (Stopwatch.GetElapsedTime(start) < duration)
            {
                long asked = Stopwatch.GetTimestamp();
                await act();
                times.Add(Stopwatch.GetElapsedTime(asked));
            }

            return times;
        })));
        var timed = new Timed { Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds };
        foreach (Samples part in parts)
        {
            timed.Times.Add(part);
        }

        return timed;
    }

    private async Task<Timed> WatchAsync(FleetClient client, FleetUnderTest fleet)
    {
        await using FleetWatcher watcher = await FleetWatcher.StartAsync(client);
        Dictionary<(string Cluster, long Revision), long> warm = await FleetChanges.MakeAsync(fleet, changesPerSecond, TimeSpan.FromSeconds(2));
        await watcher.ReadAsync(warm.Count);
        long start = Stopwatch.GetTimestamp();
        Dictionary<(string Cluster, long Revision), long> made = await FleetChanges.MakeAsync(fleet, changesPerSecond, each);
        var timed = new Timed { Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds };
        foreach (((string, long) change, long at) in await watcher.ReadAsync(made.Count))
        {
            timed.Times.Add(made.Remove(change, out long from) ? Stopwatch.GetElapsedTime(from, at) : throw new InvalidOperationException($"{change} came twice, or was never made."));
        }

        return timed;
    }

    private sealed class Figures
    {
        public Dictionary<int, Timed> Lists { get; } = Clients.ToDictionary(static c => c, static _ => new Timed());

        public Dictionary<int, Timed> Counts { get; } = Clients.ToDictionary(static c => c, static _ => new Timed());

        public Timed Events { get; } = new();
    }

    private sealed class Timed
    {
        public Samples Times { get; } = new();

        public double Seconds { get; set; }

        public double PerSecond => Times.Count / Seconds;

        public void Add(Timed other)
        {
            Times.Add(other.Times);
            Seconds += other.Seconds;
        }
    }
}
