using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MultiCluster.Silo.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Gateway.Tests.CommandLine;

/// <summary>What a process writes to its output: whoever reads the logs of many must know when each line was written.</summary>
public sealed class LogTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("multicluster-log-");

    [Fact]
    public async Task Serve_ByDefault_LinesBeginWithTheirTimeInUtc()
    {
        string line = await FirstLineAsync(format: null);
        string time = line[..line.IndexOf(' ', StringComparison.Ordinal)];
        AssertIsNow(DateTime.ParseExact(time, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal));
    }

    [Fact]
    public async Task Serve_AsJson_EveryLineIsADocument()
    {
        JsonElement line = JsonDocument.Parse(await FirstLineAsync(format: "json")).RootElement;
        AssertIsNow(DateTime.Parse(line.GetProperty("Timestamp").GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal));
        Assert.Equal(("Information", "MultiCluster.Grains.Fleet.FleetGrain"), (line.GetProperty("LogLevel").GetString(), line.GetProperty("Category").GetString()));
        Assert.StartsWith("Fleet: loaded", line.GetProperty("Message").GetString(), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static void AssertIsNow(DateTime time) =>
        Assert.InRange(TimeProvider.System.GetUtcNow().UtcDateTime - time, TimeSpan.FromSeconds(-1), TimeSpan.FromMinutes(2));

    /// <summary>The line in which the fleet says that it is there.</summary>
    private async Task<string> FirstLineAsync(string? format)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!.EndsWith("dotnet", StringComparison.Ordinal) ? Environment.ProcessPath : "dotnet")
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
            ArgumentList = { typeof(Service).Assembly.Location, "--data", Path.Combine(_folder.FullName, "data"), "--listen", "127.0.0.1:0", "--listen-metrics", "off" },
        };
        if (format is not null)
        {
            start.Environment["MULTICLUSTER_Logging__Console__FormatterName"] = format;
        }

        using Process process = await ChildProcesses.StartAsync(start);
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            List<string> lines = [];
            while (await process.StandardOutput.ReadLineAsync(patience.Token) is { } line)
            {
                lines.Add(line);
                if (line.Contains("FleetGrain", StringComparison.Ordinal))
                {
                    return line;
                }
            }

            throw new InvalidOperationException($"It ended without that: {string.Join('\n', lines)}");
        }
        finally
        {
            await process.SignalAsync("KILL");
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        }
    }
}
