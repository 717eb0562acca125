namespace MultiCluster.Kubernetes.Errors;

/// <summary>Values of <see cref="KubeError.Reason"/> that this client sets itself, where no server answered.</summary>
public static class KubeErrorReasons
{
    /// <summary>The TCP connection was not taken in time: nobody is there, rather than somebody slow.</summary>
    public const string ConnectTimeout = "ConnectTimeout";

    /// <summary>Our own limit of requests per second would have made the request wait past its deadline.</summary>
    public const string ClientLimit = "ClientLimit";

    /// <summary>The answer has more bytes than this kind of answer may have.</summary>
    public const string AnswerTooLarge = "AnswerTooLarge";

    /// <summary>Answers that this process holds had used up their budget.</summary>
    public const string HeldLimit = "HeldLimit";

    /// <summary>A credential file or plugin gave no credentials.</summary>
    public const string CredentialSource = "CredentialSource";
}
