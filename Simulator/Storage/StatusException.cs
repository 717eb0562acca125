using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Storage;

/// <summary>A refusal that the API server answers as a <c>Status</c> object.</summary>
/// <remarks>Made by <c>Refusal</c>, whose methods know the exact wording of a real server.</remarks>
internal sealed class StatusException(int code, string? reason, string message) : Exception(message)
{
    /// <summary>HTTP status code.</summary>
    public int Code => code;

    /// <summary>Machine-readable reason, such as <c>NotFound</c>; null where the real server sends none.</summary>
    public string? Reason => reason;

    /// <summary><c>details</c> of the Status; null when absent.</summary>
    public JsonObject? Details { get; init; }

    /// <summary><c>metadata.continue</c> of the Status; only expired lists have one.</summary>
    public string? Continue { get; init; }

    /// <summary>Value of the <c>Retry-After</c> header.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>Refusals by RBAC carry <c>X-Content-Type-Options: nosniff</c>, those by admission do not.</summary>
    public bool NoSniff { get; init; }

    /// <summary>406 and what comes before negotiation is pretty-printed whatever the client asks.</summary>
    public bool Pretty { get; init; }

    /// <summary>The Status object.</summary>
    public JsonObject ToStatus()
    {
        var metadata = new JsonObject();
        if (Continue is not null)
        {
            metadata["continue"] = Continue;
        }

        var status = new JsonObject
        {
            ["kind"] = "Status",
            ["apiVersion"] = "v1",
            ["metadata"] = metadata,
            ["status"] = "Failure",
            ["message"] = Message,
        };
        if (Reason is not null)
        {
            status["reason"] = Reason;
        }

        if (Details is not null)
        {
            status["details"] = Details.DeepClone();
        }

        status["code"] = Code;
        return status;
    }
}
