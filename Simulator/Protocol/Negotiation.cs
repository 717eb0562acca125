using Microsoft.AspNetCore.Http;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>In which form a body goes out.</summary>
internal enum BodyForm { Object, Table, PartialMetadata }

/// <summary>What the Accept header, the User-Agent and <c>?pretty</c> come down to.</summary>
/// <param name="Form">Objects as they are, a Table, or metadata only.</param>
/// <param name="Yaml">YAML instead of JSON.</param>
/// <param name="Pretty">Indented, for people.</param>
internal sealed record Negotiation(BodyForm Form, bool Yaml, bool Pretty)
{
    /// <summary>The API version of the transformed body: <c>meta.k8s.io/v1</c> or the older <c>v1beta1</c>.</summary>
    public string TransformVersion { get; private init; } = "meta.k8s.io/v1";

    /// <summary>Errors under an Accept with <c>as=</c> are indented in the real server.</summary>
    public bool PrettyErrors { get; private init; }

    /// <summary>Negotiates.</summary>
    /// <param name="request">The request.</param>
    /// <param name="watch">A watch streams, which leaves YAML out.</param>
    /// <param name="transforms">Whether Table and PartialObjectMetadata can be made of the answer.</param>
    /// <exception cref="StatusException">406.</exception>
    public static Negotiation Of(HttpRequest request, bool watch = false, bool transforms = true)
    {
        string accept = request.Headers.Accept.ToString();
        bool pretty = IsPretty(request);
        if (accept.Length == 0)
        {
            return new Negotiation(BodyForm.Object, false, pretty);
        }

        bool unknownTransform = false;
        foreach (string range in accept.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = range.Split(';', StringSplitOptions.TrimEntries);
            string? transform = Parameter(parts, "as");
            bool yaml = parts[0] is "application/yaml" && !watch;
            if (!yaml && parts[0] is not ("application/json" or "*/*" or "application/*"))
            {
                continue;
            }

            BodyForm? form = transform switch
            {
                null => BodyForm.Object,
                "Table" when transforms => BodyForm.Table,
                "PartialObjectMetadata" or "PartialObjectMetadataList" when transforms => BodyForm.PartialMetadata,
                _ => null,
            };
            if (form is null)
            {
                unknownTransform = true;
                continue;
            }

            return new Negotiation(form.Value, yaml, pretty)
            {
                TransformVersion = $"{Parameter(parts, "g") ?? "meta.k8s.io"}/{Parameter(parts, "v") ?? "v1"}",
                PrettyErrors = transform is not null,
            };
        }

        throw unknownTransform ? Refusal.UnknownTransform() : Refusal.NotAcceptable(watch);
    }

    /// <summary>Whether an error answer to this request is indented.</summary>
    public static bool IsPrettyError(HttpRequest request) => IsPretty(request) || request.Headers.Accept.ToString().Contains(";as=", StringComparison.Ordinal);

    /// <summary>People get indented JSON: curl, Wget and browsers, unless they say otherwise.</summary>
    public static bool IsPretty(HttpRequest request)
    {
        if (request.Query.TryGetValue("pretty", out var asked))
        {
            return asked.ToString() is not ("false" or "0");
        }

        string agent = request.Headers.UserAgent.ToString();
        return agent.StartsWith("curl", StringComparison.Ordinal) || agent.StartsWith("Wget", StringComparison.Ordinal)
            || agent.StartsWith("Mozilla/5.0", StringComparison.Ordinal);
    }

    private static string? Parameter(string[] parts, string name)
    {
        foreach (string part in parts.AsSpan(1))
        {
            if (part.StartsWith(name, StringComparison.Ordinal) && part.Length > name.Length && part[name.Length] == '=')
            {
                return part[(name.Length + 1)..];
            }
        }

        return null;
    }
}
