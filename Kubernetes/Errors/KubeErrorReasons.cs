namespace MultiCluster.Kubernetes.Errors;

/// <summary>Values of <see cref="KubeError.Reason"/> that this client sets itself, where no server answered.</summary>
public static class KubeErrorReasons
{
    /// <summary>The TCP connection was not taken in time: nobody is there, rather than somebody slow.</summary>
    public const string ConnectTimeout = "ConnectTimeout";

    /// <summary>Our own limit of requests per second would have made the request wait past its deadline.</summary>
    public const string ClientLimit = "ClientLimit";

    /// <summary>A credential file or plugin gave no credentials.</summary>
    public const string CredentialSource = "CredentialSource";
}
