using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Grains.Cluster;

/// <summary>What one probe says of a cluster, best last: a higher value is a better state.</summary>
internal enum ProbeVerdict
{
    /// <summary>Nobody who speaks the Kubernetes API answered.</summary>
    Unreachable,

    /// <summary>The server answered and refused us.</summary>
    Refused,

    /// <summary>The server answered that it is not well, or too slowly.</summary>
    Unhealthy,

    /// <summary>All is well.</summary>
    Healthy,
}

/// <summary>One probe, read as what it means for the phase of the cluster.</summary>
/// <param name="Verdict">What it says.</param>
/// <param name="Fault">Why it is not healthy; null where it is.</param>
internal readonly record struct ProbeReading(ProbeVerdict Verdict, ClusterFault? Fault)
{
    /// <summary>Reads a probe.</summary>
    /// <param name="probe">What the client found.</param>
    /// <param name="slowAfter">Time from which a good answer is too slow.</param>
    public static ProbeReading Of(ProbeResult probe, TimeSpan slowAfter)
    {
        if (probe.Error is { } error)
        {
            return new ProbeReading(VerdictOf(error.Kind), ClusterFaults.From(error));
        }

        return probe.Latency < slowAfter
            ? new ProbeReading(ProbeVerdict.Healthy, null)
            : new ProbeReading(ProbeVerdict.Unhealthy, new ClusterFault(
                ClusterFault.Slow,
                string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"The server took {probe.Latency.TotalSeconds:0.0} s to say that it is ready; look at its load and at the network between.")));
    }

    private static ProbeVerdict VerdictOf(KubeErrorKind kind) => kind switch
    {
        // 401 and 403 are answers: the network works and the server lives, only not for us.
        KubeErrorKind.Unauthorized or KubeErrorKind.Forbidden => ProbeVerdict.Refused,
        KubeErrorKind.Timeout or KubeErrorKind.ConnectionRefused or KubeErrorKind.NameResolution or KubeErrorKind.Tls => ProbeVerdict.Unreachable,
        // Something answers there that is no API server: for whoever wants the cluster it is not there.
        KubeErrorKind.Protocol or KubeErrorKind.NotFound => ProbeVerdict.Unreachable,
        _ => ProbeVerdict.Unhealthy,
    };
}

/// <summary>Puts errors of the client into the words of the contracts.</summary>
internal static class ClusterFaults
{
    public static ClusterFault From(KubeError error, string? field = null) => new(error.Kind.ToString(), error.Message, field);

    public static ClusterFault Invalid(string field, string message) => new(ClusterFault.InvalidRequest, message, field);
}
