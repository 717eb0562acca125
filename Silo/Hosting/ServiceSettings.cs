using System.Net;

namespace MultiCluster.Silo.Hosting;

/// <summary>Where the service listens and keeps its data.</summary>
/// <remarks>From the command line, the environment (<c>MULTICLUSTER_Service__DataDirectory</c> …) or a configuration file, in this order.</remarks>
public sealed class ServiceSettings
{
    /// <summary>Section of the configuration.</summary>
    public const string Section = "Service";

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

/// <summary>The service cannot start; the message says what to do.</summary>
public sealed class ServiceStartException(string message) : Exception(message);
