using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Benchmarks.Mirror;

namespace MultiCluster.Benchmarks.Start;

/// <summary>From the start of the demo's process to its first answers, beside the smallest web server's.</summary>
internal static class StartToAnswer
{
    /// <summary>Argument that makes this program the smallest web server.</summary>
    public const string Command = "serve-hello";

    private const int DemoClusters = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(5);

    /// <param name="args">[runs] [debug, release, or the path of a published MultiCluster.Silo.dll]...</param>
    public static async Task RunAsync(string[] args)
    {
        int runs = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 5;
        string[] configurations = args.Length > 1 ? args[1..] : [.. new[] { "debug", "release" }.Where(c => File.Exists(DemoOf(c)))];
        string load = Load.Average;
        var report = new Report("Start to first answer", "what", "runs", "median ms", "fastest", "slowest", "median against hello");
        Samples hello = new();
        Dictionary<string, DemoTimes> demos = configurations.ToDictionary(c => c, _ => new DemoTimes());
        await HelloAsync();   // the runtime's files are in memory
        for (int i = 0; i < runs; i++)
        {
            hello.Add(await HelloAsync());
            foreach (string configuration in configurations)
            {
                await DemoAsync(DemoOf(configuration), demos[configuration]);
            }
        }

        Add("hello: a bare Kestrel without TLS answers", hello);
        foreach ((string build, DemoTimes times) in demos)
        {
            string configuration = build.EndsWith(".dll", StringComparison.Ordinal) ? "published" : build;
            Add($"demo ({configuration}): the port takes connections", times.Listening);
            Add($"demo ({configuration}): first answer of /v1/clusters", times.Answer);
            Add($"demo ({configuration}): /v1/clusters has all three", times.Clusters);
            Add($"demo ({configuration}): a list of pods that covers all three", times.Pods);
            Add($"demo ({configuration}): processor time until then", times.Cpu);
        }

        report.Print($"From the start of the process `dotnet MultiCluster.Silo.dll demo`, after the build; the client polls every {Beat.TotalMilliseconds:f0} ms. Load average before {load}, after {Load.Average}.");

        void Add(string name, Samples times) => report.Row(name, times.Count, Load.Text(times.Median), Load.Text(times.At(0)), Load.Text(times.Max), $"{times.Median / hello.Median:f1}");
    }

    /// <summary>The smallest web server: answers one word, until its input ends.</summary>
    public static async Task ServeHelloAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        await using WebApplication app = builder.Build();
        app.Run(static context => context.Response.WriteAsync("hello"));
        await app.StartAsync();
        Console.WriteLine(app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());
        await Console.In.ReadToEndAsync();
    }

    private static async Task<TimeSpan> HelloAsync()
    {
        long start = Stopwatch.GetTimestamp();
        using Process process = Process.Start(ThisProgram.StartInfo(Command))!;
        string url = await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The smallest web server did not start.");
        using var http = new HttpClient();
        if (await http.GetStringAsync(new Uri(url)) != "hello")
        {
            throw new InvalidOperationException("The smallest web server answers something else.");
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return elapsed;
    }

    private static async Task DemoAsync(string dll, DemoTimes times)
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory("mc-start-");
        int port = FreePort();
        long start = Stopwatch.GetTimestamp();
        using var process = Process.Start(new ProcessStartInfo(
            "dotnet", [dll, "demo", "--data", data.FullName, "--listen", $"127.0.0.1:{port}", "--listen-metrics", "off"])
        { RedirectStandardOutput = true, UseShellExecute = false })!;
        Task reading = process.StandardOutput.ReadToEndAsync();
        try
        {
            await UntilAsync(start, process, async () =>
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync(IPAddress.Loopback, port);
                return true;
            });
            times.Listening.Add(Stopwatch.GetElapsedTime(start));
            using var http = new HttpClient(ServiceHost.Trusting(await File.ReadAllTextAsync(Path.Combine(data.FullName, "ca.crt")))) { BaseAddress = new Uri($"https://127.0.0.1:{port}") };
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(Path.Combine(data.FullName, "admin-token"))).Trim());
            (await http.GetAsync(new Uri("/v1/clusters", UriKind.Relative))).EnsureSuccessStatusCode();
            times.Answer.Add(Stopwatch.GetElapsedTime(start));
            await UntilAsync(start, process, async () => (await AskAsync(http, "/v1/clusters")).GetProperty("items").GetArrayLength() == DemoClusters);
            times.Clusters.Add(Stopwatch.GetElapsedTime(start));
            await UntilAsync(start, process, async () =>
            {
                JsonElement page = await AskAsync(http, "/v1/resources/pods?limit=500");
                JsonElement.ArrayEnumerator coverage = page.GetProperty("coverage").EnumerateArray();
                return coverage.Count() == DemoClusters && coverage.All(static c => c.GetProperty("state").GetString() == "ok") && page.GetProperty("items").GetArrayLength() > 0;
            });
            times.Pods.Add(Stopwatch.GetElapsedTime(start));
            times.Cpu.Add(process.TotalProcessorTime);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            await reading;
            data.Delete(recursive: true);
        }
    }

    private static async Task<JsonElement> AskAsync(HttpClient http, string path)
    {
        using HttpResponseMessage response = await http.GetAsync(new Uri(path, UriKind.Relative));
        response.EnsureSuccessStatusCode();
        using JsonDocument document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        return document.RootElement.Clone();
    }

    private static async Task UntilAsync(long start, Process process, Func<Task<bool>> wish)
    {
        while (true)
        {
            try
            {
                if (await wish())
                {
                    return;
                }
            }
            catch (Exception e) when (e is SocketException or HttpRequestException && !process.HasExited && Stopwatch.GetElapsedTime(start) < Patience)
            {
                // It does not listen yet.
            }

            if (process.HasExited || Stopwatch.GetElapsedTime(start) > Patience)
            {
                throw new InvalidOperationException("The demo did not come up.");
            }

            await Task.Delay(Beat, TimeProvider.System, CancellationToken.None);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string DemoOf(string configuration) => configuration.EndsWith(".dll", StringComparison.Ordinal)
        ? configuration
        : Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "Silo", configuration, "MultiCluster.Silo.dll"));

    private sealed class DemoTimes
    {
        public Samples Listening { get; } = new();

        public Samples Answer { get; } = new();

        public Samples Clusters { get; } = new();

        public Samples Pods { get; } = new();

        public Samples Cpu { get; } = new();
    }
}
