using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace MultiCluster.TestSupport;

/// <summary>A PostgreSQL of the tests' own on loopback, with its data in a temporary folder; started once per collection, ended with it.</summary>
/// <remarks>
/// Where <c>PGHOST</c> is set, that server is used instead (with <c>PGPORT</c>, <c>PGUSER</c> and <c>PGPASSWORD</c>), and is never stopped.
/// The server ends with the process that started it, even when that is killed.
/// </remarks>
public sealed class PostgresServer : IAsyncLifetime
{
    private static readonly string[] Programs = ["initdb", "postgres", "pg_isready"];
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);

    private DirectoryInfo? _folder;
    private Process? _process;

    /// <summary>Where PostgreSQL's programs are; null where it is not installed.</summary>
    public static string? ProgramFolder { get; } = FindPrograms();

    /// <summary>Why tests with PostgreSQL are skipped here; null where they can run.</summary>
    public static string? SkipReason { get; } =
        ProgramFolder is not null || IsGiven ? null : "There is no PostgreSQL here. Install it (Debian: postgresql), or set PGHOST, PGUSER and PGPASSWORD, to run this test.";

    private static bool IsGiven => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("PGHOST"));

    /// <summary>Address of the server.</summary>
    public string Host { get; private set; } = "127.0.0.1";

    /// <summary>Port of the server.</summary>
    public int Port { get; private set; }

    /// <summary>A user that may create databases.</summary>
    public string User { get; private set; } = "postgres";

    /// <summary>Its password; empty where the server asks for none.</summary>
    public string Password { get; private set; } = "";

    /// <summary>Whether the tests may stop and start the server.</summary>
    public bool IsOwn => !IsGiven;

    /// <summary>Connection string of a database on this server.</summary>
    public string ConnectionString(string database) =>
        string.Create(CultureInfo.InvariantCulture, $"Host={Host};Port={Port};Username={User};Database={database};Include Error Detail=true") + (Password.Length > 0 ? $";Password='{Password.Replace("'", "''", StringComparison.Ordinal)}'" : "");

    /// <inheritdoc/>
    public async Task InitializeAsync()
    {
        if (SkipReason is not null)
        {
            return;
        }

        if (IsGiven)
        {
            Host = Environment.GetEnvironmentVariable("PGHOST")!;
            Port = int.Parse(Environment.GetEnvironmentVariable("PGPORT") ?? "5432", CultureInfo.InvariantCulture);
            User = Environment.GetEnvironmentVariable("PGUSER") ?? "postgres";
            Password = Environment.GetEnvironmentVariable("PGPASSWORD") ?? "";
            return;
        }

        _folder = Directory.CreateTempSubdirectory("multicluster-postgres-");
        Port = FreePort();
        if (Environment.UserName == "root")
        {
            await RunAsync("chown", "postgres", _folder.FullName);
        }

        // A password for the port, so that wrong ones can be tried; trust on the socket, which only the owner of the folder reaches.
        Password = "a;b'c d=\"e";
        string passwordFile = Path.Combine(Path.GetTempPath(), $"multicluster-postgres-{Guid.NewGuid():N}");
        await File.WriteAllTextAsync(passwordFile, Password);
        try
        {
            await RunAsync("chmod", "644", passwordFile);
            await RunAsUserAsync("initdb", "-D", Data, "-U", User, "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", passwordFile, "-E", "UTF8", "--no-sync", "--no-instructions");
        }
        finally
        {
            File.Delete(passwordFile);
        }

        await StartAsync();
    }

    /// <summary>Starts the server that was stopped, on the same port with the same data.</summary>
    public async Task StartAsync()
    {
        string[] arguments =
        [
            "-D", Data, "-k", Data, "-p", Port.ToString(CultureInfo.InvariantCulture),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB",
        ];
        _process = await ChildProcesses.StartAsync(Quiet(Path.Combine(ProgramFolder!, "postgres"), arguments), "QUIT", User);
        _process.OutputDataReceived += static (_, _) => { };
        _process.ErrorDataReceived += static (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        long started = Stopwatch.GetTimestamp();
        while (!await IsReadyAsync())
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(started) > StartDeadline)
            {
                throw new InvalidOperationException($"PostgreSQL did not start on port {Port}.");
            }
        }
    }

    /// <summary>Stops the server at once, as by a crash (<paramref name="immediately"/>) or with open connections closed in order.</summary>
    public async Task StopAsync(bool immediately = false)
    {
        if (_process is { HasExited: false } process)
        {
            await process.SignalAsync(immediately ? "QUIT" : "INT");
            await process.WaitForExitAsync().WaitAsync(StartDeadline);
        }

        _process?.Dispose();
        _process = null;
    }

    /// <inheritdoc/>
    public async Task DisposeAsync()
    {
        await StopAsync(immediately: true);
        _folder?.Delete(recursive: true);
    }

    private string Data => Path.Combine(_folder!.FullName, "data");

    private async Task<bool> IsReadyAsync()
    {
        using Process process = Process.Start(Quiet(Path.Combine(ProgramFolder!, "pg_isready"), ["-h", Host, "-p", Port.ToString(CultureInfo.InvariantCulture), "-t", "5"]))!;
        await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync()).WaitAsync(StartDeadline);
        await process.WaitForExitAsync().WaitAsync(StartDeadline);
        return process.ExitCode == 0;
    }

    // PostgreSQL refuses to run as root.
    private Task RunAsUserAsync(string program, params string[] arguments) =>
        RunAsync(ChildProcesses.StartAsync(Quiet(Path.Combine(ProgramFolder!, program), arguments), "KILL", User), program);

    private static Task RunAsync(string program, params string[] arguments) => RunAsync(Task.FromResult(Process.Start(Quiet(program, arguments))!), program);

    private static async Task RunAsync(Task<Process> starting, string program)
    {
        using Process process = await starting;
        string[] said = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync()).WaitAsync(StartDeadline);
        await process.WaitForExitAsync().WaitAsync(StartDeadline);
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {string.Join(' ', said)}");
        }
    }

    private static ProcessStartInfo Quiet(string program, string[] arguments) => new(program, arguments)
    {
        UseShellExecute = false,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        WorkingDirectory = Path.GetTempPath(),
    };

    private static string? FindPrograms()
    {
        string[] folders =
        [
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator),
            .. Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").OrderDescending(StringComparer.Ordinal).Select(d => Path.Combine(d, "bin")) : [],
        ];
        return folders.FirstOrDefault(f => Programs.All(p => File.Exists(Path.Combine(f, p))));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>A test that needs PostgreSQL; skipped, with a word why, where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresFactAttribute : FactAttribute
{
    /// <summary>Looks whether there is one.</summary>
    public PostgresFactAttribute() => Skip = PostgresServer.SkipReason;
}

/// <summary>A test with cases that needs PostgreSQL; skipped, with a word why, where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresTheoryAttribute : TheoryAttribute
{
    /// <summary>Looks whether there is one.</summary>
    public PostgresTheoryAttribute() => Skip = PostgresServer.SkipReason;
}
