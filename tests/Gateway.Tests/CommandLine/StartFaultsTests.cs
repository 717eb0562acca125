using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using MultiCluster.Silo.CommandLine;

namespace MultiCluster.Gateway.Tests.CommandLine;

/// <summary>Starts that cannot succeed: one sentence on what to do, an exit code, and no stack.</summary>
public sealed partial class StartFaultsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mc-start-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("""{"Health":{"ProbeInterval":"-00:00:05"}}""", "Health:ProbeInterval must lie between")]
    [InlineData("""{"Mirror":{"ByteBudget":"much"}}""", "Mirror:ByteBudget")]
    [InlineData("""{"Mirror":{"PageSize":0}}""", "Mirror:PageSize must lie between 1 and 10000; it is 0.")]
    [InlineData("""{"Client":{"RequestTimeout":"-00:00:01"}}""", "Client:RequestTimeout must lie between 00:00:00.1000000 and 01:00:00")]
    [InlineData("""{"Health":{"ProbeIntervall":"00:00:05"}}""", "There is no setting Health:ProbeIntervall; the settings of Health are CheckTimeout")]
    [InlineData("""{"Client":{"MaxHeldBytesPerCluster":1048576}}""", "Client:MaxHeldBytesPerCluster must be at least Client:MaxResponseBytes")]
    [InlineData("""{"Client":{"MaxProbeBytes":1}}""", "Client:MaxProbeBytes must lie between 4096 and 16777216; it is 1.")]
    [InlineData("""{"Logging":{"LogLevel":{"Default":"Loud"}}}""", "Logging:LogLevel:Default is 'Loud', and must be one of Trace, Debug, Information, Warning, Error, Critical, None.")]
    [InlineData("""{"Logging":{"Console":{"LogLevel":{"MultiCluster":"Quiet"}}}}""", "Logging:Console:LogLevel:MultiCluster is 'Quiet'")]
    [InlineData("""{"Logging":{"Console":{"FormatterName":"xml"}}}""", "Logging:Console:FormatterName is 'xml', and must be one of simple, json.")]
    [InlineData("""{"Service":{"Names":["a b"]}}""", "'a b' is neither a DNS name nor an IP address")]
    [InlineData("""{"Helth":{}}""", "There is no section 'Helth'")]
    [InlineData("""{"Health":""", "is not JSON")]
    public async Task Serve_WrongConfiguration_SaysWhichSetting(string json, string message)
    {
        string file = Path.Combine(_folder.FullName, "settings.json");
        await File.WriteAllTextAsync(file, json);

        (int code, string error) = await RunAsync("--config", file);

        Assert.Equal(1, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.DoesNotMatch(StackLine(), error);
    }

    [Theory]
    [InlineData("bad..name")]
    [InlineData(".")]
    [InlineData("*")]
    [InlineData("a\nb")]
    [InlineData("https://mc.example.com")]
    public async Task Serve_NameThatIsNone_SaysWhichAndWhere(string name)
    {
        (int code, string error) = await RunAsync("--name", "mc.example.com", "--name", name);

        Assert.Equal(1, code);
        Assert.Equal($"'{name}' is neither a DNS name nor an IP address, so it cannot go into the serving certificate. Correct it or leave it out (--name, Service:Names).\n", error);
    }

    [Theory]
    [InlineData("--listen")]
    [InlineData("--listen-metrics")]
    public async Task Serve_PortTaken_NamesItAndTheOption(string option)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();

        (int code, string error) = await RunAsync(option, taken.LocalEndpoint.ToString()!);

        Assert.Equal(1, code);
        Assert.Equal($"{taken.LocalEndpoint} is taken by another process; choose another with {option} (port 0 takes a free one).\n", error);
    }

    [FullDiskFact]
    public async Task Serve_DiskIsFull_SaysSo_AndLeavesNoHalfFile()
    {
        string disk = Path.Combine(_folder.FullName, "disk");
        Directory.CreateDirectory(disk);
        await MountAsync("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk);
        try
        {
            await File.WriteAllBytesAsync(Path.Combine(disk, "fill"), new byte[8 * 1024]);

            (int code, string error) = await RunAsync("--data", Path.Combine(disk, "data"));

            Assert.Equal(1, code);
            Assert.Contains("cannot be written (No space left on device", error, StringComparison.Ordinal);
            Assert.Contains("free space or correct its rights, or name another with --data", error, StringComparison.Ordinal);
            Assert.DoesNotMatch(StackLine(), error);
            Assert.Empty(Directory.GetFiles(Path.Combine(disk, "data"), "*.tmp"));
        }
        finally
        {
            await MountAsync("umount", disk);
        }
    }

    [Fact]
    public async Task Serve_AddressOfAnotherMachine_SaysSo()
    {
        // 192.0.2.0/24 is set aside for documentation; no machine has it.
        (int code, string error) = await RunAsync("--listen", "192.0.2.1:8443");

        Assert.Equal(1, code);
        Assert.StartsWith("192.0.2.1 is no address of this machine", error, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Error)> RunAsync(params string[] wrong)
    {
        using var output = new StringWriter();
        using var error = new StringWriter { NewLine = "\n" };
        string[] sound = ["--data", Path.Combine(_folder.FullName, "data"), "--listen", "127.0.0.1:0", "--listen-metrics", "127.0.0.1:0"];
        string[] arguments = [.. sound.Chunk(2).Where(pair => !wrong.Contains(pair[0])).SelectMany(pair => pair), .. wrong];
        int code = await ServiceCommand.Create().Parse(arguments)
            .InvokeAsync(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false })
            .WaitAsync(TimeSpan.FromSeconds(60));
        return (code, error.ToString());
    }

    [GeneratedRegex(@"^\s+at ", RegexOptions.Multiline)]
    private static partial Regex StackLine();

    private static async Task MountAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>Runs where a small disk can be mounted to be filled.</summary>
    private sealed class FullDiskFactAttribute : FactAttribute
    {
        public FullDiskFactAttribute() =>
            Skip = OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess && File.Exists("/usr/bin/mount") && CanMount() ? null : "Only root on Linux can mount a disk to fill.";

        // In a container root may be refused as well.
        private static bool CanMount()
        {
            DirectoryInfo probe = Directory.CreateTempSubdirectory("mc-mount-");
            using Process mount = Process.Start(new ProcessStartInfo("mount", ["-t", "tmpfs", "-o", "size=4k", "tmpfs", probe.FullName]) { RedirectStandardError = true, UseShellExecute = false })!;
            mount.WaitForExit();
            bool can = mount.ExitCode == 0;
            if (can)
            {
                using Process umount = Process.Start("umount", probe.FullName);
                umount.WaitForExit();
            }

            probe.Delete();
            return can;
        }
    }
}
