using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <content>What the server says about itself and about us.</content>
public sealed partial class KubeClient
{
    private const int MaxFactLength = 256;

    private const int MaxGroups = 256;

    // The first that the server has and lets us read decides. Roles that list everything may lack the paths of health, which are
    // nobody's resources; the version is open to all, and says at least that the server lives and takes us.
    private static readonly string[] HealthPaths = ["/readyz", "/healthz", "/livez", "/version"];

    private static readonly string[] ReviewVersions = ["v1", "v1beta1", "v1alpha1"];

    /// <summary>Asks for the server's health once; never throws for what the server does.</summary>
    /// <param name="timeout">Deadline; null for the request timeout.</param>
    /// <param name="cancellationToken">Ends the probe with <see cref="OperationCanceledException"/>.</param>
    public async Task<ProbeResult> ProbeAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        long start = _time.GetTimestamp();
        using var deadline = new CancellationTokenSource(timeout ?? _options.RequestTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            Answer first = default;
            foreach (string path in HealthPaths)
            {
                Answer answer = await AskAsync(new KubeRequest(HttpMethod.Get, path) { Accept = "*/*", Limit = ProbeLimit }, either.Token);
                using KubeResponse? response = answer.Response;
                if (answer.Error?.Kind is not (KubeErrorKind.NotFound or KubeErrorKind.Forbidden))
                {
                    return HealthReading.Read(response, answer.Error, _time.GetElapsedTime(start));
                }

                // A server that forbids one of them is a Kubernetes API, whatever it lacks beside.
                first = first.Error is null || (first.Error.Kind == KubeErrorKind.NotFound && answer.Error.Kind == KubeErrorKind.Forbidden) ? answer : first;
            }

            return HealthReading.Read(first.Response, first.Error, _time.GetElapsedTime(start));
        }
        catch (Exception e) when (e is not ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            return HealthReading.Read(null, ErrorClassifier.FromException(e, Connection.Server), _time.GetElapsedTime(start));
        }
    }

    /// <summary>Asks for the server's version.</summary>
    /// <exception cref="KubeException">It failed, or the answer is no version.</exception>
    public async Task<ServerVersion> GetVersionAsync(CancellationToken cancellationToken = default)
    {
        using KubeResponse response = await SendAsync(KubeRequest.Get("/version") with { Limit = ProbeLimit }, cancellationToken);
        ServerVersion version = await ParseAsync(response, root => new ServerVersion(
            LeadingNumber(root.GetProperty("major").GetString()),
            LeadingNumber(root.GetProperty("minor").GetString()),
            Short(root.GetProperty("gitVersion").GetString()),
            root.TryGetProperty("platform", out JsonElement platform) ? Short(platform.GetString()) : ""), cancellationToken);
        Features.NoticeVersion(version.GitVersion);
        return version;
    }

    /// <summary>Asks who the server takes us for.</summary>
    /// <returns>An identity that is not known when the server is too old to say, or does not let us ask.</returns>
    /// <exception cref="KubeException">It failed; <see cref="KubeErrorKind.Unauthorized"/> when the credentials are refused.</exception>
    public async Task<UserIdentity> WhoAmIAsync(CancellationToken cancellationToken = default)
    {
        foreach (string version in ReviewVersions)
        {
            try
            {
                using KubeResponse response = await ReviewAsync(
                    $"/apis/authentication.k8s.io/{version}/selfsubjectreviews",
                    $$"""{"apiVersion":"authentication.k8s.io/{{version}}","kind":"SelfSubjectReview"}""",
                    cancellationToken);
                return await ParseAsync(response, root =>
                {
                    JsonElement user = root.GetProperty("status").GetProperty("userInfo");
                    return new UserIdentity(
                        user.TryGetProperty("username", out JsonElement name) ? Short(name.GetString()) : "",
                        user.TryGetProperty("uid", out JsonElement uid) ? Short(uid.GetString()) : null,
                        [.. Strings(user, "groups").Take(MaxGroups).Select(Short)]);
                }, cancellationToken);
            }
            catch (KubeException e) when (e.Kind is KubeErrorKind.NotFound or KubeErrorKind.Forbidden)
            {
                // This server has an older version of the API, or none. Authorization comes before existence, so only an
                // administrator hears 404 of what is not there; whom the server knows may always ask this where it is.
            }
        }

        return new UserIdentity("", null, []);
    }

    /// <summary>Asks for what tells this cluster from every other: the uid of its namespace <c>kube-system</c>.</summary>
    /// <exception cref="KubeException">It failed, or the answer has no uid.</exception>
    public async Task<string> GetClusterUidAsync(CancellationToken cancellationToken = default)
    {
        using KubeResponse response = await SendAsync(KubeRequest.Get("/api/v1/namespaces/kube-system") with { Limit = ReviewLimit }, cancellationToken);
        return await ParseAsync(response, root => Short(root.GetProperty("metadata").GetProperty("uid").GetString()), cancellationToken);
    }

    /// <summary>Asks what we may do in a namespace.</summary>
    /// <param name="ns">Namespace; rules that hold everywhere are part of the answer.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="KubeException">It failed.</exception>
    public async Task<AccessRules> GetRulesAsync(string ns = "default", CancellationToken cancellationToken = default)
    {
        using KubeResponse response = await ReviewAsync(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            $$$"""{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{"namespace":"{{{JsonEncodedText.Encode(ns)}}}"}}""",
            cancellationToken);
        return await ParseAsync(response, root =>
        {
            JsonElement status = root.GetProperty("status");
            ImmutableArray<AccessRule>.Builder rules = ImmutableArray.CreateBuilder<AccessRule>();
            if (status.TryGetProperty("resourceRules", out JsonElement listed) && listed.ValueKind == JsonValueKind.Array)
            {
                foreach (JsonElement rule in listed.EnumerateArray())
                {
                    rules.Add(new AccessRule(Strings(rule, "verbs"), Strings(rule, "apiGroups"), Strings(rule, "resources"), Strings(rule, "resourceNames")));
                }
            }

            return new AccessRules(rules.ToImmutable(), status.TryGetProperty("incomplete", out JsonElement incomplete) && incomplete.ValueKind == JsonValueKind.True);
        }, cancellationToken);
    }

    /// <summary>Asks whether we may do one thing.</summary>
    /// <exception cref="KubeException">It failed.</exception>
    public async Task<AccessVerdict> CanIAsync(AccessQuestion question, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(question);
        using KubeResponse response = await ReviewAsync("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ReviewOf(question), cancellationToken);
        return await ParseAsync(response, root =>
        {
            JsonElement status = root.GetProperty("status");
            return new AccessVerdict(
                status.GetProperty("allowed").GetBoolean(),
                status.TryGetProperty("reason", out JsonElement reason) ? reason.GetString() ?? "" : "");
        }, cancellationToken);
    }

    private static string ReviewOf(AccessQuestion question)
    {
        var attributes = new StringBuilder();
        Add("verb", question.Verb);
        Add("group", question.Group);
        Add("resource", question.Resource);
        Add("subresource", question.Subresource);
        Add("namespace", question.Namespace);
        Add("name", question.Name);
        return $$$"""{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{ {{{attributes}}} } } }""";

        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                _ = attributes.Append(attributes.Length > 0 ? "," : "").Append($"\"{name}\":\"{JsonEncodedText.Encode(value)}\"");
            }
        }
    }

    // A review stores nothing: creating it twice asks twice.
    private Task<KubeResponse> ReviewAsync(string path, string body, CancellationToken cancellationToken) => SendAsync(
        new KubeRequest(HttpMethod.Post, path) { Body = Encoding.UTF8.GetBytes(body), ContentType = "application/json", Idempotent = true, Limit = ReviewLimit },
        cancellationToken);

    private static async Task<T> ParseAsync<T>(KubeResponse response, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        try
        {
            using JsonDocument document = await response.ParseAsync(cancellationToken);
            return read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new KubeException(
                KubeErrorKind.Protocol, "The server answered 200 with something other than the Kubernetes API's JSON. Check the server address.", e);
        }
    }

    private static ImmutableArray<string> Strings(JsonElement from, string name) =>
        from.TryGetProperty(name, out JsonElement values) && values.ValueKind == JsonValueKind.Array
            ? [.. values.EnumerateArray().Select(v => v.GetString() ?? "")]
            : [];

    // What a server says about itself and us is kept and shown; real ones say a few words.
    private static string Short(string? text) => text is null ? "" : text.Length <= MaxFactLength ? text : string.Concat(text.AsSpan(0, MaxFactLength), "…");

    private static int LeadingNumber(string? text)
    {
        int value = 0;
        foreach (char c in text ?? "")
        {
            if (!char.IsAsciiDigit(c) || value > 100_000)
            {
                break;
            }

            value = (value * 10) + (c - '0');
        }

        return value;
    }
}
