using MultiCluster.Clusters;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Why a cluster cannot answer a query at all; becomes its coverage.</summary>
/// <param name="State">What the coverage says.</param>
/// <param name="Fault">What is wrong and what to do; null where the state says it all.</param>
internal sealed record ReadFailure(CoverageState State, ClusterFault? Fault = null)
{
    /// <summary>The request is wrong; the gateway tells the user so instead of covering it up.</summary>
    public static ReadFailure Invalid(string field, string message) =>
        new(CoverageState.Failed, new ClusterFault(ClusterFault.InvalidRequest, message, field));
}
