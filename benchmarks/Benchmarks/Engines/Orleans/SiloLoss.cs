using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;
using MultiCluster.Cluster.Tests;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>What clients of a gateway see while one of three silos is killed, hangs, or is stopped in order, and how long a silo that joins waits for its share.</summary>
internal sealed class SiloLoss(Fleets fleets)
{
    private const int Silos = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    // After the last answer that lacked something; and where none did, long enough for a loss to show.
    private static readonly TimeSpan QuietFor = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan ShowsWithin = TimeSpan.FromSeconds(8);

    // Silos look at what they carry every 11 to 19 seconds, and move one cluster a second from then on.
    private static readonly TimeSpan SettledFor = TimeSpan.FromSeconds(45);
    private static readonly TimeSpan SettledWithin = TimeSpan.FromMinutes(10);

    /// <param name="args">[--kills N] [--hangs N] [--stops N] [--joins N] [--members N] [--pods N] [--join-members N] [--join-pods N]</param>
    public static Task RunAsync(string[] args) => Fleets.RunAsync(async fleets =>
    {
        int kills = Fleets.Option(args, "--kills", 20);
        int hangs = Fleets.Option(args, "--hangs", 5);
        int stops = Fleets.Option(args, "--stops", 5);
        int joins = Fleets.Option(args, "--joins", 3);
        int members = Fleets.Option(args, "--members", 30);
        int pods = Fleets.Option(args, "--pods", 2_000);
        int joinMembers = Fleets.Option(args, "--join-members", 12);
        int joinPods = Fleets.Option(args, "--join-pods", 20_000);
        var loss = new SiloLoss(fleets);
        if (kills + hangs + stops > 0)
        {
            FleetUnderTest fleet = await fleets.StartAsync(Silos, members, pods);
            await loss.LoseAsync(fleet, kills, pods, hangs: false);
            await loss.LoseAsync(fleet, hangs, pods, hangs: true);
            await loss.StopAsync(fleet, stops, pods);
            await fleets.EndAsync(fleet);
        }

        await loss.JoinAsync(joins, joinMembers, joinPods);
    });

    private static string About(int members, int pods, string load) =>
        $"Engine Orleans. {members} members with {pods:N0} pods of 8.3 KB (4.2 KB without managedFields) in the process of the client; gateway, silos and PostgreSQL are processes on the same machine. "
        + $"The client asks every 50 ms, whether or not the last answer has come, how many pods there are, cluster by cluster, over HTTP and TLS. Load average before {load}, after {Load.Average}.";

    private async Task LoseAsync(FleetUnderTest fleet, int runs, int pods, bool hangs)
    {
        string load = Load.Average;
        var named = new Samples();
        var whole = new Samples();
        var slowest = new Samples();
        var bare = new Samples();
        (int unnamed, int failed, int pretending, int others, int answers) = (0, 0, 0, 0, 0);
        for (int run = 0; run < runs; run++)
        {
            ServiceProcess silo = fleet.Silos[0];
            HashSet<string> held = await fleet.ClustersOfAsync(silo);
            var asker = new FleetAsker(fleet, pods);
            await ProveAsync(asker);
            asker = new FleetAsker(fleet, pods);
            bare.Add(await ListBareAsync([.. fleet.Members.Where(m => held.Contains(m.Options.Name))]));
            await silo.SignalAsync(hangs ? "STOP" : "KILL");
            await asker.AskAsync((elapsed, soFar) => IsOver(asker, elapsed, soFar));
            IReadOnlyList<FleetAnswer> lacking = asker.Lacking;
            FleetAnswer[] naming = [.. asker.Answers.Where(a => a.NotFresh.Any(held.Contains))];
            if (naming.Length > 0)
            {
                named.Add(naming.Min(static a => a.AnsweredAt));
            }
            else
            {
                unnamed++;
            }

            // The first whole answer to a question that was asked after the last one that got less than all.
            TimeSpan lastAsked = lacking.Count > 0 ? lacking[^1].AskedAt : TimeSpan.Zero;
            whole.Add(asker.Answers.Where(a => a.AskedAt > lastAsked).Min(static a => a.AnsweredAt));
            slowest.Add(asker.Answers.Max(static a => a.AnsweredAt - a.AskedAt));
            failed += asker.Failures.Count;
            pretending += asker.Pretending;
            others += lacking.SelectMany(static a => a.NotFresh).Where(c => !held.Contains(c)).Distinct(StringComparer.Ordinal).Count();
            answers += asker.Answers.Count;
            Progress($"{(hangs ? "hang" : "kill")} {run + 1}: {held.Count} clusters, named {(naming.Length > 0 ? naming.Min(static a => a.AnsweredAt).TotalMilliseconds : -1):f0} ms, whole {asker.Answers.Where(a => a.AskedAt > lastAsked).Min(static a => a.AnsweredAt).TotalMilliseconds:f0} ms");
            await ReplaceAsync(fleet, silo, pods);
        }

        if (runs == 0)
        {
            return;
        }

        var report = new Report(hangs ? "A silo hangs" : "A silo is killed", hangs ? "from SIGSTOP to" : "from the kill to", "runs", "median ms", "worst ms", "median against the bare list");
        report.Row("the first answer that says it does not cover clusters of the lost silo", named.Count, Show(named, s => s.Median), Show(named, s => s.Max), Show(named, s => s.Median / bare.Median));
        report.Row("the first whole answer, after which none lacked anything", whole.Count, Load.Text(whole.Median), Load.Text(whole.Max), Load.Text(whole.Median / bare.Median));
        report.Row("(slowest answer of each run)", slowest.Count, Load.Text(slowest.Median), Load.Text(slowest.Max), "");
        report.Row("(bare list: the pods of the clusters of that silo, read from the members all at once and discarded, just before)", bare.Count, Load.Text(bare.Median), Load.Text(bare.Max), "1");
        report.Print($"{Silos} silos and a gateway; {(hangs ? "SIGSTOP" : "`kill -9`")} of the oldest silo, then another one is started before the next run. {answers} answers: requests that failed {failed}, "
            + $"answers that claimed to cover all and did not {pretending}, clusters of other silos that an answer did not cover {others}, runs in which no answer lacked anything {unnamed}. "
            + About(fleet.Members.Count, pods, load));
    }

    private async Task StopAsync(FleetUnderTest fleet, int runs, int pods)
    {
        string load = Load.Average;
        var took = new Samples();
        var slowest = new Samples();
        (int failed, int lacking, int answers, int exitCodes) = (0, 0, 0, 0);
        for (int run = 0; run < runs; run++)
        {
            // As a rolling update does: the new one runs before the old one is asked to go.
            fleet.Silos.Add(await fleet.StartSiloAsync());
            ServiceProcess silo = fleet.Silos[0];
            var asker = new FleetAsker(fleet, pods);
            await ProveAsync(asker);
            asker = new FleetAsker(fleet, pods);
            long start = Stopwatch.GetTimestamp();
            await silo.SignalAsync("TERM");
            Task<TimeSpan> ended = EndedAsync(silo, start);
            await asker.AskAsync((elapsed, _) => ended.IsCompleted && elapsed > ended.Result + QuietFor);
            took.Add(await ended);
            slowest.Add(asker.Answers.Max(static a => a.AnsweredAt - a.AskedAt));
            failed += asker.Failures.Count;
            lacking += asker.Lacking.Count;
            answers += asker.Answers.Count;
            exitCodes += silo.ExitCode == 0 ? 0 : 1;
            Progress($"stop {run + 1}: {(await ended).TotalMilliseconds:f0} ms, {asker.Failures.Count} failed, {asker.Lacking.Count} lacking");
            fleet.Silos.Remove(silo);
            await silo.DisposeAsync();
            await UntilWholeAsync(fleet, pods);
        }

        if (runs == 0)
        {
            return;
        }

        var report = new Report("A silo is stopped in order", "what", "runs", "median", "worst", "sum", "bar");
        report.Row("SIGTERM → process has ended, ms", runs, Load.Text(took.Median), Load.Text(took.Max), "", "");
        report.Row("slowest answer of each run, ms", runs, Load.Text(slowest.Median), Load.Text(slowest.Max), "", "");
        report.Row($"requests that failed, of {answers + failed}", runs, "", "", failed, 0);
        report.Row("answers that lacked anything", runs, "", "", lacking, 0);
        report.Row("processes that ended with an error", runs, "", "", exitCodes, 0);
        report.Print($"{Silos} silos and a gateway; a fourth silo is started, then the oldest is sent SIGTERM; asked until {QuietFor.TotalSeconds:f0} s after its end. " + About(fleet.Members.Count, pods, load));
    }

    private async Task JoinAsync(int runs, int members, int pods)
    {
        string load = Load.Average;
        var running = new Samples();
        var first = new Samples();
        var last = new Samples();
        (int moved, int failed, int lacking, int answers, int unmoved) = (0, 0, 0, 0, 0);
        for (int run = 0; run < runs; run++)
        {
            FleetUnderTest fleet = await fleets.StartAsync(Silos - 1, members, pods);
            await fleet.UntilRowsAsync("SELECT count(*)::float8 FROM cluster_load WHERE load > 1000000", measured => measured == members);
            var asker = new FleetAsker(fleet, pods);
            await ProveAsync(asker);
            asker = new FleetAsker(fleet, pods);
            long start = Stopwatch.GetTimestamp();
            Task<Join> joining = JoinedAsync(fleet, start);
            await asker.AskAsync((_, _) => joining.IsCompleted);
            Join join = await joining;
            running.Add(join.Running);
            if (join.Clusters > 0)
            {
                first.Add(join.First - join.Running);
                last.Add(join.Last - join.Running);
            }
            else
            {
                unmoved++;
            }

            moved += join.Clusters;
            failed += asker.Failures.Count;
            lacking += asker.Lacking.Count;
            answers += asker.Answers.Count;
            Progress($"join {run + 1}: running {join.Running.TotalMilliseconds:f0} ms, {join.Clusters} clusters, first {join.First.TotalMilliseconds:f0} ms, last {join.Last.TotalMilliseconds:f0} ms, {asker.Failures.Count} failed, {asker.Lacking.Count} lacking");
            await fleets.EndAsync(fleet);
        }

        if (runs == 0)
        {
            return;
        }

        var report = new Report("A silo joins", "what", "runs", "median", "worst");
        report.Row("start of its process → it runs, ms", running.Count, Load.Text(running.Median), Load.Text(running.Max));
        report.Row("it runs → its first cluster, s", first.Count, Show(first, s => s.Median / 1000), Show(first, s => s.Max / 1000));
        report.Row("it runs → its last cluster, s", last.Count, Show(last, s => s.Median / 1000), Show(last, s => s.Max / 1000));
        report.Print($"A third silo is started beside two, once those know what each cluster costs; {(double)moved / runs:0.#} of {members} clusters moved to it in the mean, in {unmoved} runs none did. "
            + $"It is over when nothing has moved for {SettledFor.TotalSeconds:f0} s. Of {answers + failed} requests {failed} failed and {lacking} got less than all. "
            + About(members, pods, load));
    }

    /// <summary>Starts a silo and follows which clusters come to live on it.</summary>
    private static async Task<Join> JoinedAsync(FleetUnderTest fleet, long start)
    {
        HashSet<double> before = [.. await PortsAsync(fleet)];
        fleet.Silos.Add(await fleet.StartSiloAsync());
        TimeSpan running = Stopwatch.GetElapsedTime(start);
        var join = new Join(running, running, running, 0);
        TimeSpan since = running;
        while (Stopwatch.GetElapsedTime(start) is var now && now - since < SettledFor && now < SettledWithin)
        {
            int clusters = (await PortsAsync(fleet)).Count(port => !before.Contains(port));
            if (clusters != join.Clusters)
            {
                join = new Join(running, join.Clusters == 0 ? now : join.First, now, clusters);
                since = now;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, CancellationToken.None);
        }

        return join;
    }

    /// <summary>For each cluster, the port of the silo on which it lives.</summary>
    private static Task<double[]> PortsAsync(FleetUnderTest fleet) =>
        fleet.RowsAsync("SELECT substring(silo from ':([0-9]+)')::float8 FROM grain_directory WHERE grain_id LIKE 'cluster/%'");

    private static bool IsOver(FleetAsker asker, TimeSpan elapsed, IReadOnlyList<FleetAnswer> answers)
    {
        if (elapsed > Patience)
        {
            throw new TimeoutException($"After {elapsed} not all is covered: {string.Join(' ', asker.Lacking[^1].NotFresh)}.");
        }

        FleetAnswer? lacking = answers.LastOrDefault(a => !asker.IsWhole(a));
        TimeSpan since = lacking?.AnsweredAt ?? TimeSpan.Zero;
        return elapsed > (lacking is null ? ShowsWithin : since + QuietFor) && answers.Any(a => a.AskedAt > since);
    }

    /// <summary>The least that whoever takes over clusters has to do: read the lists of their pods.</summary>
    private static async Task<TimeSpan> ListBareAsync(SimulatedCluster[] members)
    {
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(members.Select(static async member =>
        {
            using var client = new HttpClient(ServiceHost.Trusting(member.CertificateAuthorityPem)) { Timeout = Patience };
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", member.AdminToken);
            using HttpResponseMessage answer = await client.GetAsync(new Uri(member.Url, "/api/v1/pods"), HttpCompletionOption.ResponseHeadersRead);
            answer.EnsureSuccessStatusCode();
            await answer.Content.CopyToAsync(Stream.Null);
        }));
        return Stopwatch.GetElapsedTime(start);
    }

    private static async Task ProveAsync(FleetAsker asker)
    {
        await asker.AskAsync(static (elapsed, _) => elapsed > TimeSpan.FromSeconds(1));
        if (asker.Lacking.Count + asker.Failures.Count > 0)
        {
            throw new InvalidOperationException($"Before anything has happened {asker.Lacking.Count} answers lack something, {asker.Failures.Count} requests fail: {string.Join(' ', asker.Failures.Take(3))}");
        }
    }

    private static async Task ReplaceAsync(FleetUnderTest fleet, ServiceProcess lost, int pods)
    {
        fleet.Silos.Remove(lost);
        await lost.DisposeAsync();
        fleet.Silos.Add(await fleet.StartSiloAsync());
        await UntilWholeAsync(fleet, pods);
    }

    private static async Task UntilWholeAsync(FleetUnderTest fleet, int pods)
    {
        long total = (long)fleet.Members.Count * pods;
        await fleet.UntilAsync("/v1/count/pods", a => a.GetProperty("total").GetInt64() == total && fleet.IsFresh(a));
    }

    private static async Task<TimeSpan> EndedAsync(ServiceProcess silo, long start)
    {
        await silo.ExitedAsync();
        return Stopwatch.GetElapsedTime(start);
    }

    private static string Show(Samples samples, Func<Samples, double> value) => samples.Count > 0 ? Load.Text(value(samples)) : "";

    private static void Progress(FormattableString text) => Console.Error.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    private readonly record struct Join(TimeSpan Running, TimeSpan First, TimeSpan Last, int Clusters);
}
