using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Errors;

/// <summary>Says what an HTTP answer or an exception means, in one place for every caller.</summary>
/// <remarks>Pure and thread-safe. Takes the server's word where it gave one, the HTTP status otherwise.</remarks>
public static partial class ErrorClassifier
{
    private const int MaxQuoted = 400;

    /// <summary>Classifies an answer whose status is not a success.</summary>
    /// <param name="status">HTTP status code.</param>
    /// <param name="contentType">Media type of the body; null for none.</param>
    /// <param name="retryAfter">The <c>Retry-After</c> header.</param>
    /// <param name="body">The body, or its beginning.</param>
    /// <param name="now">Time against which a date in <paramref name="retryAfter"/> is read.</param>
    public static KubeError FromAnswer(
        int status, string? contentType, RetryConditionHeaderValue? retryAfter, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        TimeSpan? wait = retryAfter?.Delta ?? (retryAfter?.Date is { } date ? date - now : null);
        ServerStatus? said = ServerStatus.TryRead(body);
        if (said is null && LooksLikeHtml(contentType, body))
        {
            return new KubeError(KindOfForeign(status), $"The server answered {status} with an HTML page instead of the Kubernetes API. {AdviceForForeign(status)}")
            {
                HttpStatus = status,
                RetryAfter = Positive(wait),
            };
        }

        KubeErrorKind kind = KindOf(status, said?.Reason);
        string quoted = said?.Message ?? Quote(body);
        return new KubeError(kind, Sentence(kind, status, quoted))
        {
            HttpStatus = status,
            Reason = said?.Reason,
            RetryAfter = Positive(wait ?? said?.RetryAfter),
            StatusJson = said is not null && body.Length <= KubeError.MaxStatusBytes ? body.ToArray() : default,
            ResourceVersionTooLarge = said?.ResourceVersionTooLarge ?? false,
        };
    }

    /// <summary>Classifies the <c>Status</c> object of a watch's ERROR event.</summary>
    /// <param name="status">The object.</param>
    public static KubeError FromWatchError(ReadOnlySpan<byte> status)
    {
        if (ServerStatus.TryRead(status) is not { } said)
        {
            return new KubeError(KubeErrorKind.Protocol, "The watch sent an ERROR event without a Status object. Listing again.");
        }

        int code = said.Code ?? 500;
        KubeErrorKind kind = KindOf(code, said.Reason);
        return new KubeError(kind, Sentence(kind, code, said.Message ?? ""))
        {
            HttpStatus = code,
            Reason = said.Reason,
            RetryAfter = Positive(said.RetryAfter),
            StatusJson = status.Length <= KubeError.MaxStatusBytes ? status.ToArray() : default,
            ResourceVersionTooLarge = said.ResourceVersionTooLarge,
        };
    }

    /// <summary>Takes what must not be shown out of a text: bearer tokens, JWTs, user:password in URLs, PEM blocks.</summary>
    public static string Redact(string text) => Secrets().Replace(text, "[redacted]");

    [System.Text.RegularExpressions.GeneratedRegex(
        @"(?i:bearer)\s+[A-Za-z0-9\-._~+/=]+|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]*)?|(?<=://)[^/\s@:]+:[^/\s@]+(?=@)|-----BEGIN[^-]+-----[\s\S]*?(-----END[^-]+-----|$)",
        System.Text.RegularExpressions.RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1000)]
    private static partial System.Text.RegularExpressions.Regex Secrets();

    private static KubeErrorKind KindOf(int status, string? reason) => (status, reason) switch
    {
        (_, "Expired" or "Gone") => KubeErrorKind.Gone,
        (401, _) => KubeErrorKind.Unauthorized,
        (403, _) => KubeErrorKind.Forbidden,
        (404, _) => KubeErrorKind.NotFound,
        (409, _) => KubeErrorKind.Conflict,
        (410, _) => KubeErrorKind.Gone,
        (408, _) or (504, _) => KubeErrorKind.Timeout,
        (429, _) => KubeErrorKind.Throttled,
        ( >= 500, _) => KubeErrorKind.ServerError,
        ( >= 400, _) => KubeErrorKind.Invalid,
        _ => KubeErrorKind.Protocol,   // redirects are not followed: they would carry the credentials elsewhere
    };

    // A login page or a proxy's error page says something about what stands before the API server.
    private static KubeErrorKind KindOfForeign(int status) => status switch
    {
        401 or 407 => KubeErrorKind.Unauthorized,
        429 => KubeErrorKind.Throttled,
        502 or 503 => KubeErrorKind.ServerError,
        504 => KubeErrorKind.Timeout,
        _ => KubeErrorKind.Protocol,
    };

    private static string AdviceForForeign(int status) => status is >= 502 and <= 504
        ? "A proxy or load balancer before the API server has no working backend."
        : "Check the server address: a proxy, a login page or another service may be in its place.";

    private static string Sentence(KubeErrorKind kind, int status, string said)
    {
        string quote = said.Length == 0 ? "" : $" ({Redact(Trim(said))})";
        return kind switch
        {
            KubeErrorKind.Unauthorized => $"The API server refused the credentials{quote}. Replace them.",
            KubeErrorKind.Forbidden => $"The credentials lack the right{quote}. Grant it by RBAC in that cluster.",
            KubeErrorKind.NotFound => $"The API server does not have it{quote}.",
            KubeErrorKind.Conflict => $"Somebody else changed or owns it{quote}. Read it again, then decide.",
            KubeErrorKind.Gone => $"The requested version is too old{quote}. List again.",
            KubeErrorKind.Invalid => $"The API server refused the request with {status}{quote}.",
            KubeErrorKind.Throttled => $"The API server asks for fewer requests{quote}. Wait and try again.",
            KubeErrorKind.ServerError => $"The API server failed with {status}{quote}. Try again later.",
            KubeErrorKind.Timeout => $"The API server gave up with {status}{quote}. Try again later.",
            _ when status is >= 300 and < 400 => $"The server answered {status}, a redirect, which is not followed. Check the server address.",
            _ => $"The server answered {status}{quote}, which no Kubernetes API server does here. Check the server address.",
        };
    }

    private static bool LooksLikeHtml(string? contentType, ReadOnlySpan<byte> body)
    {
        if (contentType is not null && contentType.StartsWith("text/html", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        ReadOnlySpan<byte> start = body.TrimStart(" \r\n\t"u8);
        return start.StartsWith("<!DOCTYPE"u8) || start.StartsWith("<!doctype"u8) || start.StartsWith("<html"u8) || start.StartsWith("<HTML"u8);
    }

    private static string Quote(ReadOnlySpan<byte> body)
    {
        if (body.IndexOf("[-]"u8) >= 0)
        {
            // A health answer lists forty checks; those that failed are the message.
            string[] failed = [.. Encoding.UTF8.GetString(body).Split('\n').Where(line => line.StartsWith("[-]", StringComparison.Ordinal))];
            return string.Join(' ', failed);
        }

        return Encoding.UTF8.GetString(body[..Math.Min(body.Length, MaxQuoted * 2)].TrimEnd(" \r\n\t"u8));
    }

    private static string Trim(string text)
    {
        string line = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).TrimEnd('.');
        return line.Length <= MaxQuoted ? line : string.Concat(line.AsSpan(0, MaxQuoted), "…");
    }

    private static TimeSpan? Positive(TimeSpan? wait) => wait is { } value && value > TimeSpan.Zero ? value : null;

    /// <summary>The few fields of a <c>metav1.Status</c> that decide anything.</summary>
    private sealed record ServerStatus(string? Message, string? Reason, int? Code, TimeSpan? RetryAfter, bool ResourceVersionTooLarge)
    {
        public static ServerStatus? TryRead(ReadOnlySpan<byte> json)
        {
            if (!json.TrimStart(" \r\n\t"u8).StartsWith("{"u8))
            {
                return null;
            }

            try
            {
                var reader = new Utf8JsonReader(json);
                if (!JsonDocument.TryParseValue(ref reader, out JsonDocument? document))
                {
                    return null;
                }

                using (document)
                {
                    JsonElement root = document.RootElement;
                    // A request timeout's Status has neither kind nor apiVersion, so the status field decides.
                    bool isStatus = Text(root, "kind") == "Status" || (Text(root, "kind") is null && Text(root, "status") is "Failure" or "Success");
                    return isStatus ? Read(root) : null;
                }
            }
            catch (Exception e) when (JsonLimits.IsBadJson(e))
            {
                return null;   // half a document, or text that is no Unicode: the HTTP status still says what happened
            }
        }

        private static ServerStatus Read(JsonElement root)
        {
            TimeSpan? wait = null;
            bool tooLarge = false;
            if (root.TryGetProperty("details", out JsonElement details) && details.ValueKind == JsonValueKind.Object)
            {
                if (details.TryGetProperty("retryAfterSeconds", out JsonElement seconds) && seconds.TryGetInt32Safe(out int value))
                {
                    wait = TimeSpan.FromSeconds(value);
                }

                if (details.TryGetProperty("causes", out JsonElement causes) && causes.ValueKind == JsonValueKind.Array)
                {
                    tooLarge = causes.EnumerateArray().Any(cause => Text(cause, "reason") == "ResourceVersionTooLarge");
                }
            }

            string? message = Text(root, "message");
            // Servers before 1.20 give no cause.
            tooLarge |= message is not null && message.Contains("Too large resource version", StringComparison.Ordinal);
            int? code = root.TryGetProperty("code", out JsonElement number) && number.TryGetInt32Safe(out int c) ? c : null;
            return new ServerStatus(message, Text(root, "reason"), code, wait, tooLarge);
        }

        private static string? Text(JsonElement from, string name) =>
            from.ValueKind == JsonValueKind.Object && from.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
                ? value.GetString()
                : null;
    }
}

internal static class JsonNumbers
{
    public static bool TryGetInt32Safe(this JsonElement element, out int value)
    {
        value = 0;
        return element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out value);
    }
}
