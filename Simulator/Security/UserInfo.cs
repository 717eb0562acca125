using System.Collections.Immutable;

namespace MultiCluster.Simulator.Security;

/// <summary>Who sends a request.</summary>
/// <param name="Name">User name.</param>
/// <param name="Uid">Uid; empty when there is none.</param>
/// <param name="Groups">Groups, with <c>system:authenticated</c> or <c>system:unauthenticated</c>.</param>
internal sealed record UserInfo(string Name, string Uid, ImmutableArray<string> Groups)
{
    public static readonly UserInfo Anonymous = new("system:anonymous", "", ["system:unauthenticated"]);

    /// <summary>Id of the client certificate, as SelfSubjectReview shows it; null for tokens.</summary>
    public string? CredentialId { get; init; }

    public bool IsMaster => Groups.Contains("system:masters");
}
