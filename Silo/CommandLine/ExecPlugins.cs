using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Silo.CommandLine;

/// <summary>Switches credential plugins on for the clients of the whole process; they stay off unless the operator says so.</summary>
internal static class ExecPlugins
{
    public static void Allow(IServiceCollection services, bool allow)
    {
        if (allow)
        {
            services.AddSingleton(Options.Create(new KubeClientOptions { AllowExec = true }));
        }
    }
}
