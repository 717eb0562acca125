using System.Globalization;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>The most that the answer to one request may have, decompressed.</summary>
/// <param name="Bytes">Bytes.</param>
/// <param name="Setting">Name of the setting, for those who need more.</param>
internal readonly record struct AnswerLimit(int Bytes, string Setting)
{
    /// <summary>What a client that met a larger answer throws; what was read of it is dropped.</summary>
    public KubeException Exceeded(string path)
    {
        int query = path.IndexOf('?', StringComparison.Ordinal);
        return new KubeException(new KubeError(
            KubeErrorKind.Protocol,
            $"The answer to {(query < 0 ? path : path[..query])} is larger than {AnswerSize.Text(Bytes)}, the most that it may have. Check the server address; raise {Setting} if the server is right.")
        {
            Reason = KubeErrorReasons.AnswerTooLarge,
        });
    }
}

/// <summary>Sizes for people.</summary>
internal static class AnswerSize
{
    public static string Text(long bytes) => bytes switch
    {
        >= 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024):0.#} MiB"),
        >= 1 << 10 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.#} KiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes"),
    };
}
