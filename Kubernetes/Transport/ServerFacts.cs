using System.Collections.Immutable;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Transport;

/// <summary>What a health probe found; each asks for another action.</summary>
public enum ProbeOutcome
{
    /// <summary>The server says that it is ready.</summary>
    Healthy,

    /// <summary>The server answers and says that it is not ready, or fails itself.</summary>
    Unhealthy,

    /// <summary>The server answers, but not within the deadline, or asks us to slow down.</summary>
    Slow,

    /// <summary>The server refuses our credentials (401).</summary>
    Unauthorized,

    /// <summary>The credentials are good but may not read the health (403): the server itself is up.</summary>
    Forbidden,

    /// <summary>No connection: refused, broken or not routed.</summary>
    Unreachable,

    /// <summary>The server's name does not resolve.</summary>
    UnknownHost,

    /// <summary>No trusted TLS connection.</summary>
    Tls,

    /// <summary>Something answers that is no Kubernetes API server.</summary>
    NotKubernetes,
}

/// <summary>The result of one health probe.</summary>
/// <param name="Outcome">What was found.</param>
/// <param name="Latency">Time from the request to the whole answer or the failure.</param>
/// <param name="Error">Why it is not healthy; null when it is.</param>
public sealed record ProbeResult(ProbeOutcome Outcome, TimeSpan Latency, KubeError? Error)
{
    /// <summary>The checks that the server names as failed, such as <c>etcd</c>.</summary>
    public ImmutableArray<string> FailedChecks { get; init; } = [];
}

/// <summary>The version that a server says it has.</summary>
/// <param name="Major">Such as 1.</param>
/// <param name="Minor">Such as 32; suffixes of vendors (<c>32+</c>) are dropped.</param>
/// <param name="GitVersion">Such as <c>v1.32.13</c>.</param>
/// <param name="Platform">Such as <c>linux/amd64</c>; empty when not given.</param>
public sealed record ServerVersion(int Major, int Minor, string GitVersion, string Platform)
{
    /// <summary>Whether the server is at least of this release.</summary>
    public bool AtLeast(int major, int minor) => Major > major || (Major == major && Minor >= minor);
}

/// <summary>Who the server says we are.</summary>
/// <param name="Name">User name; empty when the server is too old to say.</param>
/// <param name="Uid">User id, or null.</param>
/// <param name="Groups">Groups.</param>
public sealed record UserIdentity(string Name, string? Uid, ImmutableArray<string> Groups)
{
    /// <summary>Whether the server could say it; false from servers before 1.28 that lack the API.</summary>
    public bool IsKnown => Name.Length > 0;
}

/// <summary>What we may do with some resources in a namespace.</summary>
/// <param name="Verbs">Verbs; <c>*</c> for all.</param>
/// <param name="Groups">API groups; empty string for core, <c>*</c> for all.</param>
/// <param name="Resources">Plurals, <c>pods/log</c> for subresources, <c>*</c> for all.</param>
/// <param name="Names">Names that the rule is limited to; empty for all.</param>
public sealed record AccessRule(
    ImmutableArray<string> Verbs, ImmutableArray<string> Groups, ImmutableArray<string> Resources, ImmutableArray<string> Names)
{
    /// <summary>Whether the rule allows the verb on every object of the resource.</summary>
    public bool Allows(string verb, string group, string resource) =>
        Names.IsEmpty && Has(Verbs, verb) && Has(Groups, group) && Has(Resources, resource);

    private static bool Has(ImmutableArray<string> allowed, string wanted) =>
        allowed.Contains("*", StringComparer.Ordinal) || allowed.Contains(wanted, StringComparer.Ordinal);
}

/// <summary>What we may do in a namespace, as the server's authorizers list it.</summary>
/// <param name="Rules">Rules; any that allows is enough.</param>
/// <param name="Incomplete">Whether an authorizer could not list all its rules: what is not here may still be allowed.</param>
public sealed record AccessRules(ImmutableArray<AccessRule> Rules, bool Incomplete)
{
    /// <summary>Whether some rule allows the verb on every object of the resource.</summary>
    public bool Allows(string verb, string group, string resource) => Rules.Any(rule => rule.Allows(verb, group, resource));
}

/// <summary>Whether one action is allowed.</summary>
/// <param name="Allowed">The verdict.</param>
/// <param name="Reason">The authorizer's reason; empty when it gave none.</param>
public sealed record AccessVerdict(bool Allowed, string Reason);

/// <summary>One action to ask permission for.</summary>
/// <param name="Verb">Such as <c>list</c>.</param>
/// <param name="Group">API group; empty for core.</param>
/// <param name="Resource">Plural.</param>
/// <param name="Namespace">Namespace; null for all or for cluster scope.</param>
public sealed record AccessQuestion(string Verb, string Group, string Resource, string? Namespace = null)
{
    /// <summary>Subresource; null for none.</summary>
    public string? Subresource { get; init; }

    /// <summary>Name; null for all.</summary>
    public string? Name { get; init; }
}
