using System.Collections.Immutable;
using System.Text;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Discovery;

/// <summary>A subresource, such as <c>scale</c>.</summary>
/// <param name="Name">Name in the URL.</param>
/// <param name="Kind">Kind of its body.</param>
/// <param name="Group">Group of its body; null when it is that of the resource.</param>
/// <param name="Version">Version of its body; null when it is that of the resource.</param>
/// <param name="Verbs">What it allows.</param>
internal sealed record ApiSubresource(string Name, string Kind, string? Group, string? Version, ImmutableArray<string> Verbs);

/// <summary>One resource in one version, as discovery shows it and as requests are routed.</summary>
internal sealed record ApiResource
{
    public required string Group { get; init; }

    public required string Version { get; init; }

    public required string Plural { get; init; }

    public required string Singular { get; init; }

    public required string Kind { get; init; }

    public required bool Namespaced { get; init; }

    public required ImmutableArray<string> Verbs { get; init; }

    public ImmutableArray<string> ShortNames { get; init; } = [];

    public ImmutableArray<string> Categories { get; init; } = [];

    public ImmutableArray<ApiSubresource> Subresources { get; init; } = [];

    /// <summary>Where its objects are stored: events of two groups share one place.</summary>
    public required ResourceName Storage { get; init; }

    /// <summary>Kind of a list.</summary>
    public required string ListKind { get; init; }

    /// <summary>The version of its CRD; null for built-in resources.</summary>
    public CustomResourceVersion? Custom { get; init; }

    /// <summary>Version in which its objects are stored, with group: what controllers and the hash of discovery see.</summary>
    public required string StorageApiVersion { get; init; }

    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary><c>deployments.apps</c>, or <c>pods</c>.</summary>
    public string GroupResource => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    /// <summary><c>Deployment.apps</c>, or <c>Pod</c>, as validation messages say it.</summary>
    public string GroupKind => Group.Length == 0 ? Kind : $"{Kind}.{Group}";

    /// <summary>The beginning of an object up to its metadata: custom resources have sorted keys, built-in ones Go's order.</summary>
    public byte[] Head => field ??= Encoding.UTF8.GetBytes(Custom is null
        ? $$"""{"kind":"{{Kind}}","apiVersion":"{{ApiVersion}}","""
        : $$"""{"apiVersion":"{{ApiVersion}}","kind":"{{Kind}}","""
    );

    public bool Allows(string verb) => Verbs.Contains(verb);
}
