using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;

namespace MultiCluster.Benchmarks.Hosting;

/// <summary>The whole service as a process of its own, with a data directory of its own; ended when it is disposed.</summary>
internal sealed class SiloProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(50);

    private readonly Process _process;
    private readonly Task _reading;
    private readonly DirectoryInfo _data;

    private SiloProcess(Process process, DirectoryInfo data, HttpClient http)
    {
        _process = process;
        _reading = process.StandardOutput.ReadToEndAsync();
        _data = data;
        Http = http;
    }

    public HttpClient Http { get; private set; }

    /// <summary>Starts the build of a configuration, or a DLL, and waits for its first answer.</summary>
    public static async Task<SiloProcess> StartAsync(string build = "release")
    {
        string path = build.EndsWith(".dll", StringComparison.Ordinal)
            ? build
            : Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "Silo", build, "MultiCluster.Silo.dll"));
        DirectoryInfo data = Directory.CreateTempSubdirectory("mc-bench-");
        int port = FreePorts.Next();
        Process process = Process.Start(
            new ProcessStartInfo("dotnet", [path, "--data", data.FullName, "--listen", $"127.0.0.1:{port}", "--listen-metrics", "off"])
            {
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
        var silo = new SiloProcess(process, data, new HttpClient());
        try
        {
            string token = Path.Combine(data.FullName, "admin-token");
            await silo.UntilAsync("listening", async () =>
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync(IPAddress.Loopback, port);
                return File.Exists(token);
            });
            silo.Http = new HttpClient(ServiceHost.Trusting(await File.ReadAllTextAsync(Path.Combine(data.FullName, "ca.crt")))) { BaseAddress = new Uri($"https://127.0.0.1:{port}") };
            silo.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(token)).Trim());
            await silo.AskAsync("/v1/clusters");
            return silo;
        }
        catch
        {
            await silo.DisposeAsync();
            throw;
        }
    }

    /// <summary>Registers the only cluster and waits until all its pods are mirrored.</summary>
    public async Task RegisterAsync(ClusterAddress cluster, int pods)
    {
        using HttpResponseMessage answer = await Http.PostAsJsonAsync(
            new Uri("/v1/clusters", UriKind.Relative), new { name = cluster.Name, server = cluster.Url.AbsoluteUri, certificateAuthority = cluster.AuthorityPem, token = cluster.Token });
        answer.EnsureSuccessStatusCode();
        await UntilAsync($"mirroring {pods} pods", async () =>
        {
            JsonElement count = await AskAsync($"/v1/count/pods");
            return count.GetProperty("coverage").EnumerateArray().All(static c => c.GetProperty("state").GetString() == "ok") && count.GetProperty("total").GetInt64() == pods;
        });
    }

    /// <summary>Asks for JSON.</summary>
    public async Task<JsonElement> AskAsync(string path)
    {
        using HttpResponseMessage response = await Http.GetAsync(new Uri(path, UriKind.Relative));
        response.EnsureSuccessStatusCode();
        using JsonDocument document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        return document.RootElement.Clone();
    }

    /// <summary>Processor time used so far.</summary>
    public TimeSpan CpuTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>A figure of /proc/PID/status in bytes, such as <c>VmRSS</c>.</summary>
    public long StatusBytes(string name)
    {
        string line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith(name + ":", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(name.Length + 1).TrimEnd("kB").Trim(), CultureInfo.InvariantCulture) * 1024;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        await _reading;
        _process.Dispose();
        _data.Delete(recursive: true);
    }

    private async Task UntilAsync(string what, Func<Task<bool>> wish)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                if (await wish())
                {
                    return;
                }
            }
            catch (Exception e) when (e is SocketException or HttpRequestException { StatusCode: null } && !_process.HasExited && Stopwatch.GetElapsedTime(start) < Patience)
            {
                // Not there yet.
            }

            if (_process.HasExited || Stopwatch.GetElapsedTime(start) > Patience)
            {
                throw new InvalidOperationException($"The service did not get as far as {what}.");
            }

            await Task.Delay(Beat, TimeProvider.System, CancellationToken.None);
        }
    }
}
