using System.Collections.Immutable;
using System.Text;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>Reads a health answer: a pure function, because each outcome sends people elsewhere.</summary>
internal static class HealthReading
{
    private const int MaxNamedChecks = 8;

    public static ProbeResult Read(KubeResponse? response, KubeError? error, TimeSpan latency)
    {
        if (error is not null)
        {
            ImmutableArray<string> failed = FailedChecks(error.Message);
            return new ProbeResult(OutcomeOf(error), latency, error) { FailedChecks = failed };
        }

        bool html = response!.ContentType.StartsWith("text/html", StringComparison.OrdinalIgnoreCase)
            || response.Body.Span.TrimStart(" \r\n\t"u8).StartsWith("<"u8);
        return html
            ? new ProbeResult(ProbeOutcome.NotKubernetes, latency, new KubeError(
                KubeErrorKind.Protocol, "The server answers /readyz with an HTML page. Check the server address: something else stands in its place."))
            : new ProbeResult(ProbeOutcome.Healthy, latency, null);
    }

    private static ProbeOutcome OutcomeOf(KubeError error) => error.Kind switch
    {
        KubeErrorKind.Unauthorized => ProbeOutcome.Unauthorized,
        KubeErrorKind.Forbidden => ProbeOutcome.Forbidden,
        KubeErrorKind.Throttled => ProbeOutcome.Slow,
        KubeErrorKind.Timeout => error.Reason == KubeErrorReasons.ConnectTimeout ? ProbeOutcome.Unreachable : ProbeOutcome.Slow,
        KubeErrorKind.ServerError => ProbeOutcome.Unhealthy,
        KubeErrorKind.ConnectionRefused => ProbeOutcome.Unreachable,
        KubeErrorKind.NameResolution => ProbeOutcome.UnknownHost,
        KubeErrorKind.Tls => ProbeOutcome.Tls,
        _ => ProbeOutcome.NotKubernetes,
    };

    // A failing /readyz lists its checks one a line: "[-]etcd failed: reason withheld".
    private static ImmutableArray<string> FailedChecks(string text)
    {
        ImmutableArray<string>.Builder failed = ImmutableArray.CreateBuilder<string>();
        int at = 0;
        while (failed.Count < MaxNamedChecks && (at = text.IndexOf("[-]", at, StringComparison.Ordinal)) >= 0)
        {
            at += 3;
            int end = text.IndexOf(' ', at);
            failed.Add(end < 0 ? text[at..] : text[at..end]);
        }

        return failed.ToImmutable();
    }
}
