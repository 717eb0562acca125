using System.Text;

namespace MultiCluster.Gateway.Security;

/// <summary>The kubeconfig that the first start leaves beside the token, for <c>kubectl</c> and every tool that reads one.</summary>
public static class KubeconfigFile
{
    /// <summary>Name of the file in the data directory.</summary>
    public const string FileName = "multicluster.kubeconfig";

    /// <summary>Writes the file, replacing an older one, and returns its path.</summary>
    /// <param name="directory">Data directory.</param>
    /// <param name="server">Address of the gateway.</param>
    /// <param name="authorityPem">What to trust.</param>
    /// <param name="token">Who we are.</param>
    public static string Write(string directory, Uri server, string authorityPem, AdminToken token)
    {
        string path = Path.Combine(directory, FileName);
        SecurityFiles.Write(path, $"""
            apiVersion: v1
            kind: Config
            current-context: multicluster
            clusters:
            - name: multicluster
              cluster:
                server: {server.GetLeftPart(UriPartial.Authority)}
                certificate-authority-data: {Convert.ToBase64String(Encoding.UTF8.GetBytes(authorityPem))}
            users:
            - name: admin
              user:
                token: {token.Value}
            contexts:
            - name: multicluster
              context:
                cluster: multicluster
                user: admin

            """);
        return path;
    }
}
