using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Tests.Kubectl;

/// <summary>A test that needs kubectl of some version; it is skipped, with a word why, where there is none or an older one.</summary>
/// <remarks>kubectl is asked once per test run, with at most 20 seconds.</remarks>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class KubectlFactAttribute : FactAttribute
{
    /// <summary>What Debian ships; the oldest that these tests are run with.</summary>
    private const string Oldest = "1.20";

    private static readonly Lazy<Version?> Installed = new(Ask);

    /// <summary>Skips the test below a version.</summary>
    /// <param name="since">The first version that has the command or option under test, as major.minor.</param>
    public KubectlFactAttribute(string since = Oldest)
    {
        if (Installed.Value is not { } installed)
        {
            Skip = "'kubectl version --client' does not work here. Run .ci/install-test-clients to run this test.";
        }
        else if (installed < Version.Parse(since))
        {
            Skip = $"This test needs kubectl {since} or newer; the one in PATH is {installed}.";
        }
    }

    private static Version? Ask()
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("kubectl", "version --client -o json")
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            if (!process.WaitForExit(TimeSpan.FromSeconds(60)))
            {
                process.Kill(entireProcessTree: true);
                return null;
            }

            return process.ExitCode == 0 ? Parse(output.GetAwaiter().GetResult()) : null;
        }
        catch (Exception e) when (e is Win32Exception or JsonException)
        {
            return null;   // there is no such program, or it is not the kubectl that we know
        }
    }

    private static Version? Parse(string json)
    {
        JsonNode? version = JsonNode.Parse(json)?["clientVersion"];
        // The minor version of some builds ends in a plus sign.
        return int.TryParse(version?["major"]?.GetValue<string>(), CultureInfo.InvariantCulture, out int major)
            && int.TryParse(version?["minor"]?.GetValue<string>().TrimEnd('+'), CultureInfo.InvariantCulture, out int minor)
            ? new Version(major, minor)
            : null;
    }
}
