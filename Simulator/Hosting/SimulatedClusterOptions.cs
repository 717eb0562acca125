using MultiCluster.Simulator.Controllers;

namespace MultiCluster.Simulator.Hosting;

/// <summary>A user of a simulated cluster who comes with a bearer token.</summary>
/// <param name="Name">User name.</param>
/// <param name="Token">Bearer token.</param>
/// <param name="Groups">Groups; <c>system:authenticated</c> is added.</param>
public sealed record SimulatedUser(string Name, string Token, params IReadOnlyList<string> Groups)
{
    /// <summary>Uid that SelfSubjectReview shows; made from the name when empty.</summary>
    public string Uid { get; init; } = "";

    /// <summary>The name only: a token belongs in no log.</summary>
    public override string ToString() => Name;
}

/// <summary>How a simulated cluster is made.</summary>
public sealed class SimulatedClusterOptions
{
    /// <summary>Name of the cluster, in the kubeconfig and in certificates.</summary>
    /// <value>Default <c>simulated</c>.</value>
    public string Name { get; set; } = "simulated";

    /// <summary>Clock for everything that has a time: timestamps, watch timeouts, bookmarks, token expiry, controllers.</summary>
    /// <value>Default the system's. TLS certificates are always dated by the system's clock.</value>
    public TimeProvider Time { get; set; } = TimeProvider.System;

    /// <summary>HTTPS with HTTP/2 and HTTP/1.1 and client certificates; false for plain HTTP/1.1.</summary>
    /// <value>Default true.</value>
    public bool Tls { get; set; } = true;

    /// <summary>Port on 127.0.0.1.</summary>
    /// <value>Default 0: any free one, which then stays the same over restarts.</value>
    public int Port { get; set; }

    /// <summary>Users beside the built-in <c>admin</c> and <c>reader</c>.</summary>
    /// <value>Default none.</value>
    public IReadOnlyList<SimulatedUser> Users { get; set; } = [];

    /// <summary>Seed of uids, generated names and seeded objects: the same seed makes the same cluster.</summary>
    /// <value>Default 1.</value>
    public int Seed { get; set; } = 1;

    /// <summary>Whether watches may begin with <c>sendInitialEvents</c> (feature gate WatchList, on in 1.32).</summary>
    /// <value>Default true.</value>
    public bool WatchList { get; set; } = true;

    /// <summary>Changes that are kept per resource for watches to resume from.</summary>
    /// <value>Default 10,000, from 1.</value>
    public int HistoryLimit { get; set; } = 10_000;

    /// <summary>Whether namespaces are finalized, owners collected, service accounts made and CRDs established, as controllers of a real cluster do.</summary>
    /// <value>Default true. Without it the server stands alone, as a kube-apiserver without kube-controller-manager.</value>
    public bool Housekeeping { get; set; } = true;

    /// <summary>Whether workload controllers, a scheduler and simulated kubelets run: Deployments become running Pods on the nodes there are.</summary>
    /// <value>Default false.</value>
    public bool Controllers { get; set; }

    /// <summary>How fast and how well those controllers work; without effect unless <see cref="Controllers"/> is set.</summary>
    /// <value>Default as in <see cref="ControllerOptions"/>.</value>
    public ControllerOptions ControllerSettings { get; set; } = new();

    /// <summary>How often the server renews its identity lease, and by that moves the revision on, as a real server does every ten seconds.</summary>
    /// <value>Default null: never, so that nothing moves but what a test moves. Bookmarks come only where the revision has moved.</value>
    public TimeSpan? LeaseRenewal { get; set; }
}
