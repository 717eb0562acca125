using Microsoft.Extensions.Configuration;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Silo.CommandLine;

/// <summary>Switches credential plugins on for the clients of the whole process; they stay off unless the operator says so.</summary>
internal static class ExecPlugins
{
    /// <summary>Adds the switch to the other settings of the clients, over what a file says.</summary>
    public static void Allow(IConfigurationBuilder configuration, bool allow)
    {
        if (allow)
        {
            configuration.AddInMemoryCollection([KeyValuePair.Create<string, string?>($"Client:{nameof(KubeClientOptions.AllowExec)}", "true")]);
        }
    }
}
