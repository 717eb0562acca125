using System.Diagnostics;
using MultiCluster.Simulator.Controllers;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Simulator.Tests.Kubectl;

/// <summary>What a run of kubectl wrote and how it ended.</summary>
internal sealed record KubectlAnswer(int ExitCode, string Output, string Error);

/// <summary>One simulated cluster with two nodes, and kubectl with a home of its own that talks to it.</summary>
public sealed class KubectlCluster : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private readonly string _home = Directory.CreateTempSubdirectory("mc-kubectl-").FullName;
    private SimulatedCluster? _cluster;

    internal SimulatedCluster Cluster => _cluster ?? throw new InvalidOperationException("The cluster is not started.");

    public async Task InitializeAsync()
    {
        _cluster = await SimulatedCluster.StartAsync(new SimulatedClusterOptions
        {
            Controllers = true,
            ControllerSettings = new ControllerOptions { PodStartDelay = TimeSpan.FromMilliseconds(50), PodStopDelay = TimeSpan.FromMilliseconds(50), PodRunTime = TimeSpan.FromMilliseconds(100) },
        });
        foreach (string node in (string[])["node-a", "node-b"])
        {
            _cluster.Objects.Create($$$$"""
                {"apiVersion":"v1","kind":"Node","metadata":{"name":"{{{{node}}}}","labels":{"kubernetes.io/hostname":"{{{{node}}}}"}},"spec":{}}
                """);
            _cluster.Objects.Update("v1", "Node", null, node, n => n["status"] = System.Text.Json.Nodes.JsonNode.Parse("""
                {"capacity":{"cpu":"4","memory":"8Gi","pods":"110"},"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"},
                 "addresses":[{"type":"InternalIP","address":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"}],
                 "nodeInfo":{"kubeletVersion":"v1.32.13","osImage":"simulated","kernelVersion":"6.1","containerRuntimeVersion":"simulated://1","architecture":"amd64","operatingSystem":"linux"}}
                """), "status");
            _cluster.Objects.Update("v1", "Node", null, node, n => n["spec"]!.AsObject().Remove("taints"));
        }

        await File.WriteAllTextAsync(Path.Combine(_home, "config"), _cluster.KubeconfigYaml());
        await File.WriteAllTextAsync(Path.Combine(_home, "reader"), _cluster.KubeconfigYaml(_cluster.ReaderToken));
    }

    public async Task DisposeAsync()
    {
        await Cluster.DisposeAsync();
        Directory.Delete(_home, recursive: true);
    }

    /// <summary>Writes a manifest for <c>-f</c>.</summary>
    internal string Manifest(string name, string yaml)
    {
        string path = Path.Combine(_home, name + ".yaml");
        File.WriteAllText(path, yaml);
        return path;
    }

    /// <summary>Runs kubectl and expects it to succeed.</summary>
    internal async Task<string> OkAsync(params string[] arguments)
    {
        KubectlAnswer answer = await RunAsync(arguments);
        Assert.True(answer.ExitCode == 0, $"kubectl {string.Join(' ', arguments)} ended with {answer.ExitCode}:\n{answer.Error}{answer.Output}");
        return answer.Output;
    }

    internal Task<KubectlAnswer> RunAsync(params string[] arguments) => RunAsync("config", arguments);

    internal Task<KubectlAnswer> RunAsReaderAsync(params string[] arguments) => RunAsync("reader", arguments);

    private async Task<KubectlAnswer> RunAsync(string kubeconfig, string[] arguments)
    {
        using Process process = Start(kubeconfig, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync().WaitAsync(Deadline);
        }
        catch (TimeoutException late)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"kubectl {string.Join(' ', arguments)} did not end: {await output}{await error}", late);
        }

        return new KubectlAnswer(process.ExitCode, await output, await error);
    }

    /// <summary>Starts a kubectl that the test reads line by line and ends itself.</summary>
    internal Process Start(string kubeconfig, string[] arguments)
    {
        var start = new ProcessStartInfo("kubectl") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = _home };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["HOME"] = _home;
        start.Environment["KUBECONFIG"] = Path.Combine(_home, kubeconfig);
        start.Environment["KUBECACHEDIR"] = Path.Combine(_home, "cache");
        start.Environment["NO_PROXY"] = "127.0.0.1";
        return Process.Start(start) ?? throw new InvalidOperationException("kubectl did not start.");
    }
}
