using MultiCluster.Silo.Hosting;

namespace MultiCluster.Silo.CommandLine;

/// <summary>What the service prints when it has started.</summary>
internal static class StartScreen
{
    public static string Served(Service service)
    {
        if (service.Role == ServiceRole.Silo)
        {
            return $"""
                MultiCluster silo is running.
                  health        {service.OperationsAddress?.ToString() ?? "off"}

                """;
        }

        // What is not a screen is most often a log, which keeps what it is told.
        string token = service.IsFirstStart && !Console.IsOutputRedirected
            ? $"  admin token   {service.Token.Value}\n                (also in {Path.Combine(service.DataDirectoryPath, "admin-token")})"
            : $"  admin token   in {Path.Combine(service.DataDirectoryPath, "admin-token")}";
        return $"""
            MultiCluster is listening.
              API           {service.Address}   (HTTP/JSON under /v1, gRPC multicluster.v1)
              CA            {Path.Combine(service.DataDirectoryPath, "ca.crt")}
            {token}
              kubeconfig    {service.KubeconfigPath}
              health        {service.OperationsAddress?.ToString() ?? "off"}

            Try:  curl --cacert {Path.Combine(service.DataDirectoryPath, "ca.crt")} -H "Authorization: Bearer $(cat {Path.Combine(service.DataDirectoryPath, "admin-token")})" {service.Address}v1/clusters

            """;
    }
}
