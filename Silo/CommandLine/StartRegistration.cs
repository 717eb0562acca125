using System.Collections.Immutable;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Silo.Hosting;
using Orleans;

namespace MultiCluster.Silo.CommandLine;

/// <summary>Registers the contexts of a kubeconfig at start; those that are registered already get the file's credentials.</summary>
internal static class StartRegistration
{
    // Each registration waits for its own cluster only; beyond this many at once a start would flood the network.
    private const int AtOnce = 16;

    public static async Task RegisterAsync(Service service, ImmutableArray<KubeconfigContext> contexts, TextWriter output, CancellationToken stop)
    {
        if (contexts.IsEmpty)
        {
            return;
        }

        ImmutableArray<(string Name, KubeconfigContext Context)> named = NameAll(contexts);
        var grains = service.Services.GetRequiredService<IGrainFactory>();
        var sealer = service.Services.GetRequiredService<ConnectionSealer>();
        var gate = new Lock();
        await Parallel.ForEachAsync(named, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = stop }, async (one, token) =>
        {
            string line = await RegisterAsync(grains.GetGrain<IClusterGrain>(one.Name), one.Name, sealer.Seal(one.Context.Connection!), token);
            lock (gate)
            {
                output.WriteLine(line);
            }
        });
    }

    /// <summary>The name under which a context is registered: its own, as a DNS label.</summary>
    /// <remarks>Names of cloud contexts hold slashes, colons and capitals: <c>arn:aws:eks:eu-1:1:cluster/Prod</c> becomes <c>arn-aws-eks-eu-1-1-cluster-prod</c>.</remarks>
    internal static string NameOf(string context)
    {
        const int longest = 63;
        Span<char> label = stackalloc char[context.Length];
        int length = 0;
        foreach (char c in context)
        {
            char lower = char.ToLowerInvariant(c);
            bool isKept = char.IsAsciiLetterLower(lower) || char.IsAsciiDigit(lower);
            if (isKept || (length > 0 && label[length - 1] != '-'))
            {
                label[length++] = isKept ? lower : '-';
            }
        }

        // The end tells contexts of one cloud apart, so it is the start that is cut.
        ReadOnlySpan<char> kept = label[..length].Trim('-');
        return (kept.Length > longest ? kept[^longest..].Trim('-') : kept).ToString() is { Length: > 0 } name ? name : "cluster";
    }

    private static ImmutableArray<(string Name, KubeconfigContext Context)> NameAll(ImmutableArray<KubeconfigContext> contexts)
    {
        ImmutableArray<(string Name, KubeconfigContext Context)> named = [.. contexts.Select(c => (NameOf(c.Name), c))];
        foreach (IGrouping<string, (string Name, KubeconfigContext Context)> same in named.GroupBy(n => n.Name, StringComparer.Ordinal).Where(g => g.Count() > 1))
        {
            throw new ServiceStartException(
                $"The contexts {string.Join(" and ", same.Select(s => $"'{s.Context.Name}'"))} would all be registered as '{same.Key}'; rename one in the kubeconfig, or choose with --context.");
        }

        return named;
    }

    private static async Task<string> RegisterAsync(IClusterGrain cluster, string name, ProtectedConnection connection, CancellationToken stop)
    {
        // Forced: one cluster that is down now must not keep the others, or itself later, out of the fleet.
        RegistrationReply reply = await cluster.RegisterAsync(new RegisterCluster { Connection = connection, Force = true }, stop);
        if (reply.Faults.Any(f => f.Kind == ClusterFault.AlreadyRegistered))
        {
            reply = await cluster.ReplaceCredentialsAsync(new ReplaceCredentials { Connection = connection }, stop);
            return reply.Cluster is not null
                ? $"  {name}: registered before; its credentials are now those of the kubeconfig"
                : $"  {name}: registered before; it keeps its credentials, because those of the kubeconfig fail: {Join(reply.Faults)}";
        }

        if (reply.Cluster is null)
        {
            return $"  {name}: not registered: {Join(reply.Faults)}";
        }

        string state = reply.Faults.IsEmpty ? $"registered, Kubernetes {reply.Checks.Version}" : $"registered, but {Join(reply.Faults)}";
        return reply.Warnings.IsEmpty ? $"  {name}: {state}" : $"  {name}: {state} ({string.Join(' ', reply.Warnings)})";
    }

    private static string Join(ImmutableArray<ClusterFault> faults) => string.Join(' ', faults.Select(f => $"{f.Kind}: {f.Message}"));
}
