using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace MultiCluster.Deploy.Tests.Support;

/// <summary>The real kubectl.</summary>
internal static class Kubectl
{
    /// <summary>Succeeds where kubectl works; for the attribute that skips tests.</summary>
    public const string Trial = "kustomize --help";

    private static readonly ConcurrentDictionary<string, Task<string>> Rendered = new(StringComparer.Ordinal);

    /// <summary>What <c>kubectl kustomize</c> makes of a folder below <c>deploy</c>.</summary>
    public static async Task<List<JsonObject>> RenderAsync(string folder) =>
        Yaml.ReadAll(await Rendered.GetOrAdd(folder, f => RunAsync("kustomize", Path.Combine(Repository.Deploy, f))));

    /// <summary>Runs kubectl, which must succeed.</summary>
    public static async Task<string> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("kubectl", arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        })!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(40));
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        Assert.True(process.ExitCode == 0, $"kubectl {string.Join(' ', arguments)} ended with {process.ExitCode}: {await error}");
        return await output;
    }
}
