using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Security;

/// <summary>Answers the reviews: who am I, what may I do, what may somebody else do, whose token is this.</summary>
internal static class ReviewEndpoints
{
    /// <summary>Answers a create of a review, or returns false when the resource is none.</summary>
    public static async Task<bool> TryAnswerAsync(Exchange exchange)
    {
        ApiResource resource = exchange.Resource;
        if (resource.Group is not ("authorization.k8s.io" or "authentication.k8s.io") || exchange.Target.Verb != "create")
        {
            return false;
        }

        JsonObject review = await RequestBody.ReadOptionsAsync(exchange, resource.Kind) ?? [];
        var answer = new JsonObject
        {
            ["kind"] = resource.Kind,
            ["apiVersion"] = resource.ApiVersion,
            ["metadata"] = new JsonObject { ["creationTimestamp"] = null },
        };
        JsonNode spec = review["spec"]?.DeepClone() ?? new JsonObject();
        switch (resource.Plural)
        {
            case "selfsubjectreviews":
                answer["metadata"]!["creationTimestamp"] = exchange.Server.Registry.Now;
                answer["status"] = new JsonObject { ["userInfo"] = Describe(exchange.User) };
                break;
            case "selfsubjectrulesreviews":
                RulesReview(exchange, spec, answer);
                break;
            case "tokenreviews":
                UserInfo? owner = exchange.Server.Authenticator.Find(spec.Text("token") ?? "");
                answer["spec"] = spec;
                answer["status"] = owner is null
                    ? new JsonObject { ["user"] = new JsonObject(), ["error"] = "[invalid bearer token, token lookup failed]" }
                    : new JsonObject { ["authenticated"] = true, ["user"] = Describe(owner) };
                break;
            default:
                UserInfo subject = resource.Plural == "selfsubjectaccessreviews" ? exchange.User : SubjectOf(spec);
                AccessReview(exchange, subject, spec, answer);
                break;
        }

        await exchange.WriteAsync(answer, Negotiation.Of(exchange.Http.Request), 201);
        return true;
    }

    private static void AccessReview(Exchange exchange, UserInfo subject, JsonNode spec, JsonObject answer)
    {
        AccessAttributes wanted = spec["nonResourceAttributes"] is JsonObject path
            ? new AccessAttributes(path.Text("verb") ?? "") { Path = path.Text("path") ?? "" }
            : ResourceAttributes(spec["resourceAttributes"]);
        AccessDecision decision = exchange.Server.Authorizer.Decide(subject, wanted);
        answer["spec"] = spec;
        var status = new JsonObject { ["allowed"] = decision.Allowed };
        if (decision.Reason is not null)
        {
            status["reason"] = decision.Reason;
        }

        answer["status"] = status;
    }

    private static void RulesReview(Exchange exchange, JsonNode spec, JsonObject answer)
    {
        var resources = new JsonArray();
        var paths = new JsonArray();
        foreach (JsonObject rule in exchange.Server.Authorizer.RulesOf(exchange.User, spec.Text("namespace") ?? ""))
        {
            (rule["nonResourceURLs"] is null ? resources : paths).Add(rule);
        }

        answer["spec"] = new JsonObject();
        answer["status"] = new JsonObject { ["resourceRules"] = resources, ["nonResourceRules"] = paths, ["incomplete"] = false };
    }

    private static AccessAttributes ResourceAttributes(JsonNode? attributes)
    {
        string resource = attributes.Text("resource") ?? "";
        string? subresource = attributes.Text("subresource");
        return new AccessAttributes(attributes.Text("verb") ?? "")
        {
            Group = attributes.Text("group") ?? "",
            Resource = string.IsNullOrEmpty(subresource) ? resource : $"{resource}/{subresource}",
            Namespace = attributes.Text("namespace") ?? "",
            Name = attributes.Text("name") ?? "",
        };
    }

    private static UserInfo SubjectOf(JsonNode spec) => new(
        spec.Text("user") ?? "", spec.Text("uid") ?? "", [.. (spec["groups"] as JsonArray ?? []).Select(g => g!.GetValue<string>())]);

    private static JsonObject Describe(UserInfo user)
    {
        var info = new JsonObject { ["username"] = user.Name };
        if (user.Uid.Length > 0)
        {
            info["uid"] = user.Uid;
        }

        info["groups"] = new JsonArray([.. user.Groups.Select(g => (JsonNode)g)]);
        if (user.CredentialId is { } credential)
        {
            info["extra"] = new JsonObject { ["authentication.kubernetes.io/credential-id"] = new JsonArray(credential) };
        }

        return info;
    }
}
