using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>One wrong field of a request, as <c>details.causes</c> lists it.</summary>
/// <param name="Reason">Such as <c>FieldValueInvalid</c>.</param>
/// <param name="Field">Path of the field.</param>
/// <param name="Message">Text behind the path.</param>
internal sealed record FieldCause(string Reason, string Field, string Message)
{
    public static FieldCause Invalid(string field, string value, string why) => new("FieldValueInvalid", field, $"Invalid value: {value}: {why}");

    public static FieldCause Required(string field, string why = "") =>
        new("FieldValueRequired", field, why.Length == 0 ? "Required value" : $"Required value: {why}");

    public static FieldCause Forbidden(string field, string why) => new("FieldValueForbidden", field, $"Forbidden: {why}");

    public static FieldCause Unsupported(string field, string value, params string[] supported) =>
        new("FieldValueNotSupported", field, $"Unsupported value: {value}: supported values: {string.Join(", ", supported.Select(s => $"\"{s}\""))}");
}

/// <summary>Makes refusals in the words of a kube-apiserver 1.32.</summary>
internal static class Refusal
{
    public static StatusException BadRequest(string message) => new(400, "BadRequest", message);

    public static StatusException Unauthorized() => new(401, "Unauthorized", "Unauthorized");

    public static StatusException NotFound(ApiResource resource, string name) =>
        new(404, "NotFound", $"{resource.GroupResource} \"{name}\" not found") { Details = Details(resource, name) };

    /// <summary>A resource, subresource or version that is not served in a group that is.</summary>
    public static StatusException NotServed() =>
        new(404, "NotFound", "the server could not find the requested resource") { Details = [] };

    public static StatusException MethodNotAllowed() =>
        new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource") { Details = [] };

    public static StatusException AlreadyExists(ApiResource resource, string name) =>
        new(409, "AlreadyExists", $"{resource.GroupResource} \"{name}\" already exists") { Details = Details(resource, name) };

    public static StatusException Modified(ApiResource resource, string name) => Conflict(
        resource, name, "the object has been modified; please apply your changes to the latest version and try again");

    public static StatusException Conflict(ApiResource resource, string name, string why) =>
        new(409, "Conflict", $"Operation cannot be fulfilled on {resource.GroupResource} \"{name}\": {why}") { Details = Details(resource, name) };

    /// <summary>A conflict that names the kind, or <c>pods/binding</c>, where others name the resource.</summary>
    public static StatusException ConflictOf(string kind, string name, string why) =>
        new(409, "Conflict", $"Operation cannot be fulfilled on {kind} \"{name}\": {why}")
        {
            Details = new JsonObject { ["name"] = name, ["kind"] = kind },
        };

    /// <summary>Admission refuses; unlike RBAC it answers without the nosniff header.</summary>
    public static StatusException Forbidden(ApiResource resource, string name, string why, JsonArray? causes = null)
    {
        JsonObject details = Details(resource, name);
        if (causes is not null)
        {
            details["causes"] = causes;
        }

        return new StatusException(403, "Forbidden", $"{resource.GroupResource} \"{name}\" is forbidden: {why}") { Details = details };
    }

    public static StatusException Invalid(ApiResource resource, string name, params IReadOnlyList<FieldCause> causes) =>
        Invalid(resource.Group, resource.Kind, name, causes);

    public static StatusException Invalid(string group, string kind, string name, params IReadOnlyList<FieldCause> causes)
    {
        string groupKind = group.Length == 0 ? kind : $"{kind}.{group}";
        string[] texts = [.. causes.Select(c => $"{c.Field}: {c.Message}").Distinct(StringComparer.Ordinal)];
        string text = texts.Length == 1 ? texts[0] : $"[{string.Join(", ", texts)}]";
        var details = new JsonObject();
        if (name.Length > 0)
        {
            details["name"] = name;
        }

        if (group.Length > 0)
        {
            details["group"] = group;
        }

        details["kind"] = kind;
        details["causes"] = new JsonArray([.. causes.Select(c => (JsonNode)new JsonObject
        {
            ["reason"] = c.Reason,
            ["message"] = c.Message,
            ["field"] = c.Field,
        })]);
        return new StatusException(422, "Invalid", $"{groupKind} \"{name}\" is invalid: {text}") { Details = details };
    }

    /// <summary>Faulty query parameters; kind is such as <c>ListOptions</c>.</summary>
    public static StatusException InvalidOptions(string kind, params IReadOnlyList<FieldCause> causes) => Invalid("meta.k8s.io", kind, "", causes);

    /// <summary>A failed JSON patch: the real server does not say what failed either.</summary>
    public static StatusException UnprocessablePatch() =>
        new(422, "Invalid", "the server rejected our request due to an error in our request") { Details = [] };

    public static StatusException BadRevision(string text) =>
        new(500, null, $"resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax");

    public static StatusException RevisionTooLarge(long asked, long current) =>
        new(504, "Timeout", $"Timeout: Too large resource version: {asked}, current: {current}")
        {
            RetryAfterSeconds = 1,
            Details = new JsonObject
            {
                ["causes"] = new JsonArray(new JsonObject
                {
                    ["reason"] = "ResourceVersionTooLarge",
                    ["message"] = "Too large resource version",
                }),
                ["retryAfterSeconds"] = 1,
            },
        };

    public static StatusException FutureRevision() => new(500, null, "etcdserver: mvcc: required revision is a future revision");

    public static StatusException ExpiredList() => new(410, "Expired", "The resourceVersion for the provided list is too old.");

    public static StatusException ExpiredContinue(string freshToken) => new(
        410, "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, "
        + "or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an "
        + "inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
    {
        Continue = freshToken,
    };

    public static StatusException TooOld(long asked, long oldest) => new(410, "Expired", $"too old resource version: {asked} ({oldest})");

    public static StatusException NotAcceptable(bool watch) => new(
        406, "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        + (watch ? ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch" : ""))
    {
        Details = [],
        Pretty = true,
    };

    public static StatusException UnknownTransform() => new(
        406, "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf")
    {
        Pretty = true,
    };

    public static StatusException UnknownBodyType(params string[] accepted) => new(
        415, "UnsupportedMediaType", $"the body of the request was in an unknown format - accepted media types include: {string.Join(", ", accepted)}");

    public static StatusException BodyTooLarge(long limit) => new(413, "RequestEntityTooLarge", $"Request entity too large: limit is {limit}");

    private static JsonObject Details(ApiResource resource, string name)
    {
        var details = new JsonObject();
        if (name.Length > 0)
        {
            details["name"] = name;
        }

        if (resource.Group.Length > 0)
        {
            details["group"] = resource.Group;
        }

        details["kind"] = resource.Plural;
        return details;
    }
}
