using System.Text;

namespace MultiCluster.Simulator.Hosting;

/// <summary>Writes kubeconfig files.</summary>
internal static class Kubeconfig
{
    /// <summary>One cluster, one user, one context, all of the same name.</summary>
    /// <param name="name">Their name.</param>
    /// <param name="url">Server.</param>
    /// <param name="authorityPem">Certificate of the authority; null without TLS.</param>
    /// <param name="token">Bearer token; empty for none.</param>
    public static string Write(string name, Uri url, string? authorityPem, string token)
    {
        string authority = authorityPem is null
            ? ""
            : $"\n    certificate-authority-data: {Convert.ToBase64String(Encoding.UTF8.GetBytes(authorityPem))}";
        string user = token.Length == 0 ? " {}" : $"\n    token: {token}";
        return $"""
            apiVersion: v1
            kind: Config
            current-context: {name}
            clusters:
            - name: {name}
              cluster:
                server: {url.GetLeftPart(UriPartial.Authority)}{authority}
            users:
            - name: {name}
              user:{user}
            contexts:
            - name: {name}
              context:
                cluster: {name}
                user: {name}

            """;
    }
}
