using System.Net;

namespace MultiCluster.Silo.Hosting;

/// <summary>Where the processes of a service on several machines reach each other. The in-process engine does not use it.</summary>
/// <remarks>The connections are neither encrypted nor authenticated: keep both ports inside a network that only the service's own processes reach.</remarks>
public sealed class SiloNetworkSettings
{
    /// <summary>Section of the configuration.</summary>
    public const string Section = "SiloNetwork";

    internal static readonly TimeSpan MostHandOverTimeout = TimeSpan.FromMinutes(30);

    /// <summary>Address and port where a silo listens for other silos.</summary>
    /// <value>Default <c>127.0.0.1:11111</c>; <c>0.0.0.0:11111</c> for all addresses of the machine. Port 0 takes a free one.</value>
    public string ListenSilo { get; set; } = "127.0.0.1:11111";

    /// <summary>Address and port where a silo listens for gateways.</summary>
    /// <value>Default <c>127.0.0.1:30000</c>. Port 0 takes a free one.</value>
    public string ListenGateway { get; set; } = "127.0.0.1:30000";

    /// <summary>Address under which others reach this silo, such as the IP of its pod.</summary>
    /// <value>Default none: the address it listens on, which must then be a single one.</value>
    public string AdvertisedAddress { get; set; } = "";

    /// <summary>Whether the silos collect figures of every call for the Orleans dashboard at <c>/orleans</c> of the API.</summary>
    /// <value>Default true. It costs about a third of the calls that a silo can do at most, and 80 MiB.</value>
    public bool Dashboard { get; set; } = true;

    /// <summary>How long a silo that is asked to stop may take to move its clusters to the others before it stops.</summary>
    /// <value>Default 2 minutes, at most 30; 0 to stop at once. What is not moved by then is listed anew elsewhere. Whoever stops the process must give it this time and 15 s more.</value>
    public TimeSpan HandOverTimeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>Whether clusters move to silos that carry less, such as one that has just joined.</summary>
    /// <value>Default true. One cluster at a time, and only where it pays.</value>
    public bool Rebalance { get; set; } = true;

    /// <summary>The endpoints, with ports drawn where they are 0.</summary>
    /// <exception cref="ServiceStartException">An address cannot be read, or nobody could reach the silo at it.</exception>
    internal (IPEndPoint Silo, IPEndPoint Gateway, IPAddress Advertised) Endpoints()
    {
        if (HandOverTimeout < TimeSpan.Zero || HandOverTimeout > MostHandOverTimeout)
        {
            throw new ServiceStartException($"{Section}:{nameof(HandOverTimeout)} is {HandOverTimeout}, and must lie between 0 and {MostHandOverTimeout.TotalMinutes:F0} minutes.");
        }

        IPEndPoint silo = WithPort(ServiceSettings.Endpoint(ListenSilo, $"{Section}:{nameof(ListenSilo)}"));
        IPEndPoint gateway = WithPort(ServiceSettings.Endpoint(ListenGateway, $"{Section}:{nameof(ListenGateway)}"));
        if (AdvertisedAddress.Length > 0)
        {
            return IPAddress.TryParse(AdvertisedAddress, out IPAddress? given)
                ? (silo, gateway, given)
                : throw new ServiceStartException($"{Section}:{nameof(AdvertisedAddress)} is '{AdvertisedAddress}', and must be an IP address under which other machines reach this silo.");
        }

        return silo.Address.Equals(IPAddress.Any) || silo.Address.Equals(IPAddress.IPv6Any)
            ? throw new ServiceStartException($"{Section}:{nameof(ListenSilo)} listens on every address; say with {Section}:{nameof(AdvertisedAddress)} at which of them others reach this silo.")
            : (silo, gateway, silo.Address);
    }

    // Orleans wants to know its ports before it listens.
    private static IPEndPoint WithPort(IPEndPoint endpoint)
    {
        if (endpoint.Port != 0)
        {
            return endpoint;
        }

        using var probe = new System.Net.Sockets.TcpListener(endpoint);
        probe.Start();
        return (IPEndPoint)probe.LocalEndpoint;
    }
}
