using System.Net;

namespace MultiCluster.Silo.Hosting;

/// <summary>Where the service listens and keeps its data.</summary>
/// <remarks>From the command line, the environment (<c>MULTICLUSTER_Service__DataDirectory</c> …) or a configuration file, in this order.</remarks>
public sealed class ServiceSettings
{
    /// <summary>Section of the configuration.</summary>
    public const string Section = "Service";

    /// <summary>What this process does for the service.</summary>
    /// <value>Default <see cref="ServiceRole.All"/>. The others need the build for several machines (<c>Engine=Orleans</c>).</value>
    public ServiceRole Role { get; set; } = ServiceRole.All;

    /// <summary>Name of the service that this process belongs to; the same in all its processes. A database belongs to one service.</summary>
    /// <value>Default <c>multicluster</c>. Matters only on several machines.</value>
    public string ClusterId { get; set; } = "multicluster";

    /// <summary>Address and port of the API, over TLS.</summary>
    /// <value>Default <c>127.0.0.1:8443</c>: nothing is offered to the network before somebody says so. Port 0 takes a free one.</value>
    public string Listen { get; set; } = "127.0.0.1:8443";

    /// <summary>Address and port of <c>/healthz</c>, <c>/readyz</c> and <c>/metrics</c>, without TLS or authentication; empty for none.</summary>
    /// <value>Default <c>127.0.0.1:9090</c>.</value>
    public string ListenMetrics { get; set; } = "127.0.0.1:9090";

    /// <summary>Folder for keys, certificates, the admin token and the registrations.</summary>
    /// <value>Default <c>data</c> below the current folder.</value>
    public string DataDirectory { get; set; } = "data";

    /// <summary>DNS names and addresses, beside those of loopback, under which clients reach the service; they go into the serving certificate.</summary>
    /// <value>Default none.</value>
    public string[] Names { get; set; } = [];

    /// <summary>Reads an address.</summary>
    /// <exception cref="ServiceStartException">It is none.</exception>
    public static IPEndPoint Endpoint(string text, string setting)
    {
        // A bare number is a port on loopback.
        if (ushort.TryParse(text, out ushort port))
        {
            return new IPEndPoint(IPAddress.Loopback, port);
        }

        string address = text.StartsWith("localhost:", StringComparison.OrdinalIgnoreCase) ? $"127.0.0.1{text["localhost".Length..]}" : text;
        address = address.StartsWith("*:", StringComparison.Ordinal) ? $"[::]{address[1..]}" : address;
        return IPEndPoint.TryParse(address, out IPEndPoint? endpoint) && address.Contains(':', StringComparison.Ordinal)
            ? endpoint
            : throw new ServiceStartException($"{setting} is '{text}', and must be ADDRESS:PORT such as 127.0.0.1:8443 or 0.0.0.0:8443.");
    }
}

/// <summary>What a process does for the service.</summary>
public enum ServiceRole
{
    /// <summary>Grains and API in one process.</summary>
    All,

    /// <summary>Grains only: owns member clusters, and listens for other silos, gateways and operators.</summary>
    Silo,

    /// <summary>API only: authenticates, fans out, merges and streams; owns nothing and can be stopped at any time.</summary>
    Gateway,
}

/// <summary>The service cannot start; the message says what to do.</summary>
public sealed class ServiceStartException(string message) : Exception(message);

/// <summary>The service has ended by itself, since other processes do what it did; the message says what to do.</summary>
public sealed class ServiceReplacedException(string message) : Exception(message)
{
    /// <summary>Of a silo whose clusters others have taken over.</summary>
    public const string DeclaredDead = "This silo was declared dead while it stood still, and others have taken its clusters over. Start it again to have it join them.";
}
