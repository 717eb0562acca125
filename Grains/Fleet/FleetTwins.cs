using MultiCluster.Fleet;

namespace MultiCluster.Grains.Fleet;

/// <summary>Tells whether two names stand for one server.</summary>
internal static class FleetTwins
{
    /// <summary>By identity where both have one, else by address. An entry is not its own twin.</summary>
    public static bool AreSameServer(ClusterEntry one, ClusterEntry other)
        => one.Name != other.Name
            && (one.ServerIdentity.Length > 0 && other.ServerIdentity.Length > 0
                ? one.ServerIdentity == other.ServerIdentity
                : one.Server.Length > 0 && one.Server == other.Server);
}
