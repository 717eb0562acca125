using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>The connection that a pod has to its own cluster: service account token and CA from files, the server from the environment.</summary>
public static class InCluster
{
    /// <summary>Where the kubelet mounts a service account.</summary>
    public const string DefaultDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>Reads the connection; the token file is read again while the client runs.</summary>
    /// <param name="connection">The connection; null when this is no pod or its mount is incomplete.</param>
    /// <param name="fault">What is missing.</param>
    /// <param name="directory">Folder with <c>token</c> and <c>ca.crt</c>.</param>
    /// <param name="environment">Reads a variable; null for the process's environment.</param>
    public static bool TryLoad(
        [NotNullWhen(true)] out ClusterConnection? connection,
        [NotNullWhen(false)] out string? fault,
        string directory = DefaultDirectory,
        Func<string, string?>? environment = null)
    {
        environment ??= Environment.GetEnvironmentVariable;
        connection = null;
        string? host = environment("KUBERNETES_SERVICE_HOST");
        string? port = environment("KUBERNETES_SERVICE_PORT");
        if (string.IsNullOrEmpty(host) || string.IsNullOrEmpty(port))
        {
            fault = "This process runs in no Kubernetes pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set.";
            return false;
        }

        string bracketed = IPAddress.TryParse(host, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{host}]" : host;
        if (ConnectionChecks.CheckServer($"https://{bracketed}:{port}", out Uri? server) is { } serverFault)
        {
            fault = $"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT: {serverFault}";
            return false;
        }

        string token = Path.Combine(directory, "token");
        string authority = Path.Combine(directory, "ca.crt");
        try
        {
            fault = ConnectionChecks.CheckToken(File.ReadAllText(token)) is { } tokenFault ? $"{token}: {tokenFault}" : null;
            string pem = File.ReadAllText(authority);
            fault ??= ConnectionChecks.CheckAuthority(pem) is { } authorityFault ? $"{authority}: {authorityFault}" : null;
            if (fault is not null)
            {
                return false;
            }

            connection = new ClusterConnection(server!)
            {
                CertificateAuthorityPem = pem,
                Credentials = new KubeCredentials(null, new TokenSource.File(token)),
            };
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            fault = $"The service account in {directory} cannot be read ({e.GetType().Name}); is automountServiceAccountToken off?";
            return false;
        }
    }
}
