using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using MultiCluster.TestSupport;

namespace MultiCluster.Cluster.Tests;

/// <summary>One process of the service, started as an operator starts it, and everything it has printed.</summary>
internal sealed partial class ServiceProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(120);

    private readonly Process _process;
    private readonly DirectoryInfo _data;
    private readonly StringBuilder _printed = new();
    private readonly TaskCompletionSource _running = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private bool _isDisposed;

    private ServiceProcess(string name, Process process, DirectoryInfo data)
    {
        Name = name;
        _process = process;
        _data = data;
        process.OutputDataReceived += (_, e) => Hear(e.Data);
        process.ErrorDataReceived += (_, e) => Hear(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Name { get; }

    public string DataDirectory => _data.FullName;

    public Uri Api => new(ApiLine().Match(Printed).Groups[1].Value);

    public Uri Operations => new(HealthLine().Match(Printed).Groups[1].Value);

    public string Printed
    {
        get
        {
            lock (_printed)
            {
                return _printed.ToString();
            }
        }
    }

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>Starts it and waits until it says that it runs.</summary>
    public static async Task<ServiceProcess> StartAsync(string name, IReadOnlyDictionary<string, string> settings)
    {
        ServiceProcess process = await LaunchAsync(name, settings);
        await process.RunningAsync();
        return process;
    }

    /// <summary>Starts it; whether it will run is not known yet.</summary>
    public static async Task<ServiceProcess> LaunchAsync(string name, IReadOnlyDictionary<string, string> settings, params string[] arguments)
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory($"mc-{name}-");
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "MultiCluster.Silo.dll"), .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["MULTICLUSTER_Service__DataDirectory"] = data.FullName;
        start.Environment["MULTICLUSTER_Service__Listen"] = "127.0.0.1:0";
        start.Environment["MULTICLUSTER_Service__ListenMetrics"] = "127.0.0.1:0";
        start.Environment["MULTICLUSTER_SiloNetwork__ListenSilo"] = "127.0.0.1:0";
        start.Environment["MULTICLUSTER_SiloNetwork__ListenGateway"] = "127.0.0.1:0";
        foreach ((string key, string value) in settings)
        {
            start.Environment[$"MULTICLUSTER_{key.Replace(":", "__", StringComparison.Ordinal)}"] = value;
        }

        return new ServiceProcess(name, await ChildProcesses.StartAsync(start), data);
    }

    public Task RunningAsync() => WithPrintedAsync(_running.Task);

    public Task SignalAsync(string signal) => _process.SignalAsync(signal);

    public Task ExitedAsync() => WithPrintedAsync(_process.WaitForExitAsync());

    /// <summary>Ends it, where it still runs, and removes what it kept; once.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync().WaitAsync(StartDeadline);
        }

        _process.Dispose();
        _data.Delete(recursive: true);
    }

    private async Task WithPrintedAsync(Task task)
    {
        try
        {
            await task.WaitAsync(StartDeadline);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{Name} did not do so in time; it printed: {Printed}", e);
        }
    }

    private void Hear(string? line)
    {
        if (line is null)
        {
            if (!_running.Task.IsCompleted)
            {
                _running.TrySetException(new InvalidOperationException($"{Name} ended; it printed: {Printed}"));
            }

            return;
        }

        lock (_printed)
        {
            _printed.AppendLine(line);
        }

        if (HealthLine().IsMatch(line))
        {
            _running.TrySetResult();
        }
    }

    [GeneratedRegex(@"^\s*API\s+(https://\S+)", RegexOptions.Multiline, 1000)]
    private static partial Regex ApiLine();

    [GeneratedRegex(@"^\s*health\s+(http://\S+)", RegexOptions.Multiline, 1000)]
    private static partial Regex HealthLine();
}
