using Microsoft.Extensions.Options;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Grains.Cluster;

/// <summary>Makes the clients of all clusters, with the limits that are configured for them. Thread-safe.</summary>
internal sealed class KubeClients(IOptions<KubeClientOptions> options, TimeProvider time)
{
    private readonly AnswerBudget _answers = new(options.Value, time);

    /// <summary>A client whose owner disposes it.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A certificate or key cannot be read.</exception>
    public KubeClient Create(ClusterConnection connection) => new(connection, options.Value, time, _answers);
}
